//! llama-server under load, through its own HTTP interface.

#[cfg(test)]
mod tests;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use sse_stream::SseStream;
use tokio::{net::TcpStream, task::spawn_local, time::timeout};

use corral_client::StreamExt;

use crate::Failure;
use crate::target::{Ask, DEADLINE, Ending, Target, Vectors};

/// One connection for each call: a stream occupies it.
pub struct LlamaTarget {
    address: String,
}

#[derive(Serialize)]
struct Completion {
    prompt: Vec<i32>,
    n_predict: i32,
    ignore_eos: bool,
    stream: bool,
    return_tokens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
}

/// What one event of /completion says, as far as it counts here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    stop: bool,
    tokens: Vec<i32>,
    tokens_predicted: i32,
    tokens_evaluated: i32,
    stop_type: String,
    truncated: bool,
    timings: Timings,
    error: Option<Reported>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Timings {
    cache_n: i32,
}

#[derive(Deserialize)]
struct Reported {
    message: String,
}

#[derive(Serialize)]
struct Texts {
    input: Vec<String>,
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Embedded {
    data: Vec<Embedding>,
    usage: Usage,
}

#[derive(Deserialize)]
struct Embedding {
    embedding: String,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: i32,
}

impl LlamaTarget {
    pub fn new(address: &str) -> Self {
        LlamaTarget { address: address.to_owned() }
    }

    async fn stream(
        &self,
        ask: Ask,
        ending: &mut Ending,
        mut hear: impl FnMut(i32),
    ) -> Result<(), Failure> {
        let response = self.post("/completion", &completion(ask)).await?;
        let mut events = SseStream::new(response.into_body());
        let mut heard = 0;
        while let Some(event) = events.next().await {
            let Some(data) = event?.data else { continue };
            let event: Event = serde_json::from_str(&data)?;
            if event.tokens_predicted > heard {
                heard = event.tokens_predicted;
                hear(heard);
            }
            if let Some(error) = event.error {
                ending.error = error.message;
            } else if event.stop {
                ending.prompt_tokens = event.tokens_evaluated;
                ending.cached_tokens = event.timings.cache_n;
                ending.error = fault(&event);
            }
            ending.tokens.extend(event.tokens);
        }
        Ok(())
    }

    async fn read(&self, texts: Vec<String>) -> Result<Vectors, Failure> {
        let texts = Texts { input: texts, encoding_format: "base64" };
        let response = self.post("/v1/embeddings", &texts).await?;
        let embedded: Embedded =
            serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        let vectors = embedded.data.iter().filter(|each| !each.embedding.is_empty());
        let (count, tokens) = (vectors.count(), embedded.usage.prompt_tokens);
        Ok(Vectors { count, tokens, ..Default::default() })
    }

    /// Posts JSON. Fails where the answer is no success.
    async fn post(
        &self,
        path: &str,
        message: &impl Serialize,
    ) -> Result<Response<Incoming>, Failure> {
        let socket = TcpStream::connect(&self.address).await?;
        socket.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        // What goes wrong on it is seen by those who wait for the answer.
        spawn_local(async { connection.await.ok() });
        let request = Request::post(path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(serde_json::to_vec(message)?))?;
        let response = sender.send_request(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let why = response.into_body().collect().await?.to_bytes();
        Err(format!("{status}: {}", String::from_utf8_lossy(&why)).into())
    }
}

impl Target for LlamaTarget {
    async fn answer(&self, ask: Ask, hear: impl FnMut(i32)) -> Ending {
        let mut ending = Ending::open();
        match timeout(DEADLINE, self.stream(ask, &mut ending, hear)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => ending.error = error.to_string(),
            Err(late) => ending.error = late.to_string(),
        }
        ending
    }

    async fn embed(&self, texts: Vec<String>) -> Vectors {
        let error = match timeout(DEADLINE, self.read(texts)).await {
            Ok(Ok(vectors)) => return vectors,
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        Vectors { error, ..Default::default() }
    }
}

fn completion(ask: Ask) -> Completion {
    Completion {
        prompt: ask.prompt,
        n_predict: ask.max_tokens,
        ignore_eos: true,
        stream: true,
        return_tokens: ask.keep,
        temperature: (!ask.sampled).then_some(0.0),
    }
}

fn fault(event: &Event) -> String {
    if event.stop_type == "limit" && !event.truncated {
        return String::new();
    }
    format!("ended with {}{}", event.stop_type, if event.truncated { ", truncated" } else { "" })
}
