/** The messages of one call. */

import { type ClientReadableStream, type ServiceError } from "@grpc/grpc-js";
import { ATTEMPTS, pauseOrThrow } from "./retry.js";

const MAX_READY = 64;

export type Stream<Message> = AsyncIterableIterator<Message, void, undefined>;

/** What a call tells as it goes on, from the first `next` on, but for what only a newer client
 * knows. The call's own iterator takes longer for a message than reading it does. */
export class Messages implements Stream<any> {
  private call: ClientReadableStream<any> | undefined;
  private readonly ready: any[] = [];
  private readonly waiting: ((result: any) => void)[] = [];
  private isOver = false;
  private failure: Promise<never> | undefined;

  constructor(
    private readonly open: () => ClientReadableStream<any>,
    private readonly deadline: number,
    private readonly signal?: AbortSignal,
  ) {}

  [Symbol.asyncIterator]() {
    return this;
  }

  next(): Promise<IteratorResult<any, void>> {
    if (!this.call && !this.isOver) this.attempt(1);
    if (this.ready.length > 0) {
      const value = this.ready.shift();
      if (this.ready.length === 0) this.call?.resume();
      return Promise.resolve({ value, done: false });
    }
    if (this.isOver) return this.takeEnd();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Leaving the loop cancels the call. */
  async return(): Promise<IteratorResult<any, void>> {
    this.end();
    this.ready.length = 0;
    this.call?.cancel();
    return { value: undefined, done: true };
  }

  private attempt(attempt: number): void {
    if (this.isOver) return;
    const cancel = () => this.call?.cancel();
    let failure: ServiceError | undefined;
    this.signal?.addEventListener("abort", cancel);
    this.call = this.open();
    if (this.signal?.aborted) cancel();
    this.call.on("data", (message) => {
      attempt = ATTEMPTS; // it has begun
      if (isKnown(message)) this.receive(message);
    });
    this.call.on("error", (error: ServiceError) => (failure = error));
    this.call.on("end", () => {
      this.signal?.removeEventListener("abort", cancel);
      if (!failure || this.isOver) return this.end();
      const retry = pauseOrThrow(failure, attempt, this.deadline, this.signal);
      retry.then(() => this.attempt(attempt + 1), (error) => this.end(Promise.reject(error)));
    });
  }

  private receive(message: any): void {
    const waiting = this.waiting.shift();
    if (waiting) return waiting({ value: message, done: false });
    if (this.ready.push(message) >= MAX_READY) this.call?.pause();
  }

  private end(failure?: Promise<never>): void {
    failure?.catch(() => {}); // whoever reads on is told
    this.isOver = true;
    this.failure ??= failure;
    for (const waiting of this.waiting.splice(0)) waiting(this.takeEnd());
  }

  private takeEnd(): Promise<IteratorResult<any, void>> {
    const failure = this.failure;
    this.failure = undefined;
    return failure ?? Promise.resolve({ value: undefined, done: true });
  }
}

/** Whether any field is there: of an event whose arm we do not know, none is. */
function isKnown(message: object): boolean {
  for (const value of Object.values(message)) if (value !== undefined) return true;
  return false;
}
