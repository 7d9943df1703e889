//! Lets conversations of a wave join when the others have come so far.

use std::cell::RefCell;

use tokio::sync::Notify;

use crate::plan::Conversation;

/// Opens when all conversations that join at 0 have had their tokens, for those that wait.
pub struct Gate {
    joins_at: i32,
    tokens: RefCell<Vec<Option<i32>>>,
    opened: Notify,
}

impl Gate {
    pub fn new(wave: &[Conversation]) -> Self {
        Gate {
            joins_at: wave.iter().map(|each| each.joins_at).max().unwrap_or(0),
            tokens: RefCell::new(
                wave.iter().map(|each| (each.joins_at == 0).then_some(0)).collect(),
            ),
            opened: Notify::new(),
        }
    }

    /// Until it is open.
    pub async fn pass(&self) {
        while !self.is_open() {
            self.opened.notified().await;
        }
    }

    /// Conversation `number` has had so many tokens; as many as there can be when it has ended.
    pub fn note(&self, number: usize, tokens: i32) {
        if self.joins_at == 0 {
            return;
        }
        if let Some(had) = &mut self.tokens.borrow_mut()[number] {
            *had = tokens;
        }
        if self.is_open() {
            self.opened.notify_waiters();
        }
    }

    fn is_open(&self) -> bool {
        self.tokens.borrow().iter().flatten().all(|&tokens| tokens >= self.joins_at)
    }
}
