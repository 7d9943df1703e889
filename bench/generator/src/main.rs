//! The load generator's process: `corral-bench-generator corral|llama-server HOST:PORT`.
//!
//! Takes a plan as a line of JSON, warms the server up, says `ready`, waits for a line, plays the
//! plan and prints what it saw as a line of JSON. It knows no statistics. One thread does all of it,
//! since what it takes of the machine is missing to the server that is measured.

mod clock;
mod corral;
mod gate;
mod llama;
mod plan;
mod player;
mod target;

use std::{env, error::Error};

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin, stdin};
use tokio::task::LocalSet;

use corral::CorralTarget;
use llama::LlamaTarget;
use target::Target;

type Failure = Box<dyn Error>;

const USAGE: &str = "usage: corral-bench-generator corral|llama-server HOST:PORT";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [kind, address] = &arguments[..] else { return Err(USAGE.into()) };
    let tasks = LocalSet::new();
    match kind.as_str() {
        "corral" => tasks.run_until(run(CorralTarget::new(address)?)).await,
        "llama-server" => tasks.run_until(run(LlamaTarget::new(address))).await,
        _ => Err(USAGE.into()),
    }
}

async fn run(target: impl Target) -> Result<(), Failure> {
    let mut input = BufReader::new(stdin()).lines();
    let plan = serde_json::from_str(&line(&mut input).await?)?;
    let player = player::Player::new(target);
    let play = player.warm_up(plan).await?;
    println!("ready");
    line(&mut input).await?;
    println!("{}", serde_json::to_string(&player.play(play).await)?);
    Ok(())
}

async fn line(input: &mut Lines<BufReader<Stdin>>) -> Result<String, Failure> {
    input.next_line().await?.ok_or_else(|| "the input ended".into())
}
