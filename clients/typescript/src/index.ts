/** The client of Corral, and the contract's messages and stubs as they are. */

export { status } from "@grpc/grpc-js";
export { type CallOptions, type Calls } from "./calls.js";
export { Client, type ClientOptions } from "./client.js";
export { CorralError, type FieldViolation } from "./errors.js";
export { type Stream } from "./messages.js";
export * from "./gen/corral/v1/chat.js";
export * from "./gen/corral/v1/embedding.js";
export * from "./gen/corral/v1/error_reason.js";
export * from "./gen/corral/v1/inference.js";
export * from "./gen/corral/v1/model.js";
export * from "./gen/corral/v1/model_manager.js";
export * from "./gen/corral/v1/sampling.js";
export * from "./gen/corral/v1/server.js";
export * from "./gen/corral/v1/tokenization.js";
export * from "./gen/corral/v1/usage.js";
