use super::*;

/// A request that was sent while these turns ran.
fn message(newest: Option<Newest>, running: &[&str]) -> Message {
    Message {
        session_id: "s".into(),
        text: "do it".to_owned(),
        before: Before {
            key: 1000,
            newest,
            running: running.iter().map(|id| (*id).into()).collect(),
        },
    }
}

fn after_b(running: &[&str]) -> Message {
    message(Some(Newest::Turn("b".into())), running)
}

/// A session with these turns, the oldest first.
fn session(turns: &[(&str, &str, &[&str])]) -> Value {
    let of_turn = |(id, _, texts): &(&str, &str, &[&str])| {
        let id = (*id).to_owned();
        let entries: Vec<Value> = texts
            .iter()
            .map(|text| json!({"turnId": id, "role": "user", "content": text}))
            .collect();
        entries
    };
    let transcript: Vec<Value> = turns.iter().flat_map(of_turn).collect();
    let turns: Vec<Value> = turns
        .iter()
        .map(|(id, status, _)| json!({"id": id, "status": status}))
        .collect();
    json!({"thread": {"turns": turns}, "transcript": transcript})
}

fn detail(id: &str, status: &str, texts: &[&str]) -> Value {
    session(&[(id, status, texts)])
}

/// What was sent from here before: a turn that each began, or that took it.
fn sent(requests: &[(&str, Option<&str>, bool)]) -> Sent {
    let mut sent = Sent::default();
    for (text, turn_id, began) in requests {
        let key = sent.begin(text);
        if let Some(turn_id) = turn_id {
            sent.took(key, &(*turn_id).into(), *began);
        }
    }
    sent
}

fn look(detail: &Value, message: &Message) -> Look {
    seen(detail, message, &Sent::default())
}

fn seen(detail: &Value, message: &Message, sent: &Sent) -> Look {
    super::look(&Detail::read(&detail.to_string()), message, sent)
}

fn lost(kind: RuntimeErrorKind) -> RuntimeError {
    RuntimeError::new(NAME, "send the request", kind, "the connection was lost")
}

#[test]
fn a_new_turn_is_told_by_its_text() {
    for newest in [Newest::None, Newest::Turn("b".into())] {
        let message = message(Some(newest), &[]);
        let own = detail("c", "completed", &["do it\n"]);
        assert_eq!(look(&own, &message), Look::Took("c".into()));
        let others = detail("c", "completed", &["do something else"]);
        assert_eq!(look(&others, &message), Look::None(None));
        let running = detail("c", "inProgress", &[]);
        assert_eq!(look(&running, &message), Look::May("c".into()));
    }
}

#[test]
fn a_turn_that_was_known_took_it_only_where_it_was_steered() {
    let same = detail("b", "completed", &["do it"]);
    assert_eq!(look(&same, &after_b(&[])), Look::None(None));
    let began = sent(&[("do it", Some("b"), true)]);
    let message = after_b(&["b"]);
    let running = detail("b", "inProgress", &["do it"]);
    assert_eq!(seen(&running, &message, &began), Look::May("b".into()));
    let steered = detail("b", "inProgress", &["do it", "do it"]);
    assert_eq!(seen(&steered, &message, &began), Look::Took("b".into()));
}

#[test]
fn a_turn_that_ran_and_has_ended_took_it_or_may_have() {
    let began = sent(&[("first", Some("b"), true)]);
    let message = after_b(&["b"]);
    for status in ["completed", "interrupted", "failed"] {
        let steered = detail("b", status, &["first", "do it"]);
        assert_eq!(seen(&steered, &message, &began), Look::Took("b".into()));
        let unread = detail("b", status, &["first"]);
        let may = Look::None(Some("b".into()));
        assert_eq!(seen(&unread, &message, &began), may);
    }
    let without = session(&[]);
    let may = Look::None(Some("b".into()));
    assert_eq!(seen(&without, &message, &began), may);
}

#[test]
fn equal_requests_from_here_are_told_apart() {
    let message = after_b(&["b"]);
    let known = sent(&[("do it", Some("b"), true), ("do it", Some("b"), false)]);
    let look = |texts: &[&str], sent: &Sent| seen(&detail("b", "completed", texts), &message, sent);
    let may = Look::None(Some("b".into()));
    assert_eq!(look(&["do it", "do it"], &known), may, "both are others");
    let three = ["do it", "do it", "do it"];
    assert_eq!(look(&three, &known), Look::Took("b".into()));
    let one_unknown = sent(&[("do it", Some("b"), true), ("do it", None, false)]);
    assert_eq!(
        look(&["do it", "do it"], &one_unknown),
        may,
        "either of two"
    );
    assert_eq!(look(&three, &one_unknown), Look::Took("b".into()), "both");
}

