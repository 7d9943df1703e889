/** What the wrapper's stream costs beside the stub's. */

import { credentials } from "@grpc/grpc-js";
import {
  Client,
  GenerateStreamRequest,
  InferenceClient,
  type GenerateStreamResponse,
} from "corral-client";
import { environment, expect } from "./client.js";

const REQUEST = { prompt: "a", maxTokens: 10_000 };
const RUNS = 5;

/** Seconds of each run; the first of each kind connects and is not counted. */
export async function measureOverhead(): Promise<{ wrapper_s: number[]; raw_s: number[] }> {
  const address = environment("CORRAL_FLOOD_ADDRESS");
  const client = new Client({ address });
  const stub = new InferenceClient(address, credentials.createInsecure(), {
    channelOverride: client.channel.getChannel(),
  });
  const times = { wrapper_s: [] as number[], raw_s: [] as number[] };
  for (let run = 0; run <= RUNS; run++) {
    const wrapper = await timed(() => readThroughWrapper(client));
    const raw = await timed(() => readRaw(stub));
    expect(wrapper.size === raw.size, "the two read different texts");
    if (run === 0) continue;
    times.wrapper_s.push(wrapper.seconds);
    times.raw_s.push(raw.seconds);
  }
  return times;
}

async function timed(read: () => Promise<number>): Promise<{ size: number; seconds: number }> {
  const start = performance.now();
  const size = await read();
  return { size, seconds: (performance.now() - start) / 1000 };
}

async function readThroughWrapper(client: Client): Promise<number> {
  let size = 0;
  for await (const { delta } of client.inference.generateStream(REQUEST)) {
    if (delta) size += delta.text.length;
  }
  return size;
}

async function readRaw(stub: InferenceClient): Promise<number> {
  let size = 0;
  const call: AsyncIterable<GenerateStreamResponse> = stub.generateStream(
    GenerateStreamRequest.fromPartial(REQUEST),
  );
  for await (const { delta } of call) {
    if (delta) size += delta.text.length;
  }
  return size;
}
