//! What becomes of what llama-server says, however it is cut, and of answers that are none.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::{LocalSet, spawn_local};

use super::LlamaTarget;
use crate::target::{Ask, Ending, Target};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A stream of these parts, to its end.
fn stream(parts: &[&str]) -> String {
    let chunks = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len()));
    format!("{CHUNKED}{}0\r\n\r\n", chunks.collect::<String>())
}

/// What is made of a server that says `reply` to whatever comes, and closes; and what was heard.
async fn answered(reply: String) -> (Ending, Vec<i32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let mut heard = Vec::new();
    let ask = Ask { prompt: vec![1, 2], max_tokens: 2, sampled: false, keep: true };
    let ending = LocalSet::new()
        .run_until(async {
            spawn_local(async move {
                let (mut socket, _) = listener.accept().await.expect("a connection");
                let mut request = [0; 4096];
                assert!(socket.read(&mut request).await.expect("a request") > 0);
                socket.write_all(reply.as_bytes()).await.expect("a reader");
            });
            LlamaTarget::new(&address).answer(ask, |count| heard.push(count)).await
        })
        .await;
    (ending, heard)
}

#[tokio::test]
async fn an_answer_is_read_to_its_end_however_it_is_cut() {
    let reply = stream(&[
        ": a comment\n\n",
        "data: {\"stop\":false,\"tokens\":[7],\"tokens_predicted\":1}\n",
        "\ndata: {\"stop\":false,\"tokens\":[8],",
        "\"tokens_predicted\":2}\n\n",
        "data: {\"stop\":true,\"stop_type\":\"limit\",\"truncated\":false,\"tokens\":[],\
         \"tokens_predicted\":2,\"tokens_evaluated\":2,\"timings\":{\"cache_n\":1}}\n\n",
    ]);
    let (ending, heard) = answered(reply).await;
    assert_eq!(ending.error, "");
    assert_eq!(heard, [1, 2]);
    assert_eq!((ending.tokens, ending.prompt_tokens, ending.cached_tokens), (vec![7, 8], 2, 1));
}

#[tokio::test]
async fn an_answer_that_is_not_finished_is_none() {
    for (last, error) in [
        (r#"{"stop":true,"stop_type":"eos","tokens_predicted":1}"#, "ended with eos"),
        (r#"{"error":{"message":"no room"}}"#, "no room"),
        (r#"{"stop":false,"tokens_predicted":1}"#, "the stream ended early"),
    ] {
        let (ending, _) = answered(stream(&[&format!("data: {last}\n\n")])).await;
        assert_eq!(ending.error, error);
    }
}

#[tokio::test]
async fn a_status_that_is_no_success_is_an_error() {
    let reply = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    let (ending, _) = answered(reply.into()).await;
    assert_eq!(ending.error, "503 Service Unavailable: busy");
}

#[tokio::test]
async fn a_connection_that_breaks_is_an_error() {
    let (ending, heard) = answered(format!("{CHUNKED}20\r\ndata: half")).await;
    assert!(!ending.error.is_empty() && heard.is_empty());
}
