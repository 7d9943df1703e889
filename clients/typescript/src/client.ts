/** The channel to one server, with the calls of each service. */

import { Client as Channel, credentials, Metadata, type ChannelOptions } from "@grpc/grpc-js";
import { readFileSync } from "node:fs";
import { callsOf, type Calls } from "./calls.js";
import { InferenceDefinition } from "./gen/corral/v1/inference.js";
import { ModelManagerDefinition } from "./gen/corral/v1/model_manager.js";
import { ServerDefinition } from "./gen/corral/v1/server.js";

const DEFAULT_ADDRESS = "127.0.0.1:50051";

// Times in ms, sizes in bytes.
const CHANNEL_OPTIONS: ChannelOptions = {
  "grpc.enable_retries": 0, // calls.ts sees to it, and knows the reasons
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 2000,
  "grpc.max_receive_message_length": 64 * 1024 * 1024,
  "grpc.max_send_message_length": -1, // the server knows its limit and says it
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  // A proxy set for the web is not meant for a model server, and breaks even 127.0.0.1.
  "grpc.enable_http_proxy": 0,
};

export interface ClientOptions {
  /** HOST:PORT or unix:PATH. Default: CORRAL_ADDRESS, else 127.0.0.1:50051. */
  address?: string;
  /** Whether to use TLS; a caFile turns it on too. */
  tls?: boolean;
  /** PEM file of the authorities that vouch for the server. Default: those Node knows. */
  caFile?: string;
  /** The bearer token the server asks for. Without TLS anyone on the way can read it. */
  token?: string;
  /** Override the channel's defaults, by gRPC's names. */
  channel?: ChannelOptions;
}

/**
 * A client of one Corral server. Nothing is connected before the first call. A call that fails
 * throws a CorralError; one that answers with a stream throws it from the loop.
 */
export class Client {
  /** Loads, unloads and lists models, and knows the default one. */
  readonly models: Calls<ModelManagerDefinition>;
  /** Asks models. */
  readonly inference: Calls<InferenceDefinition>;
  /** Describes the server itself. */
  readonly server: Calls<ServerDefinition>;
  /** The connection, for stubs. */
  readonly channel: Channel;

  constructor({ address, tls, caFile, token, channel }: ClientOptions = {}) {
    const ca = caFile ? readFileSync(caFile) : null;
    this.channel = new Channel(
      address || process.env["CORRAL_ADDRESS"] || DEFAULT_ADDRESS,
      tls || ca ? credentials.createSsl(ca) : credentials.createInsecure(),
      { ...CHANNEL_OPTIONS, ...channel },
    );
    // As metadata: gRPC's own credentials refuse to travel without TLS, even within one machine.
    const metadata = new Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    this.models = callsOf(ModelManagerDefinition, this.channel, metadata);
    this.inference = callsOf(InferenceDefinition, this.channel, metadata);
    this.server = callsOf(ServerDefinition, this.channel, metadata);
  }

  /** Ends running calls and closes the channel. */
  close(): void {
    this.channel.close();
  }
}
