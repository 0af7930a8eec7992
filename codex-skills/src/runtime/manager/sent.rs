//! The requests that were sent to a session from here, and the turns that took them: what remains of a turn's texts is
//! explained only by a request whose answer was lost.

use std::collections::VecDeque;
use std::sync::Arc;

use super::registry::hash;

/// Requests remembered for each session.
const REMEMBERED: usize = 64;

/// The last requests of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    requests: VecDeque<Request>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Request {
    key: u64,
    text: u64,
    place: Place,
}

/// Fate of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// It is on its way, or its fate is not known.
    Unknown,
    /// A turn began with it.
    Began(Arc<str>),
    /// A turn that ran took it.
    Steered(Arc<str>),
}

impl Sent {
    /// Notes a request that is about to be sent. Returns its key.
    pub(super) fn begin(&mut self, text: &str) -> u64 {
        if self.requests.len() >= REMEMBERED {
            self.requests.pop_front();
        }
        let key = self.next;
        self.next += 1;
        self.requests.push_back(Request {
            key,
            text: hash(text),
            place: Place::Unknown,
        });
        key
    }

    /// Notes that a turn took a request, and whether it began with it.
    pub(super) fn took(&mut self, key: u64, turn_id: &Arc<str>, began: bool) {
        let place = if began {
            Place::Began(turn_id.clone())
        } else {
            Place::Steered(turn_id.clone())
        };
        let mut requests = self.requests.iter_mut();
        if let Some(request) = requests.find(|request| request.key == key) {
            request.place = place;
        }
    }

    /// Notes that no turn took a request.
    pub(super) fn not_taken(&mut self, key: u64) {
        self.requests.retain(|request| request.key != key);
    }

    /// Returns the number of other requests of this text that some turn may have taken.
    pub(super) fn uncertain(&self, key: u64, text: &str) -> usize {
        let text = hash(text);
        let others = self.requests.iter().filter(|request| {
            request.key != key && request.text == text && request.place == Place::Unknown
        });
        others.count()
    }

    /// Returns the number of requests of this text that a turn took.
    pub(super) fn taken(&self, turn_id: &str, text: &str) -> usize {
        let text = hash(text);
        let own = self.requests.iter().filter(|request| {
            request.text == text
                && match &request.place {
                    Place::Began(own) | Place::Steered(own) => **own == *turn_id,
                    Place::Unknown => false,
                }
        });
        own.count()
    }

    /// Whether a turn began with a request from here.
    pub(super) fn began(&self, turn_id: &str) -> bool {
        let mut requests = self.requests.iter();
        requests.any(|request| matches!(&request.place, Place::Began(own) if **own == *turn_id))
    }
}
