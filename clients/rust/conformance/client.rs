//! Clients of the servers the environment names, and what many cases ask of them.

use std::{env, time::Duration};

use corral_client::v1::generate_stream_response::Event;
use corral_client::v1::{self, *};
use corral_client::{Client, Code, Events, Options, StreamExt};
use tokio::time::{Instant, sleep};

use crate::{Failure, expect};

type Result<T> = std::result::Result<T, Failure>;

const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// A client of the server at the address in `variable`.
pub fn connect(variable: &str) -> Result<Client> {
    connect_with(Options { address: Some(env::var(variable)?), ..Default::default() })
}

/// A client of the server with TLS, with this token.
pub fn connect_secure(token: Option<String>) -> Result<Client> {
    connect_with(Options {
        address: Some(env::var("CORRAL_TLS_ADDRESS")?),
        ca_file: Some(env::var("CORRAL_TLS_CA")?.into()),
        token,
        ..Default::default()
    })
}

fn connect_with(options: Options) -> Result<Client> {
    Ok(Client::new(options)?.with_timeout(CALL_TIMEOUT))
}

pub fn greedy() -> Option<SamplingParams> {
    Some(SamplingParams { temperature: Some(0.0), ..Default::default() })
}

pub fn prompt(prompt: &str, max_tokens: Option<i32>) -> GenerateRequest {
    let input = Some(generate_request::Input::Prompt(prompt.into()));
    GenerateRequest { input, max_tokens, sampling: greedy(), ..Default::default() }
}

pub fn stream_prompt(prompt: &str, max_tokens: Option<i32>) -> GenerateStreamRequest {
    let input = Some(generate_stream_request::Input::Prompt(prompt.into()));
    GenerateStreamRequest { input, max_tokens, sampling: greedy(), ..Default::default() }
}

/// A request to a scripted server, which counts attempts by request id.
pub fn scripted(model: &str) -> GenerateRequest {
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let request_id = format!("rust-{nanos}");
    GenerateRequest { model: model.into(), request_id, ..prompt("a", None) }
}

pub fn scripted_stream(model: &str) -> GenerateStreamRequest {
    let GenerateRequest { model, request_id, .. } = scripted(model);
    GenerateStreamRequest { model, request_id, ..stream_prompt("a", None) }
}

pub fn says(role: Role, content: &str) -> Message {
    Message { role: role.into(), content: content.into(), ..Default::default() }
}

pub fn load_demo(id: &str) -> LoadModelRequest {
    load(id, model_source::Source::Demo(DemoSource {}))
}

pub fn load(id: &str, source: model_source::Source) -> LoadModelRequest {
    let source = Some(ModelSource { source: Some(source) });
    LoadModelRequest { id: id.into(), source, ..Default::default() }
}

/// The rest of a continuation: its deltas joined, and its end.
pub async fn read(mut stream: Events<GenerateStreamResponse>) -> Result<(String, Finished)> {
    let (mut text, mut finished) = (String::new(), None);
    while let Some(event) = stream.next().await {
        match event? {
            Event::Started(_) => {}
            Event::Delta(delta) => text += &delta.text,
            Event::Finished(end) => finished = Some(end),
        }
    }
    Ok((text, *finished.ok_or("the stream ended without finished")?))
}

/// Follows a load to its end: the steps, and the model.
pub async fn follow(mut stream: Events<LoadModelResponse>) -> Result<(Vec<LoadProgress>, Model)> {
    let mut steps = Vec::new();
    while let Some(event) = stream.next().await {
        match event? {
            load_model_response::Event::Progress(step) => steps.push(step),
            load_model_response::Event::Model(model) => return Ok((steps, model)),
        }
    }
    Err("the load ended without a model".into())
}

pub async fn list(client: &Client) -> Result<Vec<Model>> {
    Ok(client.list_models(ListModelsRequest {}).await?.models)
}

pub async fn unload(client: &Client, id: &str) -> Result<UnloadModelResponse> {
    let request = UnloadModelRequest { id: id.into(), ..Default::default() };
    Ok(client.unload_model(request).await?)
}

/// Waits until `demo` computes nothing.
pub async fn until_idle(client: &Client) -> Result<()> {
    let start = Instant::now();
    while list(client).await?.iter().any(|model| model.id == "demo" && model.running_requests > 0) {
        expect!(start.elapsed() < Duration::from_secs(5), "demo is still busy after 5 s");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The error of a call that must fail with this code and reason.
pub fn failure<T>(
    outcome: corral_client::Result<T>,
    code: Code,
    reason: &str,
) -> Result<corral_client::Error> {
    let error = *outcome.err().ok_or("it succeeded")?;
    expect!(
        error.code == code && error.reason == reason,
        "{:?} / {}: {}, expected {code:?} / {reason}",
        error.code,
        error.reason,
        error.message
    );
    Ok(error)
}

pub fn expect_metadata(error: &corral_client::Error, key: &str, value: &str) -> Result<()> {
    let found = error.metadata.get(key);
    expect!(
        found.map(String::as_str) == Some(value),
        "metadata {key} is {found:?}, expected {value}"
    );
    Ok(())
}

/// The numbers of a vector that has length 1 and 256 of them, in whichever encoding it came.
pub fn vector(embedding: &v1::Embedding) -> Result<Vec<f32>> {
    let packed = embedding.packed.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let vector: Vec<f32> = embedding.values.iter().copied().chain(packed).collect();
    expect!(vector.len() == 256, "a vector of {} numbers", vector.len());
    let length = dot(&vector, &vector).sqrt();
    expect!((length - 1.0).abs() < 0.001, "a vector of length {length}");
    Ok(vector)
}

pub fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}
