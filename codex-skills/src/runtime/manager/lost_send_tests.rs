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
