//! Drives a session: what happens goes into its [`state`](super::state), and what comes out is carried out here.
//!
//! The state is locked once for an event and unlocked before anything is carried out, so what is woken, cancelled or logged
//! may come back to it.

use std::sync::{Arc, MutexGuard};

use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::core::SessionCore;
use super::delivery::{Claimed, Running, TakenUp, Work};
use super::state::{Admitted, Announced, Closed, Command, Opening, State};
use crate::dispatch::{
    DispatchRecord, Finished, SubmissionRecord, SubmissionStatus, broken_off, left_waiting,
};
use crate::error::Error;
use crate::runtime::{CompletedCall, Event, EventSink};
use crate::skill::ToolCall;

impl SessionCore {
    /// Has a call answered and waits for the record. Cancel safe: the call goes on.
    pub(crate) async fn respond(
        &self,
        call: Arc<ToolCall>,
        announced: Announced,
    ) -> Arc<DispatchRecord> {
        let command = self.state().answer(self.opening, &call, announced);
        match self.take_up(command) {
            Some(taken_up) => taken_up.record().await,
            None => Arc::new(broken_off(&call, 0)),
        }
    }

    /// Has calls answered as cancelled, those excepted that were answered before.
    pub(crate) fn dismiss(&self, calls: Vec<Arc<ToolCall>>) {
        for call in calls.into_iter().filter(|call| !self.leaves(call)) {
            let command = self.state().dismiss(self.opening, &call);
            self.take_up(command);
        }
    }

    /// Runs the handler of a call that nothing announced, without ledger and delivery.
    pub(crate) async fn run(&self, call: ToolCall) -> Finished {
        self.executor.run(Arc::new(call), &self.interest).await
    }

    /// Has calls answered as they come, until the guard is dropped.
    pub(crate) fn serve(&self) -> Result<Serving<'_>, Error> {
        self.check_catalog()?;
        Ok(self.begin_serving())
    }

    /// The same for a turn that is waited for, which may have no calls where it is not known whether the session has
    /// tools.
    pub(crate) fn serve_turn(&self) -> Result<Serving<'_>, Error> {
        if self.known_fingerprint().is_some() {
            self.check_catalog()?;
        }
        Ok(self.begin_serving())
    }

    fn begin_serving(&self) -> Serving<'_> {
        let is_shared = self.runtime().is_shared();
        let is_left = |call: &ToolCall| self.leaves_where(is_shared, call);
        let commands = self.state().serve(self.opening, is_left);
        let serving = Serving(self);
        for command in commands {
            self.carry_out(command);
        }
        serving
    }

    /// Waits for the answers of all calls, and returns whether they came in time. Cancel safe.
    pub(crate) async fn settled_until(&self, deadline: Option<Instant>) -> bool {
        let settled = self.settled(None);
        match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline, settled).await.is_ok(),
            None => {
                settled.await;
                true
            }
        }
    }

    /// The same for calls that were cancelled.
    pub(crate) async fn last_answers(&self, deadline: Option<Instant>) {
        if !self.settled_until(deadline).await {
            tracing::warn!(target: "codex_skills::session", session = &*self.id, "a session is let go while answers are still on their way");
        }
    }

    /// Waits until no call of the turn (of the whole session without one) is unsettled. Cancel safe.
    pub(crate) async fn settled(&self, turn_id: Option<&str>) {
        loop {
            let underway = self.state().underway(turn_id);
            if underway.is_empty() {
                return;
            }
            for running in underway {
                running.record().await;
            }
        }
    }

    /// The tools of the calls of a turn that are not settled, sorted.
    pub(crate) fn unsettled(&self, turn_id: &str) -> Vec<String> {
        self.state().unsettled(turn_id)
    }

    /// Cancels the calls of a turn.
    pub(crate) fn cancel_turn(&self, turn_id: &str) {
        let underway = self.state().underway(Some(turn_id));
        cancel(&underway);
    }

    /// Cancels everything, now and later. Returns how many calls were not settled.
    pub(crate) fn cancel_all(&self) -> usize {
        self.interest.cancel();
        let underway = self.state().cancel_all(self.opening);
        cancel(&underway);
        underway.len()
    }

    /// Where the rest of a call is done: on the caller's tokio runtime, or the one that the session was opened on.
    pub(super) fn handle(&self) -> Handle {
        Handle::try_current().unwrap_or_else(|_| self.tokio.clone())
    }

    /// Unlocks the state; warns once when the records of the session's turns became too large.
    pub(super) fn warn_of_stripped(&self, mut state: MutexGuard<'_, State<Arc<Running>>>) {
        let opening = state.opening(self.opening);
        let is_first = opening.is_some_and(Opening::begins_to_strip);
        drop(state);
        if is_first {
            tracing::warn!(target: "codex_skills::session", session = &*self.id, "the records of the session's turns are too large: the oldest lose their arguments and answers");
        }
    }

    /// Does what is to be done for an announced call; `None` for every other command.
    fn take_up(&self, command: Command<Arc<Running>>) -> Option<TakenUp> {
        let counters = &self.client.common.counters;
        let running = match command {
            Command::Run(admitted) => {
                counters.receive();
                let work = Work::Run(self.executor.stand_in_line(&admitted.call));
                self.begin(admitted, None, work)?
            }
            Command::Refuse(admitted) => {
                counters.receive();
                self.begin(admitted, None, Work::Refuse)?
            }
            Command::DeliverAgain {
                admitted,
                record,
                is_retry,
            } => {
                counters.repeat();
                counters.reopen(record.submission.status);
                self.begin(admitted, Some(record), Work::DeliverAgain { is_retry })?
            }
            Command::Join(running) => {
                counters.repeat();
                running
            }
            Command::Repeat(stored) => {
                counters.repeat();
                return Some(TakenUp::Known(Arc::new(DispatchRecord {
                    submission: SubmissionRecord::unsent(SubmissionStatus::Repeated),
                    repeat: true,
                    ..DispatchRecord::clone(&stored)
                })));
            }
            Command::Shed { call, arrival } => {
                counters.leave_waiting();
                return Some(TakenUp::Known(Arc::new(left_waiting(&call, arrival))));
            }
            _ => return None,
        };
        Some(TakenUp::Running(running))
    }

    /// Begins the work of a claimed call. The claim holds the session: while one of its calls is not settled, it is found by
    /// those who open it again.
    fn begin(
        &self,
        admitted: Admitted<Arc<Running>>,
        record: Option<Arc<DispatchRecord>>,
        work: Work,
    ) -> Option<Arc<Running>> {
        let Admitted {
            running,
            call,
            arrival,
            is_late,
        } = admitted;
        if is_late {
            running.cancel();
        }
        // The call's span is in that of its turn, unless the turn is over or a sub-agent's.
        let within = match &call.turn_id {
            Some(turn_id) if !is_late && call.thread_id.is_none() => self.spans.turn(turn_id),
            _ => self.spans.session().clone(),
        };
        let core = self.this.upgrade()?;
        within.in_scope(|| {
            // Made here and not on the task, which may go down before it begins.
            let claimed = Claimed::new(core, running.clone(), &call, arrival, record);
            claimed.begin(call, work);
        });
        Some(running)
    }

    /// Does what is to be done.
    fn carry_out(&self, command: Command<Arc<Running>>) {
        match command {
            Command::Leave(call) => self.leave(&call),
            Command::Cancel(running) => cancel(&running),
            Command::CancelAll(running) => {
                self.interest.cancel();
                cancel(&running);
            }
            Command::Notify(running) => running.notify(),
            command => drop(self.take_up(command)),
        }
    }

    /// Unlocks the state. What is to be counted is counted before, and what else is to be done is returned.
    fn unlock(
        &self,
        state: MutexGuard<'_, State<Arc<Running>>>,
        command: Command<Arc<Running>>,
    ) -> Command<Arc<Running>> {
        if let Command::Resettled(resettled) = command {
            let counters = &self.client.common.counters;
            counters.resettle(resettled.before, resettled.record.submission.status);
            self.warn_of_stripped(state);
            return Command::Nothing;
        }
        command
    }
}

