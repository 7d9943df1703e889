//! The cases, in the order of the page that describes them.

use std::{env, path::Path, time::Duration};

use corral_client::v1::*;
use corral_client::{Client, Code, StreamExt};
use tokio::time::Instant;

use crate::client::*;
use crate::{Failure, Outcome, expect, golden};

const STORY: &str = "Once upon a time, there was a";
const CAPITAL: &str = "What is the capital of France?";
const SUM: &str = "What is 7 plus 5?";

fn corral() -> Result<Client, Failure> {
    connect("CORRAL_ADDRESS")
}

fn numbers(end: &Finished) -> (FinishReason, i32, i32, i32) {
    let usage = end.usage.unwrap_or_default();
    (end.reason(), usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
}

pub async fn generate() -> Outcome {
    let answer = corral()?.generate(prompt(STORY, Some(24))).await?;
    expect!(answer.model == "demo", "model {}", answer.model);
    expect!(answer.text.starts_with(" small lamb named"), "text {:?}", answer.text);
    expect!(!answer.request_id.is_empty(), "no request_id");
    let end = numbers(&answer.finished.unwrap_or_default());
    expect!(end == (FinishReason::Length, 8, 24, 32), "finished {end:?}");
    Ok(answer.text)
}

pub async fn generate_stream() -> Outcome {
    use generate_stream_response::Event;
    let client = corral()?;
    let whole = client.generate(prompt(STORY, Some(24))).await?;
    let mut stream = client.generate_stream(stream_prompt(STORY, Some(24))).await?;
    let Some(Event::Started(started)) = stream.next().await.transpose()? else {
        return Err("the first event is not started".into());
    };
    expect!(started.model == "demo" && started.prompt_tokens == 8, "started {started:?}");
    let (mut text, mut tokens, mut finished) = (String::new(), 0, None);
    while let Some(event) = stream.next().await {
        expect!(finished.is_none(), "an event after finished");
        match event? {
            Event::Started(_) => return Err("started twice".into()),
            Event::Delta(delta) => {
                expect!(delta.completion_tokens >= tokens, "completion_tokens fell");
                tokens = delta.completion_tokens;
                text += &delta.text;
            }
            Event::Finished(end) => finished = Some(numbers(&end)),
        }
    }
    let expected = numbers(&whole.finished.unwrap_or_default());
    expect!(finished == Some(expected), "finished {finished:?}, expected {expected:?}");
    expect!(text == whole.text, "joined {text:?}, expected {:?}", whole.text);
    Ok(format!("{tokens} tokens"))
}

pub async fn chat() -> Outcome {
    let request = ChatRequest {
        messages: vec![says(Role::User, CAPITAL)],
        sampling: greedy(),
        ..Default::default()
    };
    let answer = corral()?.chat(request).await?;
    let message = answer.message.unwrap_or_default();
    let reason = answer.finished.unwrap_or_default().reason();
    expect!(message.role() == Role::Assistant, "role {:?}", message.role());
    expect!(message.content.contains("Paris"), "content {:?}", message.content);
    expect!(reason == FinishReason::Eos, "reason {reason:?}");
    Ok(message.content)
}

pub async fn chat_stream() -> Outcome {
    use chat_stream_response::Event;
    let client = corral()?;
    let mut messages = Vec::new();
    for (question, word) in [(CAPITAL, "Paris"), (SUM, "12")] {
        messages.push(says(Role::User, question));
        let messages_so_far = messages.clone();
        let request = ChatStreamRequest {
            messages: messages_so_far,
            sampling: greedy(),
            ..Default::default()
        };
        let mut stream = client.chat_stream(request).await?;
        let (mut answer, mut reason) = (String::new(), None);
        while let Some(event) = stream.next().await {
            match event? {
                Event::Started(_) => {}
                Event::Delta(delta) => answer += &delta.text,
                Event::Finished(end) => reason = Some(end.reason()),
            }
        }
        expect!(answer.contains(word), "answer {answer:?}, expected {word}");
        expect!(reason == Some(FinishReason::Eos), "reason {reason:?}");
        messages.push(says(Role::Assistant, &answer));
    }
    Ok(format!("{} turns", messages.len()))
}

pub async fn tokenize() -> Outcome {
    use count_tokens_request::Input;
    const TEXT: &str = "Hello, world! héllo 🐎";
    let client = corral()?;
    let request = TokenizeRequest { text: TEXT.into(), ..Default::default() };
    let tokens = client.tokenize(request).await?.tokens;
    expect!(tokens.len() == 15, "{} tokens", tokens.len());
    let pieces: Vec<u8> = tokens.iter().flat_map(|token| token.piece.clone()).collect();
    expect!(pieces == TEXT.as_bytes(), "pieces {pieces:?}");
    let token_ids = tokens.iter().map(|token| token.id).collect();
    let back = client.detokenize(DetokenizeRequest { token_ids, ..Default::default() }).await?;
    expect!(back.text == TEXT && back.raw == TEXT.as_bytes(), "detokenized {back:?}");
    let conversation = Conversation { messages: vec![says(Role::User, SUM)], ..Default::default() };
    for (input, expected) in
        [(Input::Prompt(TEXT.into()), 15), (Input::Conversation(conversation), 20)]
    {
        let request = CountTokensRequest { input: Some(input), ..Default::default() };
        let counted = client.count_tokens(request).await?;
        expect!(counted.tokens == expected, "counted {}, expected {expected}", counted.tokens);
        expect!(counted.sequence_limit == 2048, "sequence_limit {}", counted.sequence_limit);
    }
    Ok("15 tokens, there and back".into())
}

fn texts<T: ToString>(texts: impl IntoIterator<Item = T>) -> Vec<EmbedInput> {
    let input = |text: T| EmbedInput { input: Some(embed_input::Input::Text(text.to_string())) };
    texts.into_iter().map(input).collect()
}

pub async fn embed() -> Outcome {
    let client = corral()?;
    let mut found: Vec<Vec<Vec<f32>>> = Vec::new();
    for encoding in [EmbeddingEncoding::Float, EmbeddingEncoding::Float32Le] {
        let inputs = texts([
            "A dog sleeps on the warm stones.",
            "A cat sleeps on the warm stones.",
            "Integers are closed under addition.",
        ]);
        let request = EmbedRequest { inputs, encoding: encoding.into(), ..Default::default() };
        let embeddings = client.embed(request).await?.embeddings;
        let indexes: Vec<_> = embeddings.iter().map(|embedding| embedding.index).collect();
        expect!(indexes == [0, 1, 2], "indexes {indexes:?}");
        let is_packed = embeddings.iter().all(|embedding| embedding.values.is_empty());
        expect!(is_packed == (encoding == EmbeddingEncoding::Float32Le), "another encoding");
        let vectors = embeddings.iter().map(vector).collect::<Result<Vec<_>, _>>()?;
        let (near, far) = (dot(&vectors[0], &vectors[1]), dot(&vectors[0], &vectors[2]));
        expect!(near > 0.6 && 0.6 > far, "likeness {near} and {far}");
        found.push(vectors);
    }
    let pairs = found[0].iter().flatten().zip(found[1].iter().flatten());
    let apart = pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    expect!(apart <= 1e-6, "the encodings are {apart} apart");
    Ok("3 vectors, twice".into())
}

pub async fn embed_stream_1000() -> Outcome {
    let request = EmbedStreamRequest {
        inputs: texts((0..1000).map(|number| format!("Sentence number {number}."))),
        encoding: EmbeddingEncoding::Float32Le.into(),
        ..Default::default()
    };
    let mut stream = corral()?.embed_stream(request).await?;
    let (mut messages, mut count, mut usage) = (0, 0, None);
    while let Some(message) = stream.next().await {
        let message = message?;
        expect!(usage.is_none(), "usage before the last message");
        for embedding in &message.embeddings {
            expect!(embedding.index == count, "index {}, expected {count}", embedding.index);
            vector(embedding)?;
            count += 1;
        }
        usage = message.usage;
        messages += 1;
    }
    let tokens = usage.unwrap_or_default().prompt_tokens;
    expect!(messages > 1 && count == 1000, "{count} vectors in {messages} messages");
    expect!(tokens > 1000, "{tokens} tokens");
    Ok(format!("{count} vectors in {messages} messages"))
}

pub async fn utf8_split_over_tokens() -> Outcome {
    use generate_stream_response::Event;
    const HORSE: &str = "🐎";
    let request = GenerateStreamRequest {
        output: Some(OutputOptions { tokens: true }),
        sampling: Some(SamplingParams {
            temperature: Some(0.0),
            frequency_penalty: Some(100.0),
            logit_bias: [(172, 1000.0), (253, 975.0), (238, 950.0), (236, 925.0)].into(),
            ..Default::default()
        }),
        ..stream_prompt("A horse: ", Some(8))
    };
    let mut stream = corral()?.generate_stream(request).await?;
    let (mut text, mut pieces) = (String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        if let Event::Delta(delta) = event? {
            let whole = delta.text.replace(HORSE, "").is_empty();
            expect!(whole, "a delta of {:?}", delta.text);
            text += &delta.text;
            pieces.extend(delta.tokens.into_iter().map(|token| token.piece));
        }
    }
    let expected: Vec<_> = HORSE.repeat(2).bytes().map(|byte| vec![byte]).collect();
    expect!(pieces == expected, "pieces {pieces:02x?}");
    expect!(text == HORSE.repeat(2), "text {text:?}");
    Ok(text)
}

pub async fn cancel_mid_stream() -> Outcome {
    use generate_stream_response::Event;
    let client = corral()?;
    let stop = Some(StopParams { ignore_eos: true, ..Default::default() });
    let request = GenerateStreamRequest { stop: stop.clone(), ..stream_prompt(STORY, Some(2000)) };
    let mut stream = client.generate_stream(request).await?;
    let mut deltas = 0;
    while deltas < 3 {
        let event = stream.next().await.ok_or("the stream ended early")??;
        deltas += i32::from(matches!(event, Event::Delta(_)));
    }
    drop(stream);
    until_idle(&client).await?;
    let after = client.generate(GenerateRequest { stop, ..prompt("Hi", Some(4)) }).await?;
    let tokens = numbers(&after.finished.unwrap_or_default()).2;
    expect!(tokens == 4, "{tokens} tokens afterwards");
    Ok("dropped after 3 deltas".into())
}

pub async fn deadline() -> Outcome {
    let client = corral()?;
    let stop = Some(StopParams { ignore_eos: true, ..Default::default() });
    let request = GenerateRequest { stop, ..prompt(STORY, Some(2000)) };
    let start = Instant::now();
    let outcome = client.with_timeout(Duration::from_millis(300)).generate(request).await;
    let took = start.elapsed().as_secs_f64();
    let error = outcome.err().ok_or("it succeeded")?;
    expect!(error.code == Code::DeadlineExceeded, "{:?}: {error}", error.code);
    expect!((0.2..=3.0).contains(&took), "after {took:.2} s");
    until_idle(&client).await?;
    Ok(format!("after {took:.2} s"))
}

pub async fn prompt_of_one_megabyte() -> Outcome {
    let client = corral()?;
    let text = "corral ".repeat(150_000)[..1_048_576].to_owned();
    let input = Some(count_tokens_request::Input::Prompt(text.clone()));
    let request = CountTokensRequest { input, ..Default::default() };
    let tokens = client.count_tokens(request).await?.tokens;
    expect!(tokens > 100_000, "{tokens} tokens");
    let outcome = client.generate(prompt(&text, None)).await;
    let error = failure(outcome, Code::InvalidArgument, "CONTEXT_LENGTH_EXCEEDED")?;
    expect_metadata(&error, "prompt_tokens", &tokens.to_string())?;
    expect_metadata(&error, "limit", "2047")?;
    Ok(format!("{tokens} tokens"))
}

pub async fn error_invalid_field() -> Outcome {
    let sampling =
        SamplingParams { temperature: Some(-1.0), top_p: Some(3.0), ..Default::default() };
    let request = GenerateRequest { sampling: Some(sampling), ..prompt("a", Some(0)) };
    let outcome = corral()?.generate(request).await;
    let error = failure(outcome, Code::InvalidArgument, "INVALID_FIELD")?;
    let mut fields: Vec<_> = error.violations.iter().map(|bad| bad.field.as_str()).collect();
    fields.sort();
    expect!(fields == ["max_tokens", "sampling.temperature", "sampling.top_p"], "{fields:?}");
    let is_told = error.violations.iter().all(|bad| !bad.description.is_empty());
    expect!(is_told, "a field without a why: {:?}", error.violations);
    Ok(error.message)
}

pub async fn error_model_not_found() -> Outcome {
    let request = GenerateRequest { model: "nobody".into(), ..prompt("a", None) };
    let outcome = corral()?.generate(request).await;
    let error = failure(outcome, Code::NotFound, "MODEL_NOT_FOUND")?;
    expect_metadata(&error, "model", "nobody")?;
    expect!(error.message.contains("nobody"), "message {:?}", error.message);
    Ok(error.message)
}

pub async fn error_capability_not_supported() -> Outcome {
    let request = EmbedRequest { model: "text".into(), inputs: texts(["a"]), ..Default::default() };
    let outcome = corral()?.embed(request).await;
    let error = failure(outcome, Code::FailedPrecondition, "CAPABILITY_NOT_SUPPORTED")?;
    expect_metadata(&error, "model", "text")?;
    expect_metadata(&error, "capability", "EMBED")?;
    Ok(error.message)
}

pub async fn error_load_conflict() -> Outcome {
    let options = Some(LoadOptions { slots: Some(3), ..Default::default() });
    let request = LoadModelRequest { options, ..load_demo("text") };
    let outcome = corral()?.load_model(request).await;
    let error = failure(outcome, Code::AlreadyExists, "LOAD_CONFLICT")?;
    expect_metadata(&error, "model", "text")?;
    Ok(error.message)
}

pub async fn error_model_file_not_found() -> Outcome {
    let client = corral()?;
    let source = model_source::Source::Path("/nonexistent/corral.gguf".into());
    let error = match client.load_model(load("gone", source)).await {
        Err(error) => Err(error),
        Ok(mut stream) => loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        },
    };
    let error = failure(error, Code::NotFound, "MODEL_FILE_NOT_FOUND")?;
    let models = list(&client).await?;
    let gone = models.iter().find(|model| model.id == "gone").ok_or("gone is not listed")?;
    let state = gone.state();
    unload(&client, "gone").await?;
    expect!(state == ModelState::Failed, "state {state:?}");
    let reason = gone.error.as_ref().map(|error| error.reason.as_str());
    expect!(reason == Some("MODEL_FILE_NOT_FOUND"), "error {:?}", gone.error);
    Ok(error.message)
}

