//! One session as a pure machine: its turns, its waiting calls and its ledger, behind one lock.
//!
//! What happens goes in as plain data with the time: [events](State::on_event), calls that are to be
//! [answered](State::answer), handlers that [finished](State::on_finished), answers that were
//! [delivered](State::on_delivered) or that the runtime [speaks of](State::on_completed) on its own. What is to be done
//! comes out as a [`Command`]. Nothing here waits, runs, sends or logs: the driver does.
//!
//! A call lives so:
//!
//! ```text
//!               ┌── the session is not served ──> waiting ──┐ its turn ends, it expires: forgotten
//! announced ────┤                                           │ served
//!               └── served, asked for, or late ─────────────┴─> claimed ──> finished ──> settled
//!                   joined: it is claimed already, and its answer goes to the newest address │
//!                   repeated: it was delivered; or claimed again, to be delivered again <────┘
//! ```
//!
//! Always true: a key is claimed to be run once, as long as the ledger remembers it (rule 1); what was claimed stays
//! underway until its record is settled, at the address of its newest announcement (rule 2); a call whose turn or session
//! is over is claimed as late, so that it is answered and no handler begins. All of it is decided under the lock: where
//! nothing is found underway, each record is in its turn.
//!
//! A session that is closed and opened again has another [`Opening`], with turns of its own. The calls are the session's,
//! so that an answer which is still on its way is found. Nothing else is locked while the state is.

mod calls;
mod command;
mod ledger;
mod opening;
#[cfg(test)]
mod tests;
mod turns;
mod weight;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

pub(crate) use self::calls::Announced;
use self::calls::{Calls, Terms};
pub(crate) use self::command::{Admitted, Command, Held, OpeningId};
use self::opening::Admission;
pub(crate) use self::opening::{Closed, Opening};
pub(crate) use self::turns::{Left, Turn};
use crate::dispatch::{DispatchRecord, Limits, SubmissionRecord};
use crate::runtime::{Event, TakenAnswer};
use crate::skill::call::CallKey;
use crate::skill::{SkillOutput, ToolCall};

/// One session.
#[derive(Debug)]
pub(crate) struct State<R> {
    calls: Calls<R>,
    /// Nearly always one.
    openings: Vec<(OpeningId, Opening)>,
    opened: u64,
}