fn cancel(underway: &[Arc<Running>]) {
    for running in underway {
        running.cancel();
    }
}

impl EventSink for SessionCore {
    fn call_completed(&self, completed: &CompletedCall) {
        let arguments = RawValue::NULL.to_owned();
        let mut call = ToolCall::new(self.id.clone(), self.id.clone(), arguments);
        call.turn_id = Some(completed.turn_id.clone());
        call.call_id = Some(completed.call_id.clone());
        call.thread_id = completed.thread_id.clone();
        let mut state = self.state();
        let command = state.on_completed(self.opening, &Arc::new(call), completed.answer);
        self.carry_out(self.unlock(state, command));
    }

    fn call_resolved(&self, call: &Arc<ToolCall>) {
        let mut state = self.state();
        let command = state.on_resolved(self.opening, call);
        self.carry_out(self.unlock(state, command));
    }

    fn answers_calls(&self) -> bool {
        !self.leaves_calls()
    }

    fn deliver(&self, event: Event) {
        let is_left = matches!(&event, Event::ToolCall(call) if self.leaves(call));
        let mut state = self.state();
        let command = state.on_event(self.opening, &event, is_left, Instant::now());
        let command = self.unlock(state, command);
        match &event {
            Event::TurnStarted { turn_id } => drop(self.spans.turn(turn_id)),
            Event::TurnCompleted {
                turn_id, status, ..
            } => self.spans.end_turn(turn_id, status),
            _ => {}
        }
        for reader in self.readers().iter() {
            if let Some(queue) = reader.upgrade() {
                queue.push(event.clone());
            }
        }
        self.carry_out(command);
        match event {
            Event::SessionClosed { reason, is_lost } => {
                drop(self.close_as(Closed { reason, is_lost }));
            }
            _ => self.changed.notify_waiters(),
        }
    }
}

/// The session's calls are served while it lives.
#[must_use = "calls are served while the guard lives"]
pub(crate) struct Serving<'a>(&'a SessionCore);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.look(Opening::unserve);
    }
}
