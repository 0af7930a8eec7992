//! Polls beside the stream and in its place.
//!
//! While the stream is down, sessions with an active turn are asked about at short intervals (`LinkConfig::poll`).
//! While it is up, three checks of growing cost find what it does not bring: whether codex runs, whether the socket
//! answers a ping, and, at long intervals (`recheck`), whether silent sessions have calls or ended turns.
//!
//! [`Schedule`] decides when, as a pure state machine that is given the time; [`keep_asking`] does it, each round on a
//! task of its own, so that the stream's task has nothing to do but read. Rounds do not overlap. Locks: the registry's,
//! for one statement at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::catch_up::Because;
use super::link::{LinkConfig, LinkState};
use super::registry::Which;
use super::shared::{Pulse, Shared};

/// Polls for ever: in place of the stream while it is down, and about silent sessions while it is up.
pub(super) async fn keep_asking(shared: &Arc<Shared>) {
    let mut state = shared.state.subscribe();
    let began = Instant::now();
    let mut schedule = Schedule::new(shared.link.clone(), shared.stream_per_session);
    loop {
        schedule.stands(*state.borrow_and_update(), began.elapsed());
        tokio::select! {
            () = tokio::time::sleep(schedule.pause(began.elapsed())) => {}
            // The sender is in `shared`.
            _ = state.changed() => continue,
        }
        let (is_up, due) = (schedule.is_up(), schedule.due(began.elapsed()));
        let which = match due {
            Due::Sessions if is_up && !shared.stream_per_session => Some(Which::Quiet),
            // A sub-agent may be without a socket of its own.
            Due::Sessions => Some(Which::Active),
            Due::Pulse => None,
            Due::Nothing => continue,
        };
        let silence = if is_up { listen(shared) } else { Silence::None };
        let shared = shared.clone();
        // On a task of its own, so that the stream's task has nothing to do but read.
        let asked = tokio::spawn(async move {
            match (which, silence) {
                (Some(which), _) => shared.catch_up(&which, Because::Silent).await,
                (None, Silence::Deep) => shared.catch_up(&Which::Active, Because::Silent).await,
                (None, Silence::Ordinary) => shared.check_codex().await,
                (None, Silence::None) => {}
            }
        });
        if let Err(error) = asked.await {
            tracing::error!(target: "codex_skills::manager", %error, "asking about sessions failed");
        }
    }
}

/// The times of polls: a pure state machine. Times are since an arbitrary beginning.
#[derive(Debug)]
struct Schedule {
    link: LinkConfig,
    /// Each thread has a socket of its own, which catches up with that thread alone when it is back.
    per_session: bool,
    state: LinkState,
    /// Time of the next poll of sessions.
    sessions: Duration,
    /// Time of the next check for silence.
    pulse: Duration,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    Pulse,
    /// Includes a pulse.
    Sessions,
}

impl Schedule {
    fn new(link: LinkConfig, per_session: bool) -> Self {
        Self {
            sessions: link.poll,
            pulse: link.pulse,
            link,
            per_session,
            state: LinkState::Connecting,
        }
    }

    fn is_up(&self) -> bool {
        self.state == LinkState::Up
    }

    fn interval(&self) -> Duration {
        if self.is_up() {
            self.link.recheck
        } else {
            self.link.poll
        }
    }

    /// Records the state of the stream. A shared socket catches up with all sessions when it comes up, so their poll is
    /// put off; a thread's own socket catches up with that thread alone, and puts nothing off.
    fn stands(&mut self, state: LinkState, now: Duration) {
        if std::mem::replace(&mut self.state, state) == state {
            return;
        }
        let next = now.saturating_add(self.interval());
        self.sessions = if self.per_session {
            self.sessions.min(next)
        } else {
            next
        };
        self.pulse = self.pulse.min(now.saturating_add(self.link.pulse));
    }

    /// Returns the time until something is due.
    fn pause(&self, now: Duration) -> Duration {
        let next = if self.is_up() {
            self.sessions.min(self.pulse)
        } else {
            self.sessions
        };
        next.saturating_sub(now)
    }

    /// Returns what is due now, once.
    fn due(&mut self, now: Duration) -> Due {
        let sessions = now >= self.sessions;
        if sessions {
            self.sessions = now.saturating_add(self.interval());
        }
        let pulse = sessions || now >= self.pulse;
        if pulse {
            self.pulse = now.saturating_add(self.link.pulse);
        }
        match (sessions, pulse) {
            (true, _) => Due::Sessions,
            (false, true) => Due::Pulse,
            (false, false) => Due::Nothing,
        }
    }
}

/// Degree of silence while turns are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Silence {
    /// A frame came for each.
    None,
    /// No frame came for one, whose model may be thinking.
    Ordinary,
    /// And its socket does not answer a ping.
    Deep,
}

/// Looks for silent sessions with an active turn, and has their sockets pinged.
fn listen(shared: &Shared) -> Silence {
    let quiet = shared.registry().quiet();
    let mut silence = Silence::None;
    let mut asked: Vec<Arc<Pulse>> = Vec::new();
    for session_id in &quiet {
        silence = silence.max(Silence::Ordinary);
        let Some(pulse) = shared.pulse_of(session_id) else {
            continue;
        };
        if asked.iter().all(|other| !Arc::ptr_eq(other, &pulse)) {
            if pulse.ask() {
                silence = Silence::Deep;
            }
            asked.push(pulse);
        }
    }
    silence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The times at which sessions are asked about, where the stream stands at each time as it says.
    fn asked(
        per_session: bool,
        until: Duration,
        stands: impl Fn(Duration) -> LinkState,
    ) -> Vec<Duration> {
        let mut schedule = Schedule::new(LinkConfig::default(), per_session);
        let (mut now, mut asked) = (Duration::ZERO, Vec::new());
        while now < until {
            schedule.stands(stands(now), now);
            if schedule.pause(now).is_zero() && schedule.due(now) == Due::Sessions {
                asked.push(now);
            }
            now += millis(50);
        }
        asked
    }

    #[test]
    fn a_stream_that_stays_down_is_stood_in_for_each_second_and_one_that_is_up_each_ten() {
        for per_session in [false, true] {
            let down = asked(per_session, millis(5_050), |_| LinkState::Down);
            assert_eq!(down, [1, 2, 3, 4, 5].map(Duration::from_secs));
        }
        let up = asked(false, millis(35_000), |_| LinkState::Up);
        assert_eq!(up, [10, 20, 30].map(Duration::from_secs));
    }

    #[test]
    fn a_socket_that_comes_and_goes_keeps_no_other_session_from_being_asked_about() {
        let flaps = |now: Duration| {
            if now.as_millis() % 200 < 100 {
                LinkState::Up
            } else {
                LinkState::Down
            }
        };
        let asked = asked(true, Duration::from_secs(60), flaps);
        let gaps = asked.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = gaps.max().unwrap_or(Duration::MAX);
        assert!(longest <= LinkConfig::default().recheck, "{asked:?}");
    }

    #[test]
    fn a_stream_that_all_share_gives_them_their_time_when_it_is_back() {
        let back = |now: Duration| {
            if now < millis(500) {
                LinkState::Down
            } else {
                LinkState::Up
            }
        };
        let asked = asked(false, Duration::from_secs(12), back);
        assert_eq!(asked, [millis(10_500)]);
    }
}
