//! The world that the properties are played in: a runtime that knows which calls are open and where their answers go, and what
//! may happen to it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::value::RawValue;

use super::super::*;
use crate::dispatch::{broken_off, never_sent};
use crate::runtime::TurnStatus;

/// Made once: asking for the number of cores takes long.
static LIMITS: LazyLock<Limits> = LazyLock::new(Limits::default);

/// What the world keeps of a call that is underway.
#[derive(Clone, Debug)]
pub(super) struct Handle(pub(super) CallKey);

impl Held for Handle {
    fn of(key: CallKey) -> Self {
        Self(key)
    }
}

/// Numbers by chance, the same ones for a seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).unwrap_or_default() % sides
    }

    /// Whether it is one of so many.
    pub(super) fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}

/// A call as the runtime knows it.
pub(super) struct Wanted {
    /// Its announcement at the newest address.
    pub(super) call: Arc<ToolCall>,
    /// Those at older addresses.
    pub(super) older: Vec<Arc<ToolCall>>,
    pub(super) turn: usize,
    /// Whether it was announced without its turn: its request id may identify it then, and no restart keeps that.
    pub(super) is_turnless: bool,
    /// Whether its turn ended, it expired, or nothing identifies it after a restart: it needs no answer.
    pub(super) is_gone: bool,
    pub(super) is_answered: bool,
    /// Whether the machine took it up at its newest address, and nothing was lost on the way since: then its answer comes
    /// without another announcement.
    pub(super) is_owed: bool,
    pub(super) runs: usize,
}

/// A claimed call on the driver's side.
pub(super) struct Task {
    pub(super) of: usize,
    pub(super) handle: Handle,
    pub(super) opening: OpeningId,
    pub(super) is_new: bool,
    pub(super) arrival: u64,
    /// The answer and where it is on its way to, once the handler finished.
    pub(super) delivery: Option<(Arc<DispatchRecord>, Arc<ToolCall>)>,
}

pub(super) struct World {
    pub(super) state: State<Handle>,
    pub(super) opening: OpeningId,
    pub(super) limits: Limits,
    pub(super) dice: Dice,
    pub(super) session: Arc<str>,
    pub(super) tool: Arc<str>,
    pub(super) turns: [Arc<str>; 2],
    pub(super) ended: [bool; 2],
    pub(super) serves: bool,
    pub(super) generation: u64,
    pub(super) requests: u64,
    pub(super) calls: Vec<Wanted>,
    pub(super) tasks: Vec<Task>,
    /// What was played, where that is asked for.
    pub(super) log: Option<String>,
    pub(super) wrong: Option<String>,
}

