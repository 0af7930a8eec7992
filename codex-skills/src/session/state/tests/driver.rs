//! The driver's side of the world: it does what the machine says, and brings everything to rest.

use super::super::*;
use super::world::{Handle, Task, World};
use crate::dispatch::{SubmissionStatus, broken_off};

impl World {
    pub(super) fn finish_at(&mut self, at: usize) {
        let bytes = if self.dice.one_in(4) { 10_000 } else { 10 };
        let task = &self.tasks[at];
        let (of, key) = (task.of, &task.handle.0);
        let address = self.state.on_finished(key, bytes);
        let record = Arc::new(broken_off(key.call(), task.arrival));
        self.check(address.is_some(), || {
            format!("{of} finishes and is not known")
        });
        let address = address.unwrap_or_else(|| self.calls[of].call.clone());
        self.tasks[at].delivery = Some((record, address));
        self.note(|| format!("{of} finishes"));
    }

    /// Ends a delivery. `is_lost`: whether the answer, or the word that it arrived, is lost on the way.
    pub(super) fn deliver_at(&mut self, at: usize, is_lost: bool) {
        let Some((mut record, address)) = self.tasks[at].delivery.take() else {
            return;
        };
        let (of, handle) = (self.tasks[at].of, self.tasks[at].handle.clone());
        let (opening, is_new) = (self.tasks[at].opening, self.tasks[at].is_new);
        let known = self.state.known(&handle.0, &address, &record.output, true);
        let to =
            known.unwrap_or_else(|| SubmissionRecord::unsent(self.arrive(of, &address, is_lost)));
        self.note(|| {
            format!(
                "the answer of {of} to {:?} is {:?}",
                address.request_id, to.status
            )
        });
        let delivered = (&address, to);
        if self
            .state
            .on_delivered(opening, &handle.0, &mut record, delivered, is_new)
        {
            self.tasks.swap_remove(at);
            return;
        }
        // Announced again at another address meanwhile.
        let again = self.state.address(&handle.0);
        self.check(again.is_some(), || format!("{of} has nowhere to go"));
        match again {
            Some(again) => self.tasks[at].delivery = Some((record, again)),
            None => drop(self.tasks.swap_remove(at)),
        }
    }

