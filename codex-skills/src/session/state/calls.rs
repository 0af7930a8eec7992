//! The calls of one session: which were claimed, where their answers go, and which were settled.

use std::sync::Arc;

use super::command::{Admitted, Command, Held, OpeningId, Resettled};
use super::ledger::{Claim, Kept, Ledger};
use crate::dispatch::{DispatchRecord, Limits, SubmissionRecord, SubmissionStatus, Verdict};
use crate::runtime::TakenAnswer;
use crate::skill::call::{CallKey, is_newer};
use crate::skill::{SkillOutput, ToolCall};

/// How many times the limit of open calls may be unanswered, refusals that are on their way included.
const UNANSWERED: usize = 4;

/// The size of answers, in bytes, that count as nothing while they are on their way.
const SMALL_BYTES: usize = 4 * 1024;

impl Kept for Arc<DispatchRecord> {
    fn bytes(&self) -> usize {
        DispatchRecord::bytes(self)
    }

    fn without_answer(&self) -> Self {
        Arc::new(self.stripped())
    }
}

/// How a call became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announced {
    /// By an event, which may be a repeat of one that was served.
    Event,
    /// By the runtime's list of calls that wait, so its answer has not arrived.
    Waiting,
}

impl Announced {
    /// How an event's call became known.
    pub(super) fn by(call: &ToolCall) -> Self {
        if call.is_listed {
            Self::Waiting
        } else {
            Self::Event
        }
    }
}

/// How many calls may be open, and how many bytes of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) calls: usize,
    pub(super) bytes: usize,
}

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            calls: limits.open_calls.max(1),
            bytes: limits.open_bytes,
        }
    }
}

/// How a call is claimed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) announced: Announced,
    /// Whether its turn or its session is over, so that no handler begins.
    pub(super) is_late: bool,
    /// Whether it is one too many.
    pub(super) is_surplus: bool,
    pub(super) room: Room,
    /// Its position among the calls of the opening, from 0.
    pub(super) arrival: u64,
    /// The opening that claims it, and cancels it when it ends.
    pub(super) opening: OpeningId,
}

/// A call that was claimed and is not settled.
#[derive(Debug)]
struct Underway<R> {
    running: R,
    /// The opening that claimed it.
    opening: OpeningId,
    /// Where its answer goes: the newest announcement of it.
    address: Arc<ToolCall>,
    /// What the runtime says on its own of its answer.
    verdict: Verdict,
}

/// The calls of one session.
#[derive(Debug)]
pub(super) struct Calls<R> {
    ledger: Ledger<Underway<R>, Arc<DispatchRecord>>,
}

