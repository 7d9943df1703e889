/** What is tried again, and when. */

import { status, type ServiceError } from "@grpc/grpc-js";
import { setTimeout } from "node:timers/promises";
import { CorralError } from "./errors.js";

export const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 100;

/** Waits where a call that the server did nothing with may be tried again; throws where not. */
export async function pauseOrThrow(
  failure: ServiceError, attempt: number, deadline: number, signal?: AbortSignal,
): Promise<void> {
  signal?.throwIfAborted();
  const error = new CorralError(failure);
  const pauseMs = error.retryAfterMs ?? FIRST_PAUSE_MS * 2 ** (attempt - 1);
  // The Hub may be unavailable for longer, and maybe because it was asked too often.
  const isSafe = error.code === status.UNAVAILABLE && error.reason !== "HUB_UNAVAILABLE";
  if (!isSafe || attempt >= ATTEMPTS || Date.now() + pauseMs >= deadline) throw error;
  await setTimeout(pauseMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
}
