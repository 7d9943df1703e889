//! What the generator is told to do, and what it saw; `bench/load/plan.py` says what it means.

use serde::{Deserialize, Serialize};

/// Own tokens of a request, and how many tokens its answer must have.
#[derive(Deserialize)]
pub struct Turn(pub Vec<i32>, pub i32);

#[derive(Deserialize)]
pub struct Conversation {
    pub turns: Vec<Turn>,
    pub joins_at: i32,
}

pub type Wave = Vec<Conversation>;

#[derive(Deserialize)]
#[serde(tag = "type")]
pub enum Work {
    Plan { waves: Vec<Wave>, warm_up: Vec<Wave>, sampled: bool },
    EmbedPlan { texts: Vec<String>, warm_up: Vec<String> },
}

#[derive(Serialize)]
pub struct Answer {
    pub conversation: usize,
    pub max_tokens: i32,
    pub length: usize,
    pub sent_s: f64,
    pub ended_s: f64,
    pub arrivals: Vec<(f64, i32)>,
    pub prompt_tokens: i32,
    pub cached_tokens: i32,
    pub refusal: String,
    pub error: String,
}

#[derive(Serialize)]
#[serde(tag = "type")]
pub enum Outcome {
    Seen { waves: Vec<Vec<Answer>>, cpu_s: f64 },
    Embedded { vectors: usize, tokens: i32, error: String, took_s: f64, cpu_s: f64 },
}