impl<R: Held> Calls<R> {
    /// Remembers settled calls within these limits.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            ledger: Ledger::new(limits.settled_calls, limits.settled_bytes),
        }
    }

    /// Claims an announced call, or finds who has it.
    pub(super) fn claim(&mut self, call: &Arc<ToolCall>, terms: Terms) -> Command<R> {
        let key = self.key_of(call);
        let fullness = self.fullness(terms.room);
        let new = || Underway {
            running: R::of(key.clone()),
            opening: terms.opening,
            address: call.clone(),
            verdict: Verdict::default(),
        };
        let running = match self.ledger.claim(&key, new) {
            Claim::Join(underway) => {
                if is_newer(call, &underway.address) {
                    underway.address = call.clone();
                }
                return Command::Join(underway.running.clone());
            }
            Claim::Repeat(stored) => return self.repeat(&key, call, stored, terms),
            Claim::Run(underway) => underway.running.clone(),
        };
        let admitted = Admitted {
            running,
            call: call.clone(),
            arrival: terms.arrival,
            is_late: terms.is_late,
        };
        match fullness {
            Fullness::FarTooMany => {
                self.ledger.disclaim(&key);
                Command::Shed {
                    call: call.clone(),
                    arrival: terms.arrival,
                }
            }
            Fullness::Room if !terms.is_surplus => Command::Run(admitted),
            _ => Command::Refuse(admitted),
        }
    }

    /// A settled call is announced again: its answer goes there, where it may not have arrived.
    fn repeat(
        &mut self,
        key: &CallKey,
        call: &Arc<ToolCall>,
        stored: Arc<DispatchRecord>,
        terms: Terms,
    ) -> Command<R> {
        let moved = !call.same_address(&stored.call);
        let before = stored.submission().status();
        let delivered = matches!(
            before,
            SubmissionStatus::Accepted | SubmissionStatus::Written
        );
        if !is_newer(call, &stored.call)
            || (delivered && !moved && terms.announced != Announced::Waiting)
        {
            return Command::Repeat(stored);
        }
        let running = R::of(key.clone());
        let underway = Underway {
            running: running.clone(),
            opening: terms.opening,
            address: call.clone(),
            verdict: Verdict::default(),
        };
        self.ledger.reopen(key, underway);
        Command::DeliverAgain {
            admitted: Admitted {
                running,
                call: call.clone(),
                arrival: stored.arrival,
                is_late: terms.is_late,
            },
            is_retry: before == SubmissionStatus::Exhausted && !moved,
            record: stored,
        }
    }

    /// A handler finished with an answer of so many bytes. Returns where the answer goes.
    pub(super) fn on_finished(&mut self, key: &CallKey, bytes: usize) -> Option<Arc<ToolCall>> {
        if bytes > SMALL_BYTES {
            self.ledger.weigh(key, bytes);
        }
        self.address(key)
    }

    /// Where the answer of a call goes that is not settled.
    pub(super) fn address(&self, key: &CallKey) -> Option<Arc<ToolCall>> {
        Some(self.ledger.running_of(key)?.address.clone())
    }

    /// The delivery of an answer to an address ended. Settles the call, with what became of the answer in its record; or
    /// returns false where the call was announced again at another address meanwhile, and its answer goes there too.
    pub(super) fn on_delivered(
        &mut self,
        key: &CallKey,
        record: &mut Arc<DispatchRecord>,
        address: &Arc<ToolCall>,
        to: SubmissionRecord,
    ) -> bool {
        let underway = self.ledger.running_of(key);
        if underway.is_some_and(|underway| !underway.address.same_address(address)) {
            return false;
        }
        let settled = Arc::make_mut(record);
        settled.submission = match underway {
            Some(underway) => underway.verdict.correct(to, address, &settled.output),
            None => to,
        };
        settled.call = address.clone();
        self.ledger.settle(key, record.clone());
        true
    }

    /// What the runtime said on its own of an answer that is to go to an address. `sent`: whether it was sent before.
    pub(super) fn known(
        &self,
        key: &CallKey,
        address: &ToolCall,
        own: &SkillOutput,
        sent: bool,
    ) -> Option<SubmissionRecord> {
        let underway = self.ledger.running_of(key)?;
        underway.verdict.on(address, own, sent)
    }

    /// Notes which answer of a call the runtime took, whichever client gave it.
    pub(super) fn on_completed(&mut self, call: &Arc<ToolCall>, taken: TakenAnswer) -> Command<R> {
        let key = CallKey::new(call);
        if let Some(underway) = self.ledger.running_mut(&key) {
            underway.verdict.complete(taken);
            return Command::Notify(underway.running.clone());
        }
        // Without its answer it cannot be said which was taken.
        let known = self.ledger.settled_of(&key);
        let Some(known) = known.filter(|known| !known.is_stripped()) else {
            return Command::Nothing;
        };
        let submission = known.submission.clone();
        let submission = submission.completed((&*known.output).into(), taken);
        match submission.status == known.submission.status {
            true => Command::Nothing,
            false => Command::Resettled(self.resettle(&key, known.clone(), submission)),
        }
    }

    /// An answer of a call was taken, and the runtime does not say which: no attempt to deliver one follows, and one that
    /// was given up as not delivered is settled.
    pub(super) fn on_resolved(&mut self, call: &Arc<ToolCall>) -> Command<R> {
        let key = self.key_of(call);
        if let Some(underway) = self.ledger.running_mut(&key) {
            underway.verdict.resolve(call);
            return Command::Notify(underway.running.clone());
        }
        self.settle_given_up(key, call, "resolved")
            .map_or(Command::Nothing, Command::Resettled)
    }

    /// The runtime wants no answer of a call any more: its handler is cancelled, and an answer that was given up as not
    /// delivered is settled.
    pub(super) fn on_expired(&mut self, call: &Arc<ToolCall>) -> Command<R> {
        let key = self.key_of(call);
        if let Some(underway) = self.ledger.running_of(&key) {
            return Command::Cancel(vec![underway.running.clone()]);
        }
        self.settle_given_up(key, call, "expired")
            .map_or(Command::Nothing, Command::Resettled)
    }

    /// Settles an answer that was given up as not delivered, and is wanted no more. `code`: what the runtime calls it.
    fn settle_given_up(&mut self, key: CallKey, call: &ToolCall, code: &str) -> Option<Resettled> {
        let stored = self.ledger.settled_of(&key)?;
        let is_given_up = stored.submission.status == SubmissionStatus::Exhausted;
        if !is_given_up || !stored.call.same_address(call) {
            return None;
        }
        let submission = SubmissionRecord {
            status: SubmissionStatus::Settled,
            code: Some(code.into()),
            ..stored.submission.clone()
        };
        Some(self.resettle(&key, stored.clone(), submission))
    }

    fn resettle(
        &mut self,
        key: &CallKey,
        known: Arc<DispatchRecord>,
        submission: SubmissionRecord,
    ) -> Resettled {
        let before = known.submission.status;
        let record = Arc::new(DispatchRecord {
            submission,
            ..DispatchRecord::clone(&known)
        });
        self.ledger.settle(key, record.clone());
        Resettled { before, record }
    }

    /// The calls of a turn that are not settled; of the whole session without one.
    pub(super) fn underway(&self, turn_id: Option<&str>) -> Vec<R> {
        self.ledger
            .running()
            .filter(|(key, _)| turn_id.is_none_or(|turn| key.turn_id() == Some(turn)))
            .map(|(_, underway)| underway.running.clone())
            .collect()
    }

    /// The calls that an opening claimed and that are not settled.
    pub(super) fn underway_of(&self, opening: OpeningId) -> Vec<R> {
        self.ledger
            .running()
            .filter(|(_, underway)| underway.opening == opening)
            .map(|(_, underway)| underway.running.clone())
            .collect()
    }

    /// The tools of the calls of a turn that are not settled, sorted.
    pub(super) fn unsettled(&self, turn_id: &str) -> Vec<String> {
        let mut tools: Vec<String> = self
            .ledger
            .running()
            .filter(|(key, _)| key.turn_id() == Some(turn_id))
            .map(|(_, underway)| underway.address.qualified_tool().into_owned())
            .collect();
        tools.sort_unstable();
        tools
    }

    /// Whether the answers that are on their way leave room for another one.
    pub(super) fn has_room(&self, room: Room) -> bool {
        self.ledger.answer_bytes() < room.bytes.max(1)
    }

    /// The size of the answers that are remembered, in bytes.
    pub(super) fn settled_bytes(&self) -> usize {
        self.ledger.settled_bytes()
    }

    /// Drops the answers that are remembered, but not that there were some.
    pub(super) fn drop_answers(&mut self) {
        self.ledger.drop_answers(0);
    }

    fn fullness(&self, room: Room) -> Fullness {
        let exceeds = |times: usize| {
            let times = |limit: usize| limit.max(1).saturating_mul(times);
            self.ledger.running_len() >= times(room.calls)
                || self.ledger.running_bytes() >= times(room.bytes)
        };
        match (exceeds(1), exceeds(UNANSWERED)) {
            (_, true) => Fullness::FarTooMany,
            (true, _) => Fullness::Full,
            _ => Fullness::Room,
        }
    }

    /// The key of a call. Where one announcement leaves the turn out and another does not, both are the same call if they
    /// have the same call id and address.
    fn key_of(&self, call: &Arc<ToolCall>) -> CallKey {
        let key = CallKey::new(call);
        if call.call_id.is_none() || call.request_id.is_none() {
            return key;
        }
        let says_turn = call.turn_id.is_some();
        if (says_turn && !self.ledger.has_turnless()) || self.ledger.contains(&key) {
            return key;
        }
        if says_turn {
            let turnless = CallKey::turnless(call);
            return match self.ledger.contains(&turnless) {
                true => turnless,
                false => key,
            };
        }
        let same = |known: &CallKey, address: &ToolCall| {
            known.thread_id() == key.thread_id()
                && address.call_id == call.call_id
                && address.same_address(call)
        };
        let mut running = self.ledger.running();
        let running = running.find(|(known, underway)| same(known, &underway.address));
        let settled = || {
            let mut settled = self.ledger.settled();
            settled.find(|(known, record)| same(known, &record.call))
        };
        running
            .map(|(known, _)| known)
            .or_else(|| settled().map(|(known, _)| known))
            .cloned()
            .unwrap_or(key)
    }
}

/// How full a session is of calls that are not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fullness {
    /// There is room for one more.
    Room,
    /// One more is refused.
    Full,
    /// One more is not even refused: too many refusals are on their way.
    FarTooMany,
}
