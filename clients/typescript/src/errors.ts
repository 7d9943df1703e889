/** What a failed call throws, read from the details of its status. */

import { type ServiceError, type status } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, ResourceInfo, RetryInfo } from "./gen/google/rpc/error_details.js";
import { Status } from "./gen/google/rpc/status.js";

/** One bad field: its path in the request, and what is wrong with it. */
export interface FieldViolation {
  field: string;
  why: string;
}

/** A call failed. */
export class CorralError extends Error {
  override readonly name = "CorralError";
  /** The status code: one of `status`. */
  readonly code: status;
  /** The name in ErrorReason without its prefix; empty if the server gave none. */
  readonly reason: string = "";
  /** The numbers and names behind the message; `request_id` finds the call in the server's log. */
  readonly metadata: Readonly<Record<string, string>> = {};
  /** Every bad field of the request. */
  readonly violations: readonly FieldViolation[] = [];
  /** What was not found. */
  readonly resource: string = "";
  /** When to come back, milliseconds; undefined where the server does not say. */
  readonly retryAfterMs: number | undefined;

  /** The error of a call that gRPC ended. Details count only if they are Corral's own. */
  constructor(failure: ServiceError) {
    super(failure.details);
    this.code = failure.code;
    const [packed] = failure.metadata?.get("grpc-status-details-bin") ?? [];
    const details = packed instanceof Buffer ? Status.decode(packed).details : [];
    const find = <Detail>(name: string, type: { decode(bytes: Uint8Array): Detail }) => {
      const found = details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${name}`));
      return found && type.decode(found.value);
    };
    const info = find("ErrorInfo", ErrorInfo);
    if (info?.domain !== "corral") return;
    this.reason = info.reason;
    this.metadata = info.metadata;
    const bad = find("BadRequest", BadRequest)?.fieldViolations ?? [];
    this.violations = bad.map(({ field, description }) => ({ field, why: description }));
    this.resource = find("ResourceInfo", ResourceInfo)?.resourceName ?? "";
    const delay = find("RetryInfo", RetryInfo)?.retryDelay;
    this.retryAfterMs = delay && delay.seconds * 1000 + delay.nanos / 1e6;
  }
}