impl World {
    pub(super) fn new(seed: u64, is_logged: bool) -> Self {
        let mut dice = Dice(seed);
        let few = dice.one_in(4);
        let limits = Limits {
            open_calls: if few { 1 } else { 64 },
            settled_bytes: if dice.one_in(4) { 0 } else { 1 << 20 },
            ..LIMITS.clone()
        };
        let mut state = State::new(&limits);
        Self {
            opening: state.open(&limits),
            state,
            limits,
            dice,
            session: "s".into(),
            tool: "tool".into(),
            turns: ["t".into(), "u".into()],
            ended: [false; 2],
            serves: false,
            generation: 0,
            requests: 0,
            calls: Vec::new(),
            tasks: Vec::new(),
            log: is_logged.then(String::new),
            wrong: None,
        }
    }

    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let _ = writeln!(log, "{}", what());
        }
    }

    pub(super) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds && self.wrong.is_none() {
            self.wrong = Some(what());
        }
    }

    pub(super) fn step(&mut self) {
        match self.dice.below(16) {
            0..=2 => self.call(),
            3 => self.announce_again(),
            4 => self.announce_late(),
            5 => self.list(),
            6 => self.restart(),
            7 | 8 => self.finish(),
            9 | 10 => self.deliver(),
            11 => self.end_turn(),
            12 => self.serve(),
            13 => self.speak(),
            14 => self.expire_or_break_off(),
            _ => self.reopen(),
        }
    }

    /// The model calls.
    fn call(&mut self) {
        if self.calls.len() >= 5 {
            return;
        }
        let (of, turn) = (self.calls.len(), self.dice.below(2));
        // The same ids in both turns.
        let nth = self.calls.iter().filter(|call| call.turn == turn).count();
        let arguments = RawValue::from_string(of.to_string());
        let arguments = arguments.unwrap_or_else(|_| RawValue::NULL.to_owned());
        let mut call = ToolCall::new(self.session.clone(), self.tool.clone(), arguments);
        call.turn_id = Some(self.turns[turn].clone());
        call.call_id = Some(format!("c{nth}").into());
        if self.dice.one_in(6) {
            call.thread_id = Some("child".into());
        }
        self.address(&mut call);
        let without_turn = self.dice.one_in(5);
        self.calls.push(Wanted {
            call: Arc::new(call),
            older: Vec::new(),
            turn,
            is_turnless: false,
            is_gone: self.ended[turn],
            is_answered: false,
            is_owed: false,
            runs: 0,
        });
        self.announce(of, without_turn, false);
    }

    pub(super) fn address(&mut self, call: &mut ToolCall) {
        call.request_id = Some(self.requests.into());
        call.generation = self.generation;
        self.requests += 1;
    }

    /// Announces a call at its newest address.
    pub(super) fn announce(&mut self, of: usize, without_turn: bool, is_listed: bool) {
        let mut call = ToolCall::clone(&self.calls[of].call);
        call.is_listed = is_listed;
        if without_turn {
            call.turn_id = None;
            self.calls[of].is_turnless = true;
        }
        self.note(|| format!("announce {of}, turn left out: {without_turn}, listed: {is_listed}"));
        self.event(&Event::ToolCall(Arc::new(call)));
    }

    fn announce_again(&mut self) {
        if let Some(of) = self.any() {
            let has_moved = !self.calls[of].older.is_empty();
            // Codex says no more of it, since it would look like another call.
            if has_moved && self.calls[of].is_turnless {
                return;
            }
            let without_turn = self.dice.one_in(4) && !has_moved;
            self.announce(of, without_turn, false);
        }
    }

    /// An announcement from before a restart is read late.
    fn announce_late(&mut self) {
        let Some(of) = self.any() else { return };
        if let Some(older) = self.calls[of].older.first().cloned() {
            self.note(|| format!("announce {of} as it was before"));
            self.event(&Event::ToolCall(older));
        }
    }

    /// The program asks for what waits, and has it answered.
    pub(super) fn list(&mut self) {
        self.note(|| "list what waits".to_owned());
        for of in 0..self.calls.len() {
            let wanted = &self.calls[of];
            if wanted.is_answered || wanted.is_gone {
                continue;
            }
            let mut call = ToolCall::clone(&wanted.call);
            call.is_listed = true;
            let call = Arc::new(call);
            let command = self.state.answer(self.opening, &call, Announced::Waiting);
            self.obey(command);
        }
    }

    /// Codex restarts: what was not answered gets another address.
    fn restart(&mut self) {
        self.note(|| "restart".to_owned());
        self.generation += 1;
        self.requests = 0;
        for of in 0..self.calls.len() {
            let wanted = &self.calls[of];
            if wanted.is_answered || wanted.is_gone {
                continue;
            }
            let mut call = ToolCall::clone(&wanted.call);
            self.address(&mut call);
            let wanted = &mut self.calls[of];
            wanted
                .older
                .push(std::mem::replace(&mut wanted.call, Arc::new(call)));
            wanted.is_owed = false;
            // Without its turn, nothing says that it is the same call.
            wanted.is_gone |= wanted.is_turnless;
        }
    }

    /// A handler finishes.
    fn finish(&mut self) {
        let ready = |task: &Task| task.delivery.is_none();
        if let Some(at) = self.task(ready) {
            self.finish_at(at);
        }
    }

    /// A delivery ends, somehow.
    fn deliver(&mut self) {
        if let Some(at) = self.task(|task| task.delivery.is_some()) {
            let is_lost = self.dice.one_in(3);
            self.deliver_at(at, is_lost);
        }
    }

    fn end_turn(&mut self) {
        let turn = self.dice.below(2);
        self.note(|| format!("turn {turn} ends"));
        self.ended[turn] = true;
        for wanted in self.calls.iter_mut().filter(|wanted| wanted.turn == turn) {
            wanted.is_gone = true;
        }
        self.event(&Event::TurnCompleted {
            turn_id: self.turns[turn].clone(),
            status: TurnStatus::Completed,
            error: None,
            detail: RawValue::NULL.to_owned().into(),
        });
    }

    fn serve(&mut self) {
        self.serves = !self.serves;
        let serves = self.serves;
        self.note(|| format!("serve: {serves}"));
        if !serves {
            if let Some(opening) = self.state.opening(self.opening) {
                opening.unserve();
            }
            return;
        }
        for command in self.state.serve(self.opening, |_| false) {
            self.obey(command);
        }
    }

    /// Another client answers a call, and the runtime says so, one way or the other.
    fn speak(&mut self) {
        let Some(of) = self.any() else { return };
        let which = self.dice.one_in(2);
        let wanted = &mut self.calls[of];
        if wanted.is_gone {
            return;
        }
        wanted.is_answered = true;
        let call = wanted.call.clone();
        self.note(|| format!("{of} is answered elsewhere, with a word on which: {which}"));
        let command = match which {
            true => {
                let taken = TakenAnswer::new(true, [("inputText", "another")]);
                self.state.on_completed(self.opening, &call, taken)
            }
            false => self.state.on_resolved(self.opening, &call),
        };
        self.obey(command);
    }

    /// A call needs no answer any more, or its task goes down.
    fn expire_or_break_off(&mut self) {
        if self.dice.one_in(2) {
            let Some(of) = self.any() else { return };
            self.note(|| format!("{of} expires"));
            self.calls[of].is_gone = true;
            let call = self.calls[of].call.clone();
            self.event(&Event::CallExpired(call));
            return;
        }
        let Some(at) = self.task(|_| true) else {
            return;
        };
        let task = self.tasks.swap_remove(at);
        self.note(|| format!("the task of {} goes down", task.of));
        self.calls[task.of].is_owed = false;
        let address = self.state.address(&task.handle.0);
        let address = address.unwrap_or_else(|| task.handle.0.call().clone());
        let record = task.delivery.map(|(record, _)| record);
        let mut record = record.unwrap_or_else(|| Arc::new(broken_off(&address, task.arrival)));
        let (key, unsent) = (&task.handle.0, (&address, never_sent()));
        let opening = task.opening;
        let settled = self
            .state
            .on_delivered(opening, key, &mut record, unsent, task.is_new);
        self.check(settled, || {
            "a task that goes down settles nothing".to_owned()
        });
    }

    /// The session is closed, and opened again.
    fn reopen(&mut self) {
        self.note(|| "close, and open again".to_owned());
        let closed = Closed::by_us("it was closed");
        let opening = self.state.opening(self.opening);
        let waiting = opening
            .map(|opening| opening.close(closed))
            .unwrap_or_default();
        let cancelled = self.state.cancel_all(self.opening);
        let underway = self.state.underway(None);
        self.check(cancelled.len() <= underway.len(), || {
            "more is cancelled than is underway".to_owned()
        });
        self.check(underway.len() == self.tasks.len(), || {
            "not all are underway".to_owned()
        });
        for call in waiting {
            let command = self.state.dismiss(self.opening, &call);
            self.obey(command);
        }
        if self.dice.one_in(2) {
            self.state.forget(self.opening);
        }
        self.opening = self.state.open(&self.limits);
        self.serves = false;
        self.ended = [false; 2];
    }

    /// A call of the runtime.
    fn any(&mut self) -> Option<usize> {
        let calls = self.calls.len();
        (calls > 0).then(|| self.dice.below(calls))
    }

    /// A task of this kind.
    pub(super) fn task(&mut self, is_wanted: impl Fn(&Task) -> bool) -> Option<usize> {
        let tasks = self.tasks.iter().enumerate();
        let wanted: Vec<usize> = tasks
            .filter(|(_, task)| is_wanted(task))
            .map(|(at, _)| at)
            .collect();
        (!wanted.is_empty()).then(|| wanted[self.dice.below(wanted.len())])
    }
}
