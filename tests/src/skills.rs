//! Skills made of closures, and what can be asked of many tests' sessions.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_skills::{Skill, SkillContext};

use crate::gate::Gate;

/// No arguments, or any.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub struct Anything {}

/// A text.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
pub struct Said {
    /// It.
    pub text: String,
}

/// A skill `echo` that answers its text, and counts.
pub fn echo(runs: &Counter) -> Skill {
    let runs = runs.clone();
    Skill::builder("echo").handler(move |said: Said| {
        runs.count();
        async move { Ok::<_, Infallible>(format!("echo {}", said.text)) }
    })
}

/// A skill `held` that does the same once the gate lets it.
pub fn held(runs: &Counter, gate: &Gate) -> Skill {
    let (runs, gate) = (runs.clone(), gate.clone());
    Skill::builder("held").handler(move |said: Said| {
        let gate = gate.clone();
        runs.count();
        async move {
            gate.enter().await;
            Ok::<_, Infallible>(format!("held {}", said.text))
        }
    })
}

/// An asynchronous skill without arguments that answers a text.
pub fn asynchronous<R>(
    name: &str,
    handler: impl Fn(SkillContext) -> R + Send + Sync + 'static,
) -> Skill
where
    R: Future<Output = String> + Send + 'static,
{
    Skill::builder(name).handler_with_context(move |_: Anything, context| {
        let answer = handler(context);
        async move { Ok::<_, Infallible>(answer.await) }
    })
}

/// A synchronous skill without arguments that answers a text.
pub fn synchronous(name: &str, handler: impl Fn() -> String + Send + Sync + 'static) -> Skill {
    Skill::builder(name).blocking_handler(move |_: Anything| Ok::<_, Infallible>(handler()))
}

/// Counts. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// One more; returns the number so far.
    pub fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number so far.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A skill that counts its runs and answers their number.
    pub fn skill(&self, name: &str) -> Skill {
        let counter = self.clone();
        asynchronous(name, move |_| {
            let run = counter.count();
            async move { format!("run {run}") }
        })
    }
}