pub async fn error_queue_full() -> Outcome {
    let outcome = connect("CORRAL_FLAKY_ADDRESS")?.generate(scripted("queue-full")).await;
    let error = failure(outcome, Code::ResourceExhausted, "QUEUE_FULL")?;
    let wait = error.retry_after;
    expect!(wait == Some(Duration::from_millis(1500)), "retry_after {wait:?}");
    expect_metadata(&error, "attempt", "1")?;
    Ok("to come back in 1.5 s".into())
}

pub async fn unknown_enum_value() -> Outcome {
    let client = connect("CORRAL_FUTURE_ADDRESS")?;
    let answer = client.generate(prompt("a", None)).await?;
    expect!(answer.text == "from the future", "text {:?}", answer.text);
    let reason = answer.finished.unwrap_or_default().reason;
    expect!(reason == 99, "reason {reason}");
    let models = list(&client).await?;
    let [model] = models.as_slice() else {
        return Err(format!("{} models", models.len()).into());
    };
    expect!(model.id == "future" && model.state == 99, "{} is {}", model.id, model.state);
    let known = [Capability::Generate, Capability::Chat].map(i32::from);
    expect!(model.capabilities.starts_with(&known), "capabilities {:?}", model.capabilities);
    let messages = vec![says(Role::User, "a")];
    let outcome = client.chat(ChatRequest { messages, ..Default::default() }).await;
    let error = failure(outcome, Code::FailedPrecondition, "SOMETHING_NEW")?;
    expect_metadata(&error, "answer", "42")?;
    expect!(error.message == "not yet invented", "message {:?}", error.message);
    Ok(format!("reason 99 is an ordinary end, {} is {:?}", error.reason, error.kind()))
}

