//! What can go wrong, drawn from a seed so that it goes wrong the same way again.

use std::collections::HashMap;

use fastrand::Rng;

/// A thing that goes wrong now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Frames of the stream are lost.
    DropFrames,
    /// Frames of the stream come twice.
    DuplicateFrames,
    /// Frames of the stream come late.
    DelayFrames,
    /// Frames of the stream change places.
    ReorderFrames,
    /// The stream ends in the middle of a frame.
    CutFrames,
    /// Connections are reset before a request is looked at.
    ResetConnections,
    /// The answer of a call is refused with 500 and not taken.
    ErrorBefore,
    /// The answer of a call is taken, and 500 is said.
    ErrorAfter,
    /// The answer of a call is refused with 429 and `Retry-After`.
    TooManyRequests,
    /// The answer of a call is refused with 413, whatever its size.
    TooLarge,
    /// The answer of a call is not taken: the server says that another one is on its way.
    InFlight,
    /// The answer of a call is taken, and what is said cannot be read.
    Malformed,
    /// The answer of a call is taken, and the connection is reset.
    LostResponse,
    /// The answer of a call is taken, and nothing comes back.
    TakenInSilence,
    /// Requests are accepted, and nothing comes back.
    HalfOpenRequests,
    /// The stream is accepted and falls silent.
    HalfOpenStream,
    /// The stream is refused.
    RefuseStream,
    /// The manager is started anew, with request ids from 0.
    Restart,
    /// Lists of waiting calls are old when they come.
    DelayLists,
    /// Bytes trickle.
    SlowReads,
    /// A session read shows `interrupted` for a turn that completes.
    FalseInterrupted,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::DropFrames,
        Self::DuplicateFrames,
        Self::DelayFrames,
        Self::ReorderFrames,
        Self::CutFrames,
        Self::ResetConnections,
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::TooManyRequests,
        Self::TooLarge,
        Self::InFlight,
        Self::Malformed,
        Self::LostResponse,
        Self::TakenInSilence,
        Self::HalfOpenRequests,
        Self::HalfOpenStream,
        Self::RefuseStream,
        Self::Restart,
        Self::DelayLists,
        Self::SlowReads,
        Self::FalseInterrupted,
    ];

    /// How likely it is each time that it could happen, and how often it happens at most.
    fn odds(self) -> (f64, u32) {
        match self {
            Self::DropFrames => (0.15, 36),
            Self::DuplicateFrames | Self::DelayFrames | Self::ReorderFrames => (0.3, 120),
            Self::CutFrames => (0.7, 3),
            Self::HalfOpenRequests => (0.2, 2),
            Self::HalfOpenStream => (0.5, 1),
            Self::Restart => (0.3, 1),
            Self::RefuseStream => (0.7, 3),
            Self::ResetConnections => (0.2, 4),
            Self::DelayLists | Self::SlowReads | Self::FalseInterrupted => (0.7, 8),
            Self::ErrorBefore
            | Self::ErrorAfter
            | Self::TooManyRequests
            | Self::TooLarge
            | Self::InFlight
            | Self::Malformed
            | Self::LostResponse
            | Self::TakenInSilence => (0.5, 4),
        }
    }
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rng: Rng,
    left: Vec<(Fault, f64, u32)>,
    pub(super) happened: HashMap<Fault, u32>,
}

impl Faults {
    pub(super) fn set(&mut self, faults: &[Fault], seed: u64) {
        self.rng = Rng::with_seed(seed);
        self.left = faults
            .iter()
            .map(|fault| {
                let (odds, times) = fault.odds();
                (*fault, odds, times)
            })
            .collect();
    }

    /// Has a fault happen for certain, the next so many times.
    pub(super) fn force(&mut self, fault: Fault, times: u32) {
        self.left.retain(|(other, ..)| *other != fault);
        self.left.push((fault, 1.0, times));
    }

    /// Whether it happens now.
    pub(super) fn hit(&mut self, fault: Fault) -> bool {
        let Some((_, odds, left)) = self.left.iter_mut().find(|(other, ..)| *other == fault) else {
            return false;
        };
        let hit = *left > 0 && self.rng.f64() < *odds;
        *left -= u32::from(hit);
        if hit {
            *self.happened.entry(fault).or_default() += 1;
        }
        hit
    }

    pub(super) fn draw(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.rng.u64(range)
    }
}
