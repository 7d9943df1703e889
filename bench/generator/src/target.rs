//! What the load generator asks of a server, whichever it is.

use std::time::Duration;

pub const DEADLINE: Duration = Duration::from_secs(300);

/// Tokens to go on from. `sampled`: with the server's default sampling, else greedily. `keep`:
/// whether the tokens of the answer are wanted, for the turn after it.
pub struct Ask {
    pub prompt: Vec<i32>,
    pub max_tokens: i32,
    pub sampled: bool,
    pub keep: bool,
}

/// How a call ended. `tokens`: the answer's, where they were to be kept. `refusal`: the typed reason
/// of a server that was full; `error`: why this is no answer.
#[derive(Default)]
pub struct Ending {
    pub prompt_tokens: i32,
    pub cached_tokens: i32,
    pub tokens: Vec<i32>,
    pub refusal: String,
    pub error: String,
}

impl Ending {
    /// Of an answer whose end has not come.
    pub fn open() -> Self {
        Ending { error: "the stream ended early".into(), ..Default::default() }
    }
}

/// What came of texts: vectors, and the tokens of the texts as the server counted them.
#[derive(Default)]
pub struct Vectors {
    pub count: usize,
    pub tokens: i32,
    pub error: String,
}

/// A server under load. What goes wrong stands in what is returned.
pub trait Target: 'static {
    /// `hear` is told, at each message that brings tokens, how many of the answer have come so far.
    async fn answer(&self, ask: Ask, hear: impl FnMut(i32)) -> Ending;

    /// The vectors of all texts, with one call.
    async fn embed(&self, texts: Vec<String>) -> Vectors;
}
