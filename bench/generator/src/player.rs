//! Plays a plan against one server and notes what comes, and when.

#[cfg(test)]
mod tests;

use std::rc::Rc;

use tokio::task::spawn_local;

use crate::clock::{cpu_s, now_s};
use crate::gate::Gate;
use crate::plan::{Answer, Conversation, Outcome, Turn, Wave, Work};
use crate::target::{Ask, Target};

pub struct Player<T> {
    target: Rc<T>,
}

/// What is left of a plan after the warm-up.
pub enum Play {
    Waves { waves: Vec<Wave>, sampled: bool },
    Texts(Vec<String>),
}

impl<T: Target> Player<T> {
    pub fn new(target: T) -> Self {
        Player { target: Rc::new(target) }
    }

    /// Plays what goes before the measurement; what went wrong, or what is to be measured.
    pub async fn warm_up(&self, work: Work) -> Result<Play, String> {
        match work {
            Work::EmbedPlan { texts, warm_up } => {
                succeeded(self.target.embed(warm_up).await.error)?;
                Ok(Play::Texts(texts))
            }
            Work::Plan { waves, warm_up, sampled } => {
                for wave in warm_up {
                    for answer in self.play_wave(wave, sampled).await {
                        succeeded(answer.error)?;
                    }
                }
                Ok(Play::Waves { waves, sampled })
            }
        }
    }

    /// Plays what is measured.
    pub async fn play(&self, play: Play) -> Outcome {
        let (began_s, used_s) = (now_s(), cpu_s());
        match play {
            Play::Texts(texts) => {
                let vectors = self.target.embed(texts).await;
                Outcome::Embedded {
                    vectors: vectors.count,
                    tokens: vectors.tokens,
                    error: vectors.error,
                    took_s: now_s() - began_s,
                    cpu_s: cpu_s() - used_s,
                }
            }
            Play::Waves { waves, sampled } => {
                let mut seen = Vec::with_capacity(waves.len());
                for wave in waves {
                    seen.push(self.play_wave(wave, sampled).await);
                }
                Outcome::Seen { waves: seen, cpu_s: cpu_s() - used_s }
            }
        }
    }

    /// All conversations of a wave at once.
    async fn play_wave(&self, wave: Wave, sampled: bool) -> Vec<Answer> {
        let gate = Rc::new(Gate::new(&wave));
        let talks: Vec<_> = wave
            .into_iter()
            .enumerate()
            .map(|(number, conversation)| {
                let (target, gate) = (self.target.clone(), gate.clone());
                spawn_local(async move {
                    let answers = talk(number, conversation, &*target, &gate, sampled).await;
                    gate.note(number, i32::MAX);
                    answers
                })
            })
            .collect();
        let mut answers = Vec::new();
        for talk in talks {
            answers.extend(talk.await.expect("a conversation does not panic"));
        }
        answers
    }
}

/// One conversation to its end, or to its first answer that is none.
async fn talk<T: Target>(
    number: usize,
    conversation: Conversation,
    target: &T,
    gate: &Gate,
    sampled: bool,
) -> Vec<Answer> {
    if conversation.joins_at > 0 {
        gate.pass().await;
    }
    let keep = conversation.turns.len() > 1;
    let mut answers = Vec::with_capacity(conversation.turns.len());
    let mut tokens = Vec::new();
    for Turn(own, max_tokens) in conversation.turns {
        tokens.extend(own);
        let ask = Ask { prompt: tokens.clone(), max_tokens, sampled, keep };
        let mut arrivals = Vec::new();
        let sent_s = now_s();
        let ending = target
            .answer(ask, |count| {
                arrivals.push((now_s(), count));
                gate.note(number, count);
            })
            .await;
        answers.push(Answer {
            conversation: number,
            max_tokens,
            length: tokens.len(),
            sent_s,
            ended_s: now_s(),
            arrivals,
            prompt_tokens: ending.prompt_tokens,
            cached_tokens: ending.cached_tokens,
            refusal: ending.refusal,
            error: ending.error,
        });
        let last = &answers[answers.len() - 1];
        if !(last.refusal.is_empty() && last.error.is_empty()) {
            break;
        }
        tokens.extend(ending.tokens);
    }
    answers
}

fn succeeded(error: String) -> Result<(), String> {
    if error.is_empty() { Ok(()) } else { Err(format!("the warm-up failed: {error}")) }
}
