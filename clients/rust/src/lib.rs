//! The client of Corral, a gRPC server that keeps several llama.cpp models resident.
//!
//! A [`Client`] has a method for each call of the contract, whose messages are in [`v1`]. Those that
//! answer with a stream return [`Events`]; a call that fails returns an [`Error`].

mod call;
mod client;
mod error;

pub use call::{Events, Part};
pub use client::{Client, Options};
pub use error::{Error, Result};
pub use tokio_stream::{Stream, StreamExt};
pub use tonic::Code;

/// The contract: its messages, and the stubs as they are.
#[allow(clippy::all)]
pub mod v1 {
    include!("gen/corral.v1.rs");
}
