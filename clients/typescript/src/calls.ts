/** The calls of a service, made from what the stubs say of it. */

import { type Client as Channel, type Metadata, type ServiceError } from "@grpc/grpc-js";
import { Messages, type Stream } from "./messages.js";
import { pauseOrThrow } from "./retry.js";

export interface CallOptions {
  /** Cancels the call, which then throws the signal's reason. */
  signal?: AbortSignal;
  /** A deadline that the server knows too, milliseconds. Default: none. */
  timeoutMs?: number;
}

interface Codec {
  encode(message: any): { finish(): Uint8Array };
  decode(bytes: Uint8Array): any;
  fromPartial(partial: any): any;
}

interface Method {
  readonly name: string;
  readonly requestType: Codec;
  readonly responseType: Codec;
  readonly responseStream: boolean;
}

/** A service as the stubs describe it. */
export interface Service {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, Method>>;
}

type Answer<M extends Method> = ReturnType<M["responseType"]["decode"]>;

type Call<M extends Method> = (
  request: Parameters<M["requestType"]["fromPartial"]>[0],
  options?: CallOptions,
) => M["responseStream"] extends true ? Stream<Answer<M>> : Promise<Answer<M>>;

/** The calls of one service. Of a request, only what is not the default need be given. */
export type Calls<S extends Service> = {
  readonly [Name in keyof S["methods"]]: Call<S["methods"][Name]>;
};

/** The calls of `service` over `channel`; each takes `metadata` along. */
export function callsOf<S extends Service>(
  service: S, channel: Channel, metadata: Metadata,
): Calls<S> {
  const calls = Object.entries(service.methods).map(([name, method]) => {
    const { requestType, responseType, responseStream } = method;
    const path = `/${service.fullName}/${method.name}`;
    const serialize = (request: any) => Buffer.from(requestType.encode(request).finish());
    const start: Start = (partial, deadline) => {
      const request = requestType.fromPartial(partial);
      return [path, serialize, responseType.decode, request, metadata, { deadline }];
    };
    return [name, responseStream ? stream(channel, start) : unary(channel, start)];
  });
  return Object.fromEntries(calls);
}

/** What gRPC wants to be told to start a call. */
type Start = (partial: any, deadline: number) =>
  [string, (request: any) => Buffer, (bytes: Buffer) => any, any, Metadata, { deadline: number }];

function unary(channel: Channel, start: Start) {
  const attemptOnce = (partial: any, deadline: number, signal?: AbortSignal) =>
    new Promise((resolve, reject) => {
      const call = channel.makeUnaryRequest(...start(partial, deadline), (error, answer) => {
        signal?.removeEventListener("abort", cancel);
        error ? reject(error) : resolve(answer);
      });
      const cancel = () => call.cancel();
      signal?.addEventListener("abort", cancel);
    });
  return async (partial: any, { signal, timeoutMs = Infinity }: CallOptions = {}) => {
    const deadline = Date.now() + timeoutMs;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        return await attemptOnce(partial, deadline, signal);
      } catch (error) {
        await pauseOrThrow(error as ServiceError, attempt, deadline, signal);
      }
    }
  };
}

function stream(channel: Channel, start: Start) {
  return (partial: any, { signal, timeoutMs = Infinity }: CallOptions = {}) => {
    const deadline = Date.now() + timeoutMs;
    const open = () => channel.makeServerStreamRequest(...start(partial, deadline));
    return new Messages(open, deadline, signal);
  };
}