    /// An answer arrives at the runtime, or does not.
    fn arrive(&mut self, of: usize, address: &ToolCall, is_lost: bool) -> SubmissionStatus {
        let both = self.dice.one_in(2);
        let wanted = &mut self.calls[of];
        if !wanted.call.same_address(address) {
            return SubmissionStatus::Exhausted;
        }
        wanted.is_owed &= !is_lost;
        match (is_lost, both) {
            (false, _) if wanted.is_answered || wanted.is_gone => SubmissionStatus::Settled,
            (false, is_acknowledged) => {
                wanted.is_answered = true;
                match is_acknowledged {
                    true => SubmissionStatus::Accepted,
                    false => SubmissionStatus::Written,
                }
            }
            (true, true) => SubmissionStatus::Written,
            (true, false) => SubmissionStatus::Exhausted,
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        let (opening, now) = (self.opening, Instant::now());
        let command = self.state.on_event(opening, event, false, now);
        if let (Event::ToolCall(call), Command::Join(handle)) = (event, &command) {
            let address = self.state.address(&handle.0);
            let is_newest = address.is_some_and(|address| address.generation >= call.generation);
            self.check(is_newest, || {
                "an answer goes to an older address".to_owned()
            });
        }
        if let (Event::TurnCompleted { turn_id, .. }, Command::Cancel(cancelled)) =
            (event, &command)
        {
            let in_turn = |task: &&Task| task.handle.0.turn_id() == Some(turn_id);
            let open = self.tasks.iter().filter(in_turn).count();
            let cancelled = cancelled.len();
            self.check(open == cancelled, || {
                format!("{cancelled} of {open} are cancelled")
            });
        }
        self.obey(command);
    }

    /// Does what the machine says, as the driver would.
    pub(super) fn obey(&mut self, command: Command<Handle>) {
        self.note(|| format!("  {}", name(&command)));
        match command {
            Command::Run(admitted) => {
                let of = self.begin(admitted, true);
                self.calls[of].runs += 1;
                let runs = self.calls[of].runs;
                self.check(runs == 1, || format!("{of} is run again"));
            }
            Command::Refuse(admitted) => {
                self.begin(admitted, true);
            }
            Command::DeliverAgain {
                admitted, record, ..
            } => {
                let address = admitted.call.clone();
                self.begin(admitted, false);
                if let Some(task) = self.tasks.last_mut() {
                    task.delivery = Some((record, address));
                }
            }
            Command::Join(handle) => {
                let is_underway = self.tasks.iter().any(|task| task.handle.0 == handle.0);
                self.check(is_underway, || "what is joined is not underway".to_owned());
                let address = self.state.address(&handle.0);
                let of: usize = handle.0.call().arguments.get().parse().unwrap_or_default();
                let wanted = &mut self.calls[of];
                wanted.is_owed |= address.is_some_and(|address| address.same_address(&wanted.call));
            }
            Command::Leave(_) => self.check(false, || "nothing is left to others here".to_owned()),
            _ => {}
        }
    }

    fn begin(&mut self, admitted: Admitted<Handle>, is_new: bool) -> usize {
        let of: usize = admitted.call.arguments.get().parse().unwrap_or_default();
        let is_over = admitted.call.turn_id.is_some() && self.ended[self.calls[of].turn];
        self.check(!is_over || admitted.is_late, || format!("{of} is not late"));
        let wanted = &mut self.calls[of];
        wanted.is_owed = admitted.call.same_address(&wanted.call);
        self.tasks.push(Task {
            of,
            handle: admitted.running,
            opening: self.opening,
            is_new,
            arrival: admitted.arrival,
            delivery: None,
        });
        of
    }

    /// Handlers finish, answers arrive, and what waits is listed, until nothing happens any more.
    pub(super) fn come_to_rest(&mut self) {
        self.note(|| "come to rest".to_owned());
        self.end_tasks();
        for of in 0..self.calls.len() {
            let wanted = &self.calls[of];
            let is_forgotten = wanted.is_owed && !wanted.is_answered && !wanted.is_gone;
            self.check(!is_forgotten, || format!("{of} is owed an answer"));
        }
        // A list may be longer than the session has room for.
        for _ in 0..8 {
            self.list();
            if self.tasks.is_empty() {
                break;
            }
            self.end_tasks();
        }
        let underway = self.state.underway(None).len();
        self.check(underway == 0, || {
            format!("{underway} are underway for ever")
        });
        for of in 0..self.calls.len() {
            let wanted = &self.calls[of];
            let is_unanswered = !wanted.is_answered && !wanted.is_gone;
            self.check(!is_unanswered, || format!("{of} is not answered"));
        }
        self.check_turns();
    }

    /// Has all handlers finish and all answers arrive.
    fn end_tasks(&mut self) {
        while !self.tasks.is_empty() {
            if self.tasks[0].delivery.is_none() {
                self.finish_at(0);
            }
            self.deliver_at(0, false);
        }
    }

    /// Each call has one record at most in its turn.
    fn check_turns(&mut self) {
        for turn in self.turns.clone() {
            let opening = self.state.opening(self.opening);
            let turn = opening.and_then(|opening| opening.turn(&turn).cloned());
            let records = turn.unwrap_or_default().records;
            let mut seen: Vec<CallKey> = Vec::new();
            for record in &records {
                let key = CallKey::new(&record.call);
                self.check(!seen.contains(&key), || "a call has two records".to_owned());
                seen.push(key);
            }
        }
    }
}

fn name(command: &Command<Handle>) -> String {
    let text = format!("{command:?}");
    let end = text.find(['(', ' ', '{']).unwrap_or(text.len());
    text[..end].to_owned()
}
