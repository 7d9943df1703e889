/** Clients of the servers the environment names, and what many cases ask of them. */

import {
  Client,
  CorralError,
  FinishReason,
  status,
  type CallOptions,
  type ClientOptions,
  type Embedding,
  type Finished,
  type GenerateStreamResponse,
  type LoadModelResponse,
  type LoadProgress,
  type Model,
} from "corral-client";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";

export const STORY = "Once upon a time, there was a";

/** The deadline of every call. */
export const within: CallOptions = { timeoutMs: 20_000 };

export function expect(met: boolean, why: string): asserts met {
  if (!met) throw new Error(why);
}

export function environment(variable: string): string {
  const value = process.env[variable];
  expect(value !== undefined, `${variable} is not set`);
  return value;
}

const connected = new Map<string, Client>();

/** The client of the server at the address in `variable`. */
export function connect(variable: string, options: ClientOptions = {}): Client {
  const key = JSON.stringify([variable, options]);
  const client = connected.get(key) ?? new Client({ address: environment(variable), ...options });
  connected.set(key, client);
  return client;
}

/** The client of the server with TLS, with this token. */
export function connectSecure(token?: string): Client {
  return connect("CORRAL_TLS_ADDRESS", { caFile: environment("CORRAL_TLS_CA"), token });
}

export const corral = () => connect("CORRAL_ADDRESS");

/** A request at temperature 0. */
export function greedy(prompt: string, maxTokens?: number) {
  return { prompt, maxTokens, sampling: { temperature: 0 } };
}

/** A request to a scripted server, which counts attempts by request id. */
export function scripted(model: string) {
  return { model, requestId: randomUUID(), prompt: "a" };
}

/** What a continuation said, and how it ended. */
export async function read(
  stream: AsyncIterable<GenerateStreamResponse>,
): Promise<{ text: string; finished: Finished }> {
  let text = "";
  let finished: Finished | undefined;
  for await (const event of stream) {
    text += event.delta?.text ?? "";
    finished = event.finished;
  }
  expect(finished !== undefined, "the stream did not end with finished");
  return { text, finished };
}

/** A load to its end: the steps, and the model. */
export async function follow(
  stream: AsyncIterable<LoadModelResponse>,
): Promise<{ steps: LoadProgress[]; model: Model }> {
  const steps: LoadProgress[] = [];
  for await (const { progress, model } of stream) {
    if (model) return { steps, model };
    if (progress) steps.push(progress);
  }
  throw new Error("the load ended without a model");
}

export async function list(client: Client): Promise<Model[]> {
  return (await client.models.listModels({}, within)).models;
}

/** Waits until `demo` computes nothing. */
export async function untilIdle(client: Client): Promise<void> {
  const end = performance.now() + 5000;
  while (
    (await list(client)).some(({ id, runningRequests }) => id === "demo" && runningRequests > 0)
  ) {
    expect(performance.now() < end, "demo is still busy after 5 s");
    await setTimeout(20);
  }
}

/** The error of a call that must fail with this code and reason. */
export async function failure(
  call: Promise<unknown>,
  code: status,
  reason: string,
): Promise<CorralError> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(
    error instanceof CorralError,
    error === undefined ? "it succeeded" : `another error: ${error}`,
  );
  const found = `${status[error.code]} / ${error.reason}`;
  const expected = `${status[code]} / ${reason}`;
  expect(found === expected, `${found}: ${error.message}, expected ${expected}`);
  return error;
}

export function expectMetadata(error: CorralError, expected: Record<string, string>): void {
  for (const [key, value] of Object.entries(expected)) {
    expect(
      error.metadata[key] === value,
      `metadata ${key} is ${error.metadata[key]}, expected ${value}`,
    );
  }
}

/** What an end tells, for comparing. */
export function numbers({ reason, usage }: Finished): string {
  const { promptTokens, completionTokens, totalTokens } = usage ?? {};
  return `${FinishReason[reason]} ${promptTokens} ${completionTokens} ${totalTokens}`;
}

/** The numbers of a vector that has length 1 and 256 of them, in whichever encoding it came. */
export function vector({ values, packed }: Embedding): number[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const found = packed.length
    ? Array.from({ length: packed.length / 4 }, (_, at) => view.getFloat32(at * 4, true))
    : values;
  expect(found.length === 256, `a vector of ${found.length} numbers`);
  const length = Math.sqrt(dot(found, found));
  expect(Math.abs(length - 1) < 0.001, `a vector of length ${length}`);
  return found;
}

export function dot(one: number[], other: number[]): number {
  return one.reduce((sum, number, at) => sum + number * (other[at] ?? NaN), 0);
}

export async function seconds(call: Promise<unknown>): Promise<number> {
  const start = performance.now();
  await call;
  return (performance.now() - start) / 1000;
}