impl<R: Held> State<R> {
    /// A session that remembers settled calls within these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            calls: Calls::new(limits),
            openings: Vec::new(),
            opened: 0,
        }
    }

    /// Opens the session, for the first time or again.
    pub(crate) fn open(&mut self, limits: &Limits) -> OpeningId {
        let id = OpeningId(self.opened);
        self.opened += 1;
        self.openings.push((id, Opening::new(limits)));
        id
    }

    /// Forgets an opening whose last handle is gone.
    pub(crate) fn forget(&mut self, id: OpeningId) -> Option<Opening> {
        let at = self.openings.iter().position(|(known, _)| *known == id)?;
        Some(self.openings.swap_remove(at).1)
    }

    /// An opening that was not forgotten.
    pub(crate) fn opening(&mut self, id: OpeningId) -> Option<&mut Opening> {
        find(&mut self.openings, id)
    }

    /// Takes an event. `is_left`: whether the call that it announces is left to others.
    pub(crate) fn on_event(
        &mut self,
        id: OpeningId,
        event: &Event,
        is_left: bool,
        now: Instant,
    ) -> Command<R> {
        let Some(opening) = find(&mut self.openings, id) else {
            return Command::Nothing;
        };
        if let Event::ToolCall(call) = event {
            let is_surplus = match opening.on_call(call) {
                Admission::Ignored | Admission::Waits => return Command::Nothing,
                Admission::Claimed => false,
                Admission::Refused => true,
            };
            if is_left {
                return Command::Leave(call.clone());
            }
            return claim(&mut self.calls, (id, opening), call, |terms| Terms {
                announced: Announced::by(call),
                is_surplus,
                ..terms
            });
        }
        opening.on_event(event, now);
        match event {
            Event::CallExpired(call) => {
                let command = self.calls.on_expired(call);
                self.noted(id, command)
            }
            Event::TurnCompleted { turn_id, .. } => {
                Command::Cancel(self.calls.underway(Some(turn_id)))
            }
            Event::SessionClosed { .. } => Command::CancelAll(self.cancel_all(id)),
            _ => Command::Nothing,
        }
    }

    /// Has a call answered that the program asks for.
    pub(crate) fn answer(
        &mut self,
        id: OpeningId,
        call: &Arc<ToolCall>,
        announced: Announced,
    ) -> Command<R> {
        let Some(opening) = find(&mut self.openings, id) else {
            return Command::Nothing;
        };
        opening.forget_waiting(call);
        claim(&mut self.calls, (id, opening), call, |terms| Terms {
            announced,
            ..terms
        })
    }

    /// Has a call answered as cancelled, unless it was answered before.
    pub(crate) fn dismiss(&mut self, id: OpeningId, call: &Arc<ToolCall>) -> Command<R> {
        let Some(opening) = find(&mut self.openings, id) else {
            return Command::Nothing;
        };
        claim(&mut self.calls, (id, opening), call, |terms| Terms {
            is_late: true,
            ..terms
        })
    }

    /// Begins to serve: the calls that waited are to be answered now. `is_left`: whether one is left to others.
    pub(crate) fn serve(
        &mut self,
        id: OpeningId,
        is_left: impl Fn(&ToolCall) -> bool,
    ) -> Vec<Command<R>> {
        let Some(opening) = find(&mut self.openings, id) else {
            return Vec::new();
        };
        let calls = &mut self.calls;
        let waiting = opening.serve();
        let claimed = waiting.into_iter().map(|call| match is_left(&call) {
            true => Command::Leave(call),
            false => claim(calls, (id, &mut *opening), &call, |terms| Terms {
                announced: Announced::by(&call),
                ..terms
            }),
        });
        claimed.collect()
    }

    /// A handler finished with an answer of so many bytes. Returns where the answer goes.
    pub(crate) fn on_finished(&mut self, key: &CallKey, bytes: usize) -> Option<Arc<ToolCall>> {
        self.calls.on_finished(key, bytes)
    }

    /// Where the answer of a call goes that is not settled.
    pub(crate) fn address(&self, key: &CallKey) -> Option<Arc<ToolCall>> {
        self.calls.address(key)
    }

    /// The delivery of an answer to an address ended. Settles the call, with what became of the answer in its record; or
    /// returns false where the call was announced again at another address meanwhile, and its answer goes there too.
    /// `is_new`: whether the call was not settled before.
    pub(crate) fn on_delivered(
        &mut self,
        id: OpeningId,
        key: &CallKey,
        record: &mut Arc<DispatchRecord>,
        (address, to): (&Arc<ToolCall>, SubmissionRecord),
        is_new: bool,
    ) -> bool {
        let is_settled = self.calls.on_delivered(key, record, address, to);
        if is_settled && let Some(opening) = find(&mut self.openings, id) {
            opening.on_record(record, is_new);
        }
        is_settled
    }

    /// What the runtime said on its own of an answer that is to go to an address. `sent`: whether it was sent before.
    pub(crate) fn known(
        &self,
        key: &CallKey,
        address: &ToolCall,
        own: &SkillOutput,
        sent: bool,
    ) -> Option<SubmissionRecord> {
        self.calls.known(key, address, own, sent)
    }

    /// Takes the runtime's word on which answer of a call it took, whichever client gave it.
    pub(crate) fn on_completed(
        &mut self,
        id: OpeningId,
        call: &Arc<ToolCall>,
        taken: TakenAnswer,
    ) -> Command<R> {
        let command = self.calls.on_completed(call, taken);
        self.noted(id, command)
    }

    /// Takes the runtime's word that an answer of a call was taken, without a word on which.
    pub(crate) fn on_resolved(&mut self, id: OpeningId, call: &Arc<ToolCall>) -> Command<R> {
        let command = self.calls.on_resolved(call);
        self.noted(id, command)
    }

    /// Notes what became known of a settled call in its turn.
    fn noted(&mut self, id: OpeningId, command: Command<R>) -> Command<R> {
        if let Command::Resettled(resettled) = &command
            && let Some(opening) = find(&mut self.openings, id)
        {
            opening.on_record(&resettled.record, false);
        }
        command
    }

    /// Cancels everything of an opening, now and later. Returns what is underway of it: the session may be open again, and
    /// the calls of that opening go on.
    pub(crate) fn cancel_all(&mut self, id: OpeningId) -> Vec<R> {
        if let Some(opening) = find(&mut self.openings, id) {
            opening.is_cancelled = true;
        }
        self.calls.underway_of(id)
    }

    /// The calls of a turn that are not settled; of the whole session without one.
    pub(crate) fn underway(&self, turn_id: Option<&str>) -> Vec<R> {
        self.calls.underway(turn_id)
    }

    /// The tools of the calls of a turn that are not settled, sorted.
    pub(crate) fn unsettled(&self, turn_id: &str) -> Vec<String> {
        self.calls.unsettled(turn_id)
    }

    /// Whether the answers that are on their way leave room for another one.
    pub(crate) fn has_room(&mut self, id: OpeningId) -> bool {
        let room = find(&mut self.openings, id).map(|opening| opening.room);
        room.is_none_or(|room| self.calls.has_room(room))
    }
}

fn find(openings: &mut [(OpeningId, Opening)], id: OpeningId) -> Option<&mut Opening> {
    let mut openings = openings.iter_mut();
    openings
        .find(|(known, _)| *known == id)
        .map(|(_, opening)| opening)
}

/// Claims a call on an opening's terms, with the exceptions that `except` makes.
fn claim<R: Held>(
    calls: &mut Calls<R>,
    (id, opening): (OpeningId, &mut Opening),
    call: &Arc<ToolCall>,
    except: impl FnOnce(Terms) -> Terms,
) -> Command<R> {
    let terms = except(Terms {
        announced: Announced::Event,
        is_late: opening.is_cancelled || opening.is_over(call),
        is_surplus: false,
        room: opening.room,
        arrival: opening.arrivals,
        opening: id,
    });
    let command = calls.claim(call, terms);
    if let Command::Run(_) | Command::Refuse(_) | Command::Shed { .. } = command {
        opening.arrivals += 1;
    }
    command
}

/// The state of a session, shared by those who drive it and by what outlives its handles.
#[derive(Debug)]
pub(crate) struct SharedState<R>(Arc<Mutex<State<R>>>);

impl<R> Clone for SharedState<R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: Held> SharedState<R> {
    /// A session that remembers settled calls within these limits.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(State::new(limits))))
    }

    /// The state, locked. Nothing else is locked before it is unlocked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size of the answers that are remembered, in bytes.
    pub(crate) fn settled_bytes(&self) -> usize {
        self.lock().calls.settled_bytes()
    }

    /// Drops the answers, but not that there were some.
    pub(crate) fn drop_answers(&self) {
        self.lock().calls.drop_answers();
    }
}
