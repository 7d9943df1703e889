//! What the wrapper's stream costs beside the stub's.

use std::{env, time::Instant};

use corral_client::v1::generate_stream_response::Event;
use corral_client::v1::inference_client::InferenceClient;
use corral_client::{Client, Options, StreamExt};

use crate::{Failure, client::stream_prompt};

const MESSAGES: i32 = 10_000;
const RUNS: usize = 5;

/// Seconds of each run, as JSON; the first of each kind connects and is not counted.
pub async fn measure() -> Result<String, Failure> {
    let address = Some(env::var("CORRAL_FLOOD_ADDRESS")?);
    let client = Client::new(Options { address, ..Default::default() })?;
    let (mut wrapper_s, mut raw_s) = (Vec::new(), Vec::new());
    for _ in 0..=RUNS {
        let start = Instant::now();
        let size = read_through_wrapper(&client).await?;
        wrapper_s.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        crate::expect!(read_raw(&client).await? == size, "the two read different texts");
        raw_s.push(start.elapsed().as_secs_f64());
    }
    Ok(format!(r#"{{"wrapper_s": {:?}, "raw_s": {:?}}}"#, &wrapper_s[1..], &raw_s[1..]))
}

async fn read_through_wrapper(client: &Client) -> Result<usize, Failure> {
    let mut stream = client.generate_stream(stream_prompt("a", Some(MESSAGES))).await?;
    let mut size = 0;
    while let Some(event) = stream.next().await {
        if let Event::Delta(delta) = event? {
            size += delta.text.len();
        }
    }
    Ok(size)
}

async fn read_raw(client: &Client) -> Result<usize, Failure> {
    let mut stub = InferenceClient::new(client.channel.clone());
    let request = stream_prompt("a", Some(MESSAGES));
    let mut stream = stub.generate_stream(request).await?.into_inner();
    let mut size = 0;
    while let Some(message) = stream.message().await? {
        if let Some(Event::Delta(delta)) = message.event {
            size += delta.text.len();
        }
    }
    Ok(size)
}