#[test]
fn an_equal_request_that_began_a_turn_since_is_not_this_one() {
    let message = after_b(&[]);
    let since = sent(&[("do it", Some("c"), true)]);
    let theirs = detail("c", "completed", &["do it"]);
    assert_eq!(seen(&theirs, &message, &since), Look::None(None));
    let both = session(&[
        ("c", "completed", &["do it"]),
        ("d", "completed", &["do it"]),
    ]);
    assert_eq!(seen(&both, &message, &since), Look::Took("d".into()));
}

#[test]
fn of_equal_texts_that_nothing_here_explains_none_is_chosen() {
    let message = after_b(&["b"]);
    let twice = session(&[
        ("c", "completed", &["do it"]),
        ("d", "inProgress", &["do it"]),
    ]);
    assert_eq!(look(&twice, &message), Look::None(Some("d".into())));
    let steered_too = detail("c", "completed", &["do it", "do it"]);
    assert_eq!(look(&steered_too, &message), Look::None(Some("c".into())));
    // A turn that was begun elsewhere may have been steered from there.
    let elsewhere = detail("b", "completed", &["first", "do it"]);
    assert_eq!(look(&elsewhere, &message), Look::None(Some("b".into())));
}

#[test]
fn an_older_turn_is_looked_at_also_where_a_newer_one_runs() {
    let message = after_b(&[]);
    let both = session(&[
        ("c", "completed", &["do it"]),
        ("d", "inProgress", &["something else"]),
    ]);
    assert_eq!(look(&both, &message), Look::Took("c".into()));
}

#[test]
fn a_new_turn_that_did_not_come_to_its_text_may_have_taken_it() {
    let message = after_b(&[]);
    for (status, texts) in [
        ("interrupted", &["something else"][..]),
        ("failed", &[]),
        ("completed", &[]),
    ] {
        let ended = detail("c", status, texts);
        assert_eq!(
            look(&ended, &message),
            Look::None(Some("c".into())),
            "{status}"
        );
    }
}

#[test]
fn of_a_session_whose_turns_are_not_known_nothing_is_believed() {
    let message = message(None, &[]);
    let same = detail("c", "completed", &["do it"]);
    assert_eq!(look(&same, &message), Look::None(Some("c".into())));
}

#[test]
fn what_may_have_been_taken_is_never_sent_again() {
    let given_up = |may: Option<&str>, kind| given_up(may.map(Into::into), &lost(kind), None);
    let gone = given_up(None, RuntimeErrorKind::Unavailable);
    assert_eq!(gone.kind(), RuntimeErrorKind::Unavailable);
    let may = given_up(Some("c"), RuntimeErrorKind::Unavailable);
    assert_eq!(
        (may.kind(), may.turn_id()),
        (RuntimeErrorKind::Unknown, Some("c"))
    );
    // It was accepted with an answer that cannot be read.
    let accepted = given_up(None, RuntimeErrorKind::Unknown);
    assert_eq!(accepted.kind(), RuntimeErrorKind::Unknown);
}

#[test]
fn a_creation_is_lost_where_the_server_said_nothing() {
    let said = |status| {
        let failure = crate::runtime::HttpFailure::new("POST", "/sessions", status, "");
        lost(RuntimeErrorKind::Unavailable).with_http(Arc::new(failure))
    };
    let kind = |error| creation_lost(error).kind();
    assert_eq!(
        kind(lost(RuntimeErrorKind::Unavailable)),
        RuntimeErrorKind::Unknown
    );
    assert_eq!(
        kind(lost(RuntimeErrorKind::Unknown)),
        RuntimeErrorKind::Unknown
    );
    assert_eq!(kind(said(504)), RuntimeErrorKind::Unknown);
    assert_eq!(kind(said(503)), RuntimeErrorKind::Unavailable);
    assert_eq!(kind(said(429)), RuntimeErrorKind::Unavailable);
    let unsent = lost(RuntimeErrorKind::Unavailable).unsent(true);
    assert_eq!(kind(unsent), RuntimeErrorKind::Unavailable);
}

/// Looks that show one thing after the other, and the last of them for good.
struct Scripted(Vec<fn() -> Seen>, std::sync::atomic::AtomicUsize);

impl Looks for Scripted {
    async fn look(&self) -> Seen {
        let at = self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let seen = self.0.get(at).or(self.0.last());
        seen.map_or(Seen::Nothing, |seen| seen())
    }
}

