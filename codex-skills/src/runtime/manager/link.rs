//! The life of the stream's connection in time: a pure state machine, which is given the time and returns what to do.

use std::time::Duration;

/// Twice this and a little is the time within which a dead codex is known: a silence begins anywhere between two looks.
pub(super) const PULSE: Duration = Duration::from_millis(750);

/// Intervals of the connection's heartbeat, retries and polls.
#[derive(Clone, Debug)]
pub(super) struct LinkConfig {
    /// Silence after which a ping is sent.
    pub(super) heartbeat: Duration,
    /// Silence after which the connection counts as half open and is given up, if it was pinged and had its time to
    /// answer.
    pub(super) dead_after: Duration,
    /// The delay before the first reconnect.
    pub(super) backoff: Duration,
    /// The longest delay between two attempts.
    pub(super) max_backoff: Duration,
    /// Interval of polls about sessions with an active turn while the stream is down.
    pub(super) poll: Duration,
    /// Silence of a session with an active turn after which it is polled while the stream is up: a frame may have been
    /// lost.
    pub(super) recheck: Duration,
    /// Silence of a session with an active turn after which codex's process is checked and the stream is pinged.
    pub(super) pulse: Duration,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            dead_after: Duration::from_secs(40),
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            recheck: Duration::from_secs(10),
            pulse: PULSE,
        }
    }
}

/// State of the stream; a greater one is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LinkState {
    /// Frames come.
    Up,
    /// The first attempt is under way.
    Connecting,
    /// It was lost, or could not be made: polls stand in.
    Down,
}

/// What to do after a silence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// Look again after this time.
    Wait(Duration),
    /// Ping the peer, and look again after this time.
    Ping(Duration),
    /// The peer is gone.
    Dead,
}

/// The connection as far as time is concerned. Times are since an arbitrary beginning.
#[derive(Debug)]
pub(super) struct Link {
    config: LinkConfig,
    attempts: u32,
    heard: Duration,
    /// Since when an answer to a ping is waited for.
    pinged: Option<Duration>,
}

impl Link {
    pub(super) fn new(config: LinkConfig) -> Self {
        Self {
            config,
            attempts: 0,
            heard: Duration::ZERO,
            pinged: None,
        }
    }

    /// A connection was made.
    pub(super) fn connected(&mut self, now: Duration) {
        self.heard = now;
        self.pinged = None;
    }

    /// Records that a message came. Only that resets the back-off: a connection that is accepted and dropped at once
    /// does not.
    pub(super) fn heard(&mut self, now: Duration) {
        self.heard = now;
        self.pinged = None;
        self.attempts = 0;
    }

    /// Time passed.
    pub(super) fn tick(&mut self, now: Duration) -> Idle {
        let heartbeat = self.config.heartbeat;
        // A process that stood still, as on a machine that slept, has asked nothing yet.
        let patience = self.config.dead_after.saturating_sub(heartbeat);
        let silent = now.saturating_sub(self.heard);
        match self.pinged {
            None if silent < heartbeat => Idle::Wait(heartbeat - silent),
            None => {
                self.pinged = Some(now);
                Idle::Ping(patience)
            }
            Some(pinged) => match patience.saturating_sub(now.saturating_sub(pinged)) {
                Duration::ZERO => Idle::Dead,
                rest => Idle::Wait(rest),
            },
        }
    }

    /// The connection is lost, or was not made: how long to wait before the next attempt. `random` is from
    /// 0 to 1.
    pub(super) fn lost(&mut self, random: f64) -> Duration {
        let doubled = self
            .config
            .backoff
            .saturating_mul(2u32.saturating_pow(self.attempts.min(20)));
        self.attempts = self.attempts.saturating_add(1);
        // Half of it fixed, half of it random.
        doubled
            .min(self.config.max_backoff)
            .mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_asked_about_once_and_then_given_up() {
        let mut link = Link::new(LinkConfig::default());
        link.connected(seconds(100));
        assert_eq!(link.tick(seconds(100)), Idle::Wait(seconds(15)));
        assert_eq!(link.tick(seconds(115)), Idle::Ping(seconds(25)));
        assert_eq!(link.tick(seconds(120)), Idle::Wait(seconds(20)));
        link.heard(seconds(121));
        assert_eq!(link.tick(seconds(121)), Idle::Wait(seconds(15)));
        assert_eq!(link.tick(seconds(136)), Idle::Ping(seconds(25)));
        assert_eq!(link.tick(seconds(161)), Idle::Dead);
    }

    #[test]
    fn time_in_which_the_process_stood_still_is_no_silence_of_the_stream() {
        let mut link = Link::new(LinkConfig::default());
        link.connected(seconds(0));
        assert_eq!(link.tick(seconds(0)), Idle::Wait(seconds(15)));
        assert_eq!(link.tick(seconds(3600)), Idle::Ping(seconds(25)));
        assert_eq!(link.tick(seconds(3624)), Idle::Wait(seconds(1)));
        assert_eq!(link.tick(seconds(3625)), Idle::Dead);
    }

    #[test]
    fn delays_double_to_a_limit_and_begin_anew_once_something_came() {
        let mut link = Link::new(LinkConfig::default());
        let delays: Vec<u128> = (0..9).map(|_| link.lost(1.0).as_millis()).collect();
        assert_eq!(
            delays,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        link.connected(seconds(1));
        assert_eq!(link.lost(0.0), seconds(5));
        link.heard(seconds(2));
        assert_eq!(link.lost(1.0), Duration::from_millis(100));
    }
}
