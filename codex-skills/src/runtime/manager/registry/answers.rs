//! Answers on their way: the fate of their calls as the stream reports it meanwhile, and the calls answered last.

use std::collections::hash_map::Entry;

use tokio::sync::watch;

use super::Delivery;
use super::Registry;
use super::session::ANSWERED_CALLS;
use crate::runtime::Event;
use crate::skill::ToolCall;

/// Fate of a call whose answer is on its way, as the stream reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Fate {
    /// An answer was taken.
    Resolved,
    /// No answer is wanted any more.
    Expired,
    /// Another process runs, and the one that called is gone.
    Restarted,
}

/// The answer of a call, on its way.
pub(super) struct Outbound {
    /// Number of requests that carry it.
    requests: usize,
    /// The fate of the call, once the stream reports it.
    fate: watch::Sender<Option<Fate>>,
}

impl Registry {
    /// Records that an answer is sent; returns a receiver of the call's fate.
    pub(in super::super) fn begin_answer(
        &mut self,
        call: &ToolCall,
    ) -> watch::Receiver<Option<Fate>> {
        let outbound = self.answering.entry(address(call));
        let outbound = outbound.or_insert_with(|| Outbound {
            requests: 0,
            fate: watch::Sender::new(None),
        });
        outbound.requests += 1;
        outbound.fate.subscribe()
    }

    /// Records that a request with an answer has ended, with or without success.
    pub(in super::super) fn end_answer(&mut self, call: &ToolCall) {
        if let Entry::Occupied(mut answers) = self.answering.entry(address(call)) {
            answers.get_mut().requests -= 1;
            if answers.get().requests == 0 {
                answers.remove();
            }
        }
    }

    /// Reports the fate of a call to the requests that answer it; returns whether there are some.
    pub(super) fn tell_answering(&self, call: &ToolCall, fate: Fate) -> bool {
        let outbound = self.answering.get(&address(call));
        outbound.is_some_and(|outbound| {
            outbound.fate.send_replace(Some(fate));
            true
        })
    }

    /// A call was answered, or needs no answer.
    pub(in super::super) fn answered(&mut self, call: &ToolCall) {
        let Some(session) = self.sessions.get_mut(&call.session_id) else {
            return;
        };
        let address = address(call);
        let known = session.calls.get(&address.1);
        if known.is_some_and(|known| known.same_address(call)) {
            session.calls.remove(&address.1);
        }
        if !session.answered.contains(&address) {
            if session.answered.len() >= ANSWERED_CALLS {
                session.answered.pop_front();
            }
            session.answered.push_back(address);
        }
    }

    /// Another codex process runs: the calls of the ones before are gone.
    pub(in super::super) fn restarted(&mut self, generation: u64) -> Vec<Delivery> {
        for ((process, _), outbound) in &self.answering {
            if *process != generation {
                outbound.fate.send_replace(Some(Fate::Restarted));
            }
        }
        let sessions = self.sessions.values_mut();
        sessions
            .filter_map(|session| {
                let mut gone = Vec::new();
                session.calls.retain(|call| {
                    let stays = call.generation == generation;
                    if !stays {
                        gone.push(Event::CallExpired(call.clone()));
                    }
                    stays
                });
                session.tell(gone)
            })
            .collect()
    }
}

fn address(call: &ToolCall) -> (u64, String) {
    let request_id = call.request_id.as_ref().map(ToString::to_string);
    (call.generation, request_id.unwrap_or_default())
}