/// What comes of a search with these looks, how many there were, and how long it took.
async fn searched(
    script: &[fn() -> Seen],
    kind: RuntimeErrorKind,
) -> (Result<Arc<str>, RuntimeError>, usize, Duration) {
    let began = Instant::now();
    let looks = Scripted(script.to_vec(), Default::default());
    let found = find(&looks, lost(kind).into(), began + Duration::from_secs(30)).await;
    (found, looks.1.into_inner(), began.elapsed())
}

fn none() -> Seen {
    Seen::Turns(Look::None(None))
}

fn may() -> Seen {
    Seen::Turns(Look::May("c".into()))
}

fn took() -> Seen {
    Seen::Turns(Look::Took("c".into()))
}

#[tokio::test(start_paused = true)]
async fn a_search_ends_as_soon_as_a_turn_took_the_request() {
    let lost = RuntimeErrorKind::Unavailable;
    for (script, looks) in [
        (&[took as fn() -> Seen][..], 1),
        (&[none, none, took], 3),
        (&[|| Seen::Nothing, may, took], 3),
        // As many looks at a turn that may take it yet as there is time for.
        (&[may as fn() -> Seen; 60], 60),
    ] {
        let mut script = script.to_vec();
        if let Some(last) = script.last_mut() {
            *last = took;
        }
        let (found, looked, _) = searched(&script, lost).await;
        assert_eq!(found.ok().as_deref(), Some("c"));
        assert_eq!(looked, looks);
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_that_shows_nothing_says_that_it_can_be_sent_again() {
    let (found, looked, took) = searched(&[none], RuntimeErrorKind::Unavailable).await;
    let error = found.expect_err("no turn");
    assert_eq!(error.kind(), RuntimeErrorKind::Unavailable);
    assert!(error.message().contains("can be sent again"));
    assert_eq!(looked, LOOKS.len() + 1);
    assert_eq!(
        took.as_millis(),
        LOOKS.iter().map(Duration::as_millis).sum()
    );
    // One that was too large is looked for less long, and is not said to be worth another attempt.
    let began = Instant::now();
    let looks = Scripted(vec![none], Default::default());
    let failed = Failed {
        error: lost(RuntimeErrorKind::Unavailable),
        instead: Some(lost(RuntimeErrorKind::Refused)),
    };
    let found = find(&looks, failed, began + Duration::from_secs(30)).await;
    let error = found.expect_err("no turn");
    assert_eq!(error.kind(), RuntimeErrorKind::Refused);
    assert_eq!(looks.1.into_inner(), LOOKS_AT_OVERSIZED + 1);
    // Of one that was accepted it is never said.
    let (found, _, _) = searched(&[none], RuntimeErrorKind::Unknown).await;
    assert_eq!(
        found.expect_err("no turn").kind(),
        RuntimeErrorKind::Unknown
    );
}

#[tokio::test(start_paused = true)]
async fn a_search_that_stays_unclear_ends_in_time_and_names_the_turn() {
    let lost = RuntimeErrorKind::Unavailable;
    for (script, turn) in [
        (&[may as fn() -> Seen][..], Some("c")),
        (&[may, || Seen::Nothing], Some("c")),
        (&[|| Seen::Nothing], None),
    ] {
        let (found, _, took) = searched(script, lost).await;
        let error = found.expect_err("no turn");
        assert_eq!(
            (error.kind(), error.turn_id()),
            (RuntimeErrorKind::Unknown, turn)
        );
        assert!((29..=30).contains(&took.as_secs()), "{took:?}");
    }
    // A turn that might have taken it, and shows later that it did not, was the wrong one or was too late.
    let (found, _, _) = searched(&[may, none], lost).await;
    let error = found.expect_err("no turn");
    assert_eq!(
        (error.kind(), error.turn_id()),
        (RuntimeErrorKind::Unknown, Some("c"))
    );
    let refused: [fn() -> Seen; 2] = [none, || Seen::Refusal];
    let (found, looked, _) = searched(&refused, lost).await;
    assert_eq!(
        found.expect_err("no turn").kind(),
        RuntimeErrorKind::Unknown
    );
    assert_eq!(looked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_codex_that_died_took_nothing_unless_a_turn_may_have() {
    let lost = RuntimeErrorKind::Unavailable;
    let dead: fn() -> Seen = || Seen::Death("codex is dead".to_owned());
    let (found, looked, _) = searched(&[none, dead], lost).await;
    let error = found.expect_err("no turn");
    assert_eq!((error.kind(), looked), (lost, 2));
    assert!(error.message().contains("codex is dead"));
    let (found, _, _) = searched(&[may, dead], lost).await;
    let error = found.expect_err("no turn");
    assert_eq!(
        (error.kind(), error.turn_id()),
        (RuntimeErrorKind::Unknown, Some("c"))
    );
}