pub async fn unknown_oneof_arm() -> Outcome {
    use watch_models_response::Event;
    let client = connect("CORRAL_FUTURE_ADDRESS")?;
    let (text, _) = read(client.generate_stream(stream_prompt("a", None)).await?).await?;
    expect!(text == "from the future", "joined {text:?}");
    let (steps, model) = follow(client.load_model(load_demo("future")).await?).await?;
    expect!(model.id == "future" && steps.len() == 3, "{} after {} steps", model.id, steps.len());
    let mut watch = client.watch_models(WatchModelsRequest::default()).await?;
    let mut seen = Vec::new();
    while let Some(message) = watch.next().await {
        seen.push(match message?.event {
            Some(Event::Snapshot(_)) => "snapshot".to_owned(),
            Some(Event::Removed(model)) => format!("removed {}", model.id),
            None => "unknown".to_owned(),
            other => format!("{other:?}"),
        });
    }
    expect!(seen == ["snapshot", "unknown", "removed future"], "watched {seen:?}");
    Ok(seen.join(", "))
}

pub async fn retry_honours_retry_info() -> Outcome {
    let client = connect("CORRAL_FLAKY_ADDRESS")?;
    let start = Instant::now();
    let text = client.generate(scripted("unavailable-twice")).await?.text;
    let first = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let stream = client.generate_stream(scripted_stream("unavailable-twice")).await?;
    let (joined, _) = read(stream).await?;
    let second = start.elapsed().as_secs_f64();
    expect!(text == "attempt 3" && joined == "attempt 3", "{text:?} and {joined:?}");
    for took in [first, second] {
        expect!((0.45..=10.0).contains(&took), "after {took:.2} s");
    }
    let outcome = client.generate(scripted("unavailable-always")).await;
    let error = failure(outcome, Code::Unavailable, "ENGINE_RESTARTING")?;
    expect_metadata(&error, "attempt", "4")?;
    let wait = error.retry_after;
    expect!(wait == Some(Duration::from_millis(50)), "retry_after {wait:?}");
    Ok(format!("after {first:.2} s and {second:.2} s"))
}

