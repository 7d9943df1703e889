//! Ask twice in one conversation, printing while it is written. Needs a server: corral serve

use std::io::{Write, stdout};

use corral_client::v1::chat_stream_response::Event;
use corral_client::v1::{ChatStreamRequest, Message, Role, SamplingParams};
use corral_client::{Client, Options, StreamExt};

fn message(role: Role, content: &str) -> Message {
    Message { role: role.into(), content: content.into(), ..Default::default() }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::new(Options::default())?;
    let mut messages = vec![message(Role::System, "Answer briefly.")];
    for question in ["What is the capital of France?", "And of Italy?"] {
        println!("> {question}");
        messages.push(message(Role::User, question));
        let request = ChatStreamRequest {
            messages: messages.clone(),
            sampling: Some(SamplingParams { temperature: Some(0.0), ..Default::default() }),
            ..Default::default()
        };
        let mut answer = String::new();
        let mut stream = client.chat_stream(request).await?;
        while let Some(event) = stream.next().await {
            if let Event::Delta(delta) = event? {
                print!("{}", delta.text);
                stdout().flush()?;
                answer.push_str(&delta.text);
            }
        }
        println!();
        messages.push(message(Role::Assistant, &answer));
    }
    Ok(())
}
