//! The fault matrix: whatever goes wrong between a client and its codex-manager, every call is answered
//! once, every handler runs once at most, every turn ends, and every guard's session is deleted.

#[path = "manager/support.rs"]
mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use codex_skills::{Error, Skill, TurnStatus};
use codex_skills_tests::manager::{Fault, Manager};
use futures_util::StreamExt as _;

use crate::support::{Said, builder, catalog, limits};

/// How many scenarios are under way at the same time.
const AT_ONCE: usize = 16;
/// How long a scenario may take; the faults in it end long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// Which seed is played, and nothing else.
const SEED: &str = "CODEX_SKILLS_FAULT_SEED";
/// For how many seconds the soak goes on.
const SOAK: &str = "CODEX_SKILLS_SOAK_SECONDS";

/// What is asked for: calls that no other turn makes, so that an answer that goes astray is noticed.
fn request(turn: usize, parallel: bool) -> String {
    let between = if parallel { "\n" } else { "\nTHEN\n" };
    let calls = ["a", "b", "c"].map(|call| format!(r#"CALL tell {{"text":"{turn}{call}"}}"#));
    calls.join(between)
}

/// Which call had its handler run, and how often.
#[derive(Clone, Debug, Default)]
struct Runs(Arc<Mutex<HashMap<String, usize>>>);

impl Runs {
    fn count(&self, call_id: &str) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *runs.entry(call_id.to_owned()).or_default() += 1;
    }

    fn of(&self, call_id: &str) -> usize {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(call_id).copied().unwrap_or(0)
    }

    fn skill(&self) -> Skill {
        let runs = self.clone();
        Skill::builder("tell").handler_with_context(move |said: Said, context| {
            runs.count(context.call_id().unwrap_or_default());
            async move {
                // Something may go wrong meanwhile.
                tokio::time::sleep(Duration::from_millis(2)).await;
                Ok::<_, std::convert::Infallible>(format!("told {}", said.text))
            }
        })
    }
}

#[derive(Clone, Debug)]
struct Scenario {
    faults: Vec<Fault>,
    parallel: bool,
    seed: u64,
}

/// Plays one scenario, and says what is not as it should be.
async fn play(scenario: &Scenario, happened: &Happened) -> Result<(), String> {
    let manager = Manager::start().await.map_err(|error| error.to_string())?;
    let result = match tokio::time::timeout(PATIENCE, turns(scenario, &manager)).await {
        Ok(result) => result.map_err(|problem| format!("{problem}; {:#?}", manager.calls())),
        Err(_) => Err(format!("it hangs; {:#?}", manager.calls())),
    };
    let mut happened = happened.lock().unwrap_or_else(PoisonError::into_inner);
    for fault in &scenario.faults {
        *happened.entry(*fault).or_default() += manager.happened(*fault);
    }
    result
}

/// How often each fault happened.
type Happened = Mutex<HashMap<Fault, u32>>;

async fn turns(scenario: &Scenario, manager: &Manager) -> Result<(), String> {
    // Only faults in which no response comes need short limits. Otherwise time is no fault, even on a busy machine.
    let silent = [Fault::HalfOpenRequests, Fault::TakenInSilence];
    let hangs = scenario.faults.iter().any(|fault| silent.contains(fault));
    let client = builder(manager)
        .timeout(Duration::from_secs(if hangs { 5 } else { 20 }))
        .connect_timeout(Duration::from_secs(1))
        // Every third scenario, so that each fault meets both kinds of streams.
        .stream_per_session(scenario.seed.is_multiple_of(3))
        .build()
        .map_err(|error| error.to_string())?
        .with_limits(limits());
    let runs = Runs::default();
    let run = client
        .lifecycle_with(catalog(vec![runs.skill()]))
        .await
        .map_err(|error| format!("no session: {error}"))?;
    manager.set_faults(&scenario.faults, scenario.seed);
    let mut statuses = Vec::new();
    for turn in 0..2 {
        let turn = run.send_and_handle(request(turn, scenario.parallel)).await;
        statuses.push(match turn {
            Ok(turn) => turn.status,
            Err(Error::TurnLost { .. }) => TurnStatus::Lost,
            Err(error) => return Err(format!("no end of the turn: {error}")),
        });
    }
    let id = run.session_id().to_owned();
    let report = run.close().await.map_err(|error| error.to_string())?;
    if !report.deleted() || manager.sessions().contains(&id) {
        return Err(format!("the session is left behind: {report}"));
    }
    let restarts = scenario.faults.contains(&Fault::Restart);
    let mut wrong = Vec::new();
    for call in manager.calls() {
        let expected = format!(
            "told {}",
            call.arguments["text"].as_str().unwrap_or_default()
        );
        let ran = runs.of(&call.call_id);
        if ran > 1 || call.accepted > 1 {
            wrong.push(format!("{} ran {ran} times", call.call_id));
        }
        if call.accepted == 0 && !(restarts && call.expired) {
            wrong.push(format!("{} was not answered", call.call_id));
        }
        let replaced = scenario.faults.contains(&Fault::TooLarge)
            && call
                .output
                .as_deref()
                .is_some_and(|text| text.starts_with("skill `tell` failed"));
        if call.accepted == 1 && call.output.as_ref() != Some(&expected) && !replaced {
            wrong.push(format!("{} got {:?}", call.call_id, call.output));
        }
    }
    // A turn whose process went away while its request was accepted may read as interrupted.
    let interrupted = statuses
        .iter()
        .filter(|status| matches!(status, TurnStatus::Interrupted | TurnStatus::Lost))
        .count();
    let completed = statuses
        .iter()
        .filter(|status| **status == TurnStatus::Completed)
        .count();
    if completed + interrupted != 2 || interrupted > usize::from(restarts) {
        wrong.push(format!("the turns ended as {statuses:?}"));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join(", "))
    }
}

