//! What becomes of a plan, against a target that answers by a script.

use std::cell::RefCell;

use serde_json::json;
use tokio::task::{LocalSet, yield_now};

use super::Player;
use crate::plan::{Answer, Outcome, Work};
use crate::target::{Ask, Ending, Target, Vectors};

/// Answers with the tokens 1, 2, 3, ... and remembers the prompts. `fails_at`: the call that ends
/// with an error after one token.
#[derive(Default)]
struct ScriptedTarget {
    prompts: RefCell<Vec<Vec<i32>>>,
    fails_at: Option<usize>,
}

impl Target for ScriptedTarget {
    async fn answer(&self, ask: Ask, mut hear: impl FnMut(i32)) -> Ending {
        let prompt_tokens = ask.prompt.len() as i32;
        self.prompts.borrow_mut().push(ask.prompt);
        if Some(self.prompts.borrow().len()) == self.fails_at {
            hear(1);
            return Ending { error: "broken".into(), ..Default::default() };
        }
        for count in 1..=ask.max_tokens {
            hear(count);
            yield_now().await;
        }
        let tokens = if ask.keep { (1..=ask.max_tokens).collect() } else { vec![] };
        Ending { prompt_tokens, tokens, ..Default::default() }
    }

    async fn embed(&self, texts: Vec<String>) -> Vectors {
        Vectors { count: texts.len(), ..Default::default() }
    }
}

/// The answers of each wave, and the prompts in the order in which they came.
async fn played(
    waves: serde_json::Value,
    target: ScriptedTarget,
) -> (Vec<Vec<Answer>>, Vec<Vec<i32>>) {
    let plan = json!({"type": "Plan", "waves": waves, "warm_up": [], "sampled": false});
    let work: Work = serde_json::from_value(plan).expect("a plan");
    let player = Player::new(target);
    let seen = LocalSet::new()
        .run_until(async { player.play(player.warm_up(work).await.expect("no warm-up")).await })
        .await;
    let Outcome::Seen { waves, .. } = seen else { panic!("a plan has waves") };
    (waves, player.target.prompts.take())
}

#[tokio::test]
async fn a_turn_goes_on_where_the_answer_before_it_ended() {
    let waves = json!([[{"turns": [[[70, 71], 3], [[80], 1]], "joins_at": 0}]]);
    let (_, prompts) = played(waves, ScriptedTarget::default()).await;
    assert_eq!(prompts, [vec![70, 71], vec![70, 71, 1, 2, 3, 80]]);
}

#[tokio::test]
async fn one_that_joins_late_waits_for_the_tokens_of_all_others() {
    let waves = json!([[
        {"turns": [[[9], 1]], "joins_at": 4},
        {"turns": [[[1], 8]], "joins_at": 0},
        {"turns": [[[2], 8]], "joins_at": 0},
    ]]);
    let (waves, prompts) = played(waves, ScriptedTarget::default()).await;
    assert_eq!(prompts.last(), Some(&vec![9]));
    let [late, others @ ..] = &waves[0][..] else { panic!("three answers") };
    assert_eq!(others.len(), 2);
    for answer in others {
        let before = answer.arrivals.iter().filter(|(at_s, _)| *at_s <= late.sent_s);
        assert!(before.count() >= 4);
        assert!(answer.ended_s > late.sent_s);
    }
}

#[tokio::test]
async fn one_that_joins_late_does_not_wait_for_ever() {
    let waves = json!([[
        {"turns": [[[1], 2]], "joins_at": 0},
        {"turns": [[[9], 1]], "joins_at": 100},
    ]]);
    let (waves, _) = played(waves, ScriptedTarget::default()).await;
    let tokens: Vec<usize> = waves[0].iter().map(|answer| answer.arrivals.len()).collect();
    assert_eq!(tokens, [2, 1]);
}

#[tokio::test]
async fn a_conversation_ends_with_its_first_error() {
    let waves = json!([[{"turns": [[[70], 3], [[80], 1]], "joins_at": 0}]]);
    let target = ScriptedTarget { fails_at: Some(1), ..Default::default() };
    let (waves, prompts) = played(waves, target).await;
    let errors: Vec<&str> = waves[0].iter().map(|answer| answer.error.as_str()).collect();
    assert_eq!(errors, ["broken"]);
    assert_eq!(prompts.len(), 1);
}

#[tokio::test]
async fn waves_follow_one_another() {
    let waves = json!([
        [{"turns": [[[1], 2]], "joins_at": 0}],
        [{"turns": [[[2], 2]], "joins_at": 0}],
    ]);
    let (waves, _) = played(waves, ScriptedTarget::default()).await;
    assert!(waves[1][0].sent_s >= waves[0][0].ended_s);
}
