//! Those who are called: one call at a time, or many.

use std::hint::black_box;
use std::time::{Duration, Instant};

use codex_skills::embedded::{Embedded, Model, ModelError, ModelItem, ModelTurn};
use codex_skills::{Catalog, Client};
use subject::codex::{Lines, Rig};
use subject::skills::{ARGUMENTS, Kind, catalog};

use crate::model_context::Pair;
use crate::{Result, floor, model_context, rig};

/// Its call begins and ends with a line in a pipe.
pub const PIPE_FLOOR: &str = "floor on a pipe, a task for each call";
/// There is no pipe.
pub const FLOOR: &str = "floor";
pub const INLINE: &str = "codex-skills, inline";
pub const ASYNC: &str = "codex-skills, async";
pub const ROUTER_KEPT: &str = "rmcp, router kept";
pub const ROUTER_MADE: &str = "rmcp, default `#[tool_handler]`";

/// One of those that are compared.
pub struct Contender {
    pub name: &'static str,
    /// Whether a pipe is between.
    pub piped: bool,
    how: How,
}

enum How {
    Ours(Rig),
    Lines(Lines),
    Pair(Pair),
    Router(Pair),
    Embedded(Client<Embedded>, Catalog, &'static str),
    Floor(String, Vec<u8>),
    Rig,
}

impl Contender {
    fn new(name: &'static str, how: How) -> Self {
        let piped = !matches!(how, How::Router(_) | How::Floor(..) | How::Rig);
        Self { name, piped, how }
    }

    /// Ours, with a codex at the other end of a pipe.
    async fn ours(name: &'static str, kind: Kind, skills: usize) -> Result<Self> {
        let rig = Rig::open(&catalog(kind, skills)?, kind.tool(), 1).await?;
        Ok(Self::new(name, How::Ours(rig)))
    }

    /// Ours on the embedded runtime.
    fn embedded(name: &'static str, kind: Kind, skills: usize) -> Result<Self> {
        let client = Embedded::with_model(Caller(kind.tool()));
        let catalog = catalog(kind, skills)?;
        Ok(Self::new(name, How::Embedded(client, catalog, kind.tool())))
    }

    /// One call.
    pub async fn call(&mut self) -> Result<()> {
        match &mut self.how {
            How::Ours(rig) => drop(rig.codex.round_trip().await?),
            How::Lines(lines) => drop(lines.round_trip().await?),
            How::Pair(pair) => pair.call().await?,
            How::Router(pair) => pair.route().await?,
            How::Embedded(..) => drop(self.pipelined(1, 1).await?),
            How::Floor(line, answer) => {
                answer.clear();
                floor::dispatch(black_box(line.as_bytes()), answer)?;
                black_box(answer);
            }
            How::Rig => drop(black_box(rig::call().await)),
        }
        Ok(())
    }

    /// Some calls, of which at most so many are outstanding at the same time: how long they took, and how many they
    /// were.
    pub async fn pipelined(
        &mut self,
        calls: usize,
        outstanding: usize,
    ) -> Result<(Duration, usize)> {
        let began = Instant::now();
        match &mut self.how {
            How::Ours(rig) => rig.codex.pipelined(calls, outstanding).await?,
            How::Lines(lines) => lines.pipelined(calls, outstanding).await?,
            How::Pair(pair) => pair.pipelined(calls, outstanding).await?,
            How::Embedded(client, catalog, tool) => {
                return embedded(client, catalog, tool, calls, outstanding).await;
            }
            How::Router(_) | How::Floor(..) | How::Rig => {
                return Err("nothing is outstanding without a pipe".into());
            }
        }
        Ok((began.elapsed(), calls))
    }
}

/// Calls its tool as often and as long as the request says: `CALLS RESPONSES`.
struct Caller(&'static str);

impl Model for Caller {
    async fn respond(&self, turn: ModelTurn) -> std::result::Result<Vec<ModelItem>, ModelError> {
        let text = turn.last_user_text();
        let numbers = text
            .split_once(' ')
            .and_then(|(calls, rounds)| Some((calls.parse().ok()?, rounds.parse::<usize>().ok()?)));
        let (calls, rounds) = numbers.ok_or_else(|| ModelError(format!("what is {text}?")))?;
        Ok(if turn.round < rounds {
            vec![ModelItem::raw_call(self.0, ARGUMENTS); calls]
        } else {
            vec![ModelItem::say("done")]
        })
    }
}

/// A turn in a session of its own, since a conversation grows with each call: its responses have so many calls each, and
/// a response follows when all calls of the one before are answered. Opening and closing the session is not timed.
async fn embedded(
    client: &Client<Embedded>,
    catalog: &Catalog,
    tool: &str,
    calls: usize,
    outstanding: usize,
) -> Result<(Duration, usize)> {
    let rounds = calls.div_ceil(outstanding).min(64);
    let create = client.create_session_with(catalog.clone()).cwd("/");
    let (_, session) = create.inject_skills(false).await?;
    let began = Instant::now();
    let turn = session
        .send_and_handle(format!("{outstanding} {rounds}"))
        .await?;
    let took = began.elapsed();
    let answered = turn.dispatches.len();
    if answered != rounds * outstanding {
        return Err(format!("{tool} was called {answered} times").into());
    }
    client.close_session(session.session_id(), true).await?;
    Ok((took, answered))
}

/// Everybody who is called through a pipe, with the router that is made for each call, and those without a pipe.
pub async fn all(skills: usize) -> Result<Vec<Contender>> {
    let mut all = Vec::new();
    for (name, kind) in [
        (INLINE, Kind::Inline),
        (ASYNC, Kind::Async),
        ("codex-skills, blocking", Kind::Blocking),
    ] {
        all.push(Contender::ours(name, kind, skills).await?);
    }
    let kept = model_context::kept(skills).await?;
    let made = model_context::default(skills).await?;
    let floor = How::Floor(floor::line(), Vec::with_capacity(256));
    all.extend([
        Contender::new(PIPE_FLOOR, How::Lines(floor::serve())),
        Contender::new(ROUTER_KEPT, How::Lines(kept)),
        Contender::new(
            "rmcp, router kept, and its client",
            How::Pair(Pair::new(skills).await?),
        ),
        Contender::new(ROUTER_MADE, How::Lines(made)),
        Contender::new(FLOOR, floor),
        Contender::new(
            "rig, `execute` and its answer as JSON, without an envelope",
            How::Rig,
        ),
        Contender::new(
            "rmcp, router alone: arguments parsed before, no answer line",
            How::Router(Pair::new(skills).await?),
        ),
    ]);
    Ok(all)
}

/// Those of whom many calls may be outstanding, with 200 skills.
pub async fn pipelined() -> Result<Vec<Contender>> {
    let kept = model_context::kept(200).await?;
    Ok(vec![
        Contender::ours(INLINE, Kind::Inline, 200).await?,
        Contender::ours(ASYNC, Kind::Async, 200).await?,
        Contender::embedded("codex-skills, inline, embedded runtime", Kind::Inline, 200)?,
        Contender::embedded("codex-skills, async, embedded runtime", Kind::Async, 200)?,
        Contender::new(PIPE_FLOOR, How::Lines(floor::serve())),
        Contender::new(ROUTER_KEPT, How::Lines(kept)),
        Contender::new(
            "rmcp, router kept, and its client",
            How::Pair(Pair::new(200).await?),
        ),
    ])
}