/// Each fault alone and each pair, on sequential and parallel calls.
fn matrix(round: u64) -> Vec<Scenario> {
    let mut sets: Vec<Vec<Fault>> = vec![Vec::new()];
    for (at, one) in Fault::ALL.iter().enumerate() {
        sets.push(vec![*one]);
        sets.extend(Fault::ALL[at + 1..].iter().map(|other| vec![*one, *other]));
    }
    let mut seed = round * 1_000_000;
    let mut scenarios = Vec::new();
    for faults in sets {
        for parallel in [false, true] {
            seed += 1;
            scenarios.push(Scenario {
                faults: faults.clone(),
                parallel,
                seed,
            });
        }
    }
    scenarios
}

/// Plays them until the time is up; how many were played, and what failed.
async fn play_all(scenarios: Vec<Scenario>, until: Instant) -> (usize, Vec<String>) {
    let happened = Arc::new(Happened::default());
    let played = futures_util::stream::iter(scenarios)
        .take_while(|_| std::future::ready(Instant::now() < until))
        .map(|scenario| {
            let happened = happened.clone();
            tokio::spawn(async move {
                let began = Instant::now();
                let problem = play(&scenario, &happened).await.err();
                let problem = problem.map(|problem| {
                    format!(
                        "{SEED}={} {:?}, parallel: {}: {problem}",
                        scenario.seed, scenario.faults, scenario.parallel
                    )
                });
                (problem, began.elapsed(), scenario)
            })
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    let count = played.len();
    let happened = happened
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let mut problems = Vec::new();
    let mut slowest = (Duration::ZERO, String::new());
    for result in played {
        match result {
            Ok((problem, took, scenario)) => {
                problems.extend(problem);
                if took > slowest.0 {
                    slowest = (took, format!("{:?}", scenario.faults));
                }
            }
            Err(error) => problems.push(error.to_string()),
        }
    }
    println!(
        "{count} scenarios, {} failed, the slowest took {:.1?}: {}",
        problems.len(),
        slowest.0,
        slowest.1
    );
    println!("{happened:?}");
    if count > Fault::ALL.len() * Fault::ALL.len() / 2 {
        for fault in Fault::ALL {
            if happened.get(&fault).is_none_or(|times| *times == 0) {
                problems.push(format!("{fault:?} never happened"));
            }
        }
    }
    (count, problems)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_and_each_pair_of_faults_loses_nothing() {
    let mut scenarios = matrix(1);
    if let Some(seed) = std::env::var(SEED)
        .ok()
        .and_then(|seed| seed.parse::<u64>().ok())
    {
        scenarios = matrix(seed / 1_000_000);
        scenarios.retain(|scenario| scenario.seed == seed);
        assert!(!scenarios.is_empty(), "there is no scenario of this seed");
    }
    let expected = scenarios.len();
    let (played, problems) = play_all(scenarios, Instant::now() + Duration::from_secs(600)).await;
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    assert_eq!(played, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for an hour"]
async fn soak() {
    let seconds = std::env::var(SOAK)
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(3600);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut played, mut round) = (0, 2);
    while Instant::now() < until {
        let (more, problems) = play_all(matrix(round), until).await;
        assert!(problems.is_empty(), "{}", problems.join("\n\n"));
        played += more;
        round += 1;
    }
    println!("{played} scenarios in {seconds} seconds");
}
