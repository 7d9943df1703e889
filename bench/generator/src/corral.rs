//! Corral under load, through the Rust client.

use corral_client::v1::generate_stream_request::Input;
use corral_client::v1::generate_stream_response::Event;
use corral_client::v1::{
    EmbedInput, EmbedStreamRequest, EmbeddingEncoding, ErrorReason, FinishReason,
    GenerateStreamRequest, OutputOptions, SamplingParams, StopParams, TokenIds, embed_input,
};
use corral_client::{Client, Options, Result, StreamExt};

use crate::target::{Ask, DEADLINE, Ending, Target, Vectors};

/// One channel for all calls, as a program has.
pub struct CorralTarget {
    client: Client,
}

impl CorralTarget {
    pub fn new(address: &str) -> Result<Self> {
        let options = Options { address: Some(address.to_owned()), ..Default::default() };
        Ok(CorralTarget { client: Client::new(options)?.with_timeout(DEADLINE) })
    }

    async fn stream(&self, ask: Ask, ending: &mut Ending, mut hear: impl FnMut(i32)) -> Result<()> {
        let mut events = self.client.generate_stream(request(ask)).await?;
        let mut heard = 0;
        while let Some(event) = events.next().await {
            match event? {
                Event::Started(_) => {}
                Event::Delta(delta) => {
                    heard = delta.completion_tokens;
                    hear(heard);
                    ending.tokens.extend(delta.tokens.iter().map(|token| token.id));
                }
                Event::Finished(finished) => {
                    let usage = finished.usage.unwrap_or_default();
                    if usage.completion_tokens > heard {
                        hear(usage.completion_tokens);
                    }
                    ending.prompt_tokens = usage.prompt_tokens;
                    ending.cached_tokens = usage.cached_tokens;
                    ending.error = fault(finished.reason());
                }
            }
        }
        Ok(())
    }

    async fn read(&self, request: EmbedStreamRequest, vectors: &mut Vectors) -> Result<()> {
        let mut parts = self.client.embed_stream(request).await?;
        while let Some(part) = parts.next().await {
            for embedding in part?.embeddings {
                vectors.count += usize::from(!embedding.packed.is_empty());
                vectors.tokens += embedding.tokens;
            }
        }
        Ok(())
    }
}

impl Target for CorralTarget {
    async fn answer(&self, ask: Ask, hear: impl FnMut(i32)) -> Ending {
        let mut ending = Ending::open();
        if let Err(error) = self.stream(ask, &mut ending, hear).await {
            (ending.refusal, ending.error) = match error.kind() {
                ErrorReason::QueueFull => (error.reason, String::new()),
                _ => (String::new(), format!("{:?} {}: {error}", error.code, error.reason)),
            };
        }
        ending
    }

    async fn embed(&self, texts: Vec<String>) -> Vectors {
        let request = EmbedStreamRequest {
            inputs: texts.into_iter().map(input).collect(),
            encoding: EmbeddingEncoding::Float32Le.into(),
            ..Default::default()
        };
        let mut vectors = Vectors::default();
        if let Err(error) = self.read(request, &mut vectors).await {
            vectors.error = error.to_string();
        }
        vectors
    }
}

fn request(ask: Ask) -> GenerateStreamRequest {
    let greedy = SamplingParams { temperature: Some(0.0), ..Default::default() };
    GenerateStreamRequest {
        input: Some(Input::PromptTokens(TokenIds { ids: ask.prompt })),
        max_tokens: Some(ask.max_tokens),
        sampling: (!ask.sampled).then_some(greedy),
        stop: Some(StopParams { ignore_eos: true, ..Default::default() }),
        output: Some(OutputOptions { tokens: ask.keep }),
        ..Default::default()
    }
}

fn input(text: String) -> EmbedInput {
    EmbedInput { input: Some(embed_input::Input::Text(text)) }
}

fn fault(reason: FinishReason) -> String {
    match reason {
        FinishReason::Length => String::new(),
        _ => format!("ended with {}", reason.as_str_name()),
    }
}