pub async fn no_retry_where_unsafe() -> Outcome {
    use generate_stream_response::Event;
    let client = connect("CORRAL_FLAKY_ADDRESS")?;
    let mut stream = client.generate_stream(scripted_stream("fails-midway")).await?;
    let mut deltas = Vec::new();
    let outcome = loop {
        match stream.next().await {
            Some(Ok(Event::Delta(delta))) => deltas.push(delta.text),
            Some(Ok(_)) => {}
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };
    expect!(deltas == ["half"], "deltas {deltas:?}");
    let error = failure(outcome, Code::Unavailable, "ENGINE_RESTARTING")?;
    expect_metadata(&error, "attempt", "1")?;
    let outcome = client.generate(scripted("hub-unavailable")).await;
    let error = failure(outcome, Code::Unavailable, "HUB_UNAVAILABLE")?;
    expect_metadata(&error, "attempt", "1")?;
    let wait = error.retry_after;
    expect!(wait == Some(Duration::from_millis(50)), "retry_after {wait:?}");
    Ok("once each".into())
}

pub async fn tls_and_token() -> Outcome {
    let client = connect_secure(Some(env::var("CORRAL_TLS_TOKEN")?))?;
    let text = client.generate(prompt(STORY, Some(4))).await?.text;
    expect!(text.starts_with(" small"), "text {text:?}");
    let (joined, _) = read(client.generate_stream(stream_prompt(STORY, Some(4))).await?).await?;
    expect!(joined == text, "joined {joined:?}, expected {text:?}");
    Ok(text)
}

pub async fn token_refused() -> Outcome {
    let right = env::var("CORRAL_TLS_TOKEN")?;
    let nobody = connect_secure(None)?;
    let stranger = connect_secure(Some("wrong".into()))?;
    for outcome in [
        nobody.generate(prompt(STORY, Some(4))).await.map(drop),
        stranger.generate(prompt(STORY, Some(4))).await.map(drop),
        stranger.generate_stream(stream_prompt(STORY, Some(4))).await.map(drop),
    ] {
        let message = failure(outcome, Code::Unauthenticated, "UNAUTHENTICATED")?.message;
        let tells = message.contains("wrong") || message.contains(&right);
        expect!(!tells, "the message has a token in it");
    }
    Ok("three times".into())
}

pub async fn model_lifecycle() -> Outcome {
    use watch_models_response::Event;
    let client = corral()?;
    let mut watch = client.watch_models(WatchModelsRequest::default()).await?;
    let Some(Event::Snapshot(snapshot)) = watch.next().await.transpose()?.and_then(|m| m.event)
    else {
        return Err("the first change is no snapshot".into());
    };
    let ids: Vec<_> = snapshot.models.iter().map(|model| model.id.as_str()).collect();
    expect!(ids.contains(&"demo") && ids.contains(&"text"), "snapshot of {ids:?}");

    let request = LoadModelRequest {
        options: Some(LoadOptions { slots: Some(2), ..Default::default() }),
        aliases: vec!["spare".into()],
        ..load_demo("second")
    };
    let (steps, model) = follow(client.load_model(request).await?).await?;
    let mut stages: Vec<_> = steps.iter().map(|step| step.stage()).collect();
    stages.dedup();
    expect!(
        stages == [LoadStage::Probing, LoadStage::Loading, LoadStage::Warming],
        "stages {stages:?}"
    );
    let is_part = steps.iter().all(|step| (0.0..=1.0).contains(&step.fraction));
    expect!(is_part, "a fraction out of range");
    let slots = model.facts.as_ref().map_or(0, |facts| facts.slots);
    expect!(model.state() == ModelState::Ready && slots == 2, "{model:?}");
    let is_listed = list(&client).await?.iter().any(|model| model.id == "second");
    expect!(is_listed, "second is not listed");

    let request = GenerateRequest { model: "spare".into(), ..prompt("Hi", Some(4)) };
    let answered = client.generate(request).await?.model;
    expect!(answered == "second", "spare is {answered}");
    let left = unload(&client, "second").await?.remaining_ids;
    let has = |id: &str| left.iter().any(|other| other == id);
    expect!(has("demo") && has("text") && !has("second"), "remaining {left:?}");

    let mut was_ready = false;
    loop {
        let change = watch.next().await.ok_or("the watch ended")??;
        match change.event {
            Some(Event::Changed(model)) if model.id == "second" => {
                was_ready |= model.state() == ModelState::Ready;
            }
            Some(Event::Removed(model)) if model.id == "second" => break,
            _ => {}
        }
    }
    expect!(was_ready, "the watch did not tell that second was ready");
    let request = GenerateRequest { model: "second".into(), ..prompt("Hi", Some(4)) };
    failure(client.generate(request).await, Code::NotFound, "MODEL_NOT_FOUND")?;
    Ok(format!("{} steps", steps.len()))
}

pub async fn golden_bytes() -> Outcome {
    golden::check(Path::new(&env::var("CORRAL_GOLDEN")?))
}
