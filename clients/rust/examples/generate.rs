//! Continue a text and print it while it is written. Needs a server: corral serve

use std::io::{Write, stdout};

use corral_client::v1::generate_stream_request::Input;
use corral_client::v1::{GenerateStreamRequest, SamplingParams, generate_stream_response::Event};
use corral_client::{Client, Options, StreamExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(Options::default())?;
    let request = GenerateStreamRequest {
        input: Some(Input::Prompt("Once upon a time, there was a".into())),
        max_tokens: Some(32),
        sampling: Some(SamplingParams { temperature: Some(0.0), ..Default::default() }),
        ..Default::default()
    };
    let mut stream = client.generate_stream(request).await?;
    while let Some(event) = stream.next().await {
        match event? {
            Event::Delta(delta) => print!("{}", delta.text),
            Event::Finished(end) => {
                let tokens = end.usage.unwrap_or_default().completion_tokens;
                println!("\n{} after {tokens} tokens", end.reason().as_str_name());
            }
            Event::Started(_) => {}
        }
        stdout().flush()?;
    }
    Ok(())
}
