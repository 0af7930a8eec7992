use super::*;

fn message() -> Message {
    let newest = Some(Newest::Turn("b-old".into()));
    sent(Before {
        newest,
        ..Before::default()
    })
}

fn sent(before: Before) -> Message {
    Message::new("do it".to_owned(), before)
}

/// A message that steers a turn that took some requests before.
fn steering(turn_id: &str, taken: u64) -> Message {
    sent(Before {
        newest: Some(Newest::Turn(turn_id.into())),
        active: Some(turn_id.into()),
        taken,
    })
}

fn look(turns: &[Box<RawValue>], message: &Message) -> Look {
    super::look(turns, message, false)
}

/// A look after the process of codex ended.
fn look_after_end(turns: &[Box<RawValue>], message: &Message) -> Look {
    super::look(turns, message, true)
}

fn turn(id: &str, status: &str, items: &Value) -> Box<RawValue> {
    let turn = json!({"id": id, "status": status, "items": items});
    RawValue::from_string(turn.to_string()).expect("JSON")
}

fn said(client_id: Option<&str>, text: &str) -> Value {
    json!([{"type": "userMessage", "clientId": client_id, "content": [{"type": "text", "text": text}]}])
}

#[test]
fn ids_of_messages_differ() {
    assert_ne!(message().id(), message().id());
}

#[test]
fn a_turn_is_told_by_the_id_of_its_message() {
    let message = message();
    let own = turn("c-new", "inProgress", &said(Some(message.id()), "do it"));
    let others = turn("d-other", "completed", &said(Some("theirs"), "do it"));
    assert_eq!(look(&[others, own], &message), Look::Took("c-new".into()));
}

#[test]
fn a_message_that_steered_is_found_in_a_turn_that_was_known() {
    let message = message();
    let own = turn("b-old", "inProgress", &said(Some(message.id()), "do it"));
    assert_eq!(look(&[own], &message), Look::Took("b-old".into()));
}

#[test]
fn without_ids_a_turn_is_told_by_its_text_unless_it_was_known() {
    let message = message();
    let same = |id| turn(id, "completed", &said(None, "do it"));
    assert_eq!(look(&[same("b-old")], &message), Look::None(None));
    assert_eq!(
        look(&[same("c-new"), same("b-old")], &message),
        Look::Took("c-new".into())
    );
    let another = turn("c-new", "completed", &said(None, "do something else"));
    assert_eq!(look(&[another], &message), Look::None(None));
}

#[test]
fn a_turn_that_runs_may_take_it_yet() {
    let message = message();
    let running = turn("c-new", "inProgress", &json!([]));
    assert_eq!(look(&[running], &message), Look::May(Some("c-new".into())));
    let others = turn("b-old", "inProgress", &said(Some("theirs"), "stay"));
    assert_eq!(look(&[others], &message), Look::May(Some("b-old".into())));
}

#[test]
fn a_turn_that_ended_before_its_message_was_written_took_it() {
    let message = message();
    let ended = turn("c-new", "interrupted", &json!([]));
    assert_eq!(
        look_after_end(&[ended], &message),
        Look::Took("c-new".into())
    );
    let ended = turn("b-old", "interrupted", &json!([]));
    assert_eq!(look_after_end(&[ended], &message), Look::None(None));
}

#[test]
fn an_empty_turn_may_be_anothers_where_codex_goes_on_or_there_are_two() {
    let message = message();
    let ended = |id| turn(id, "interrupted", &json!([]));
    let unclear = Look::None(Some("c-new".into()));
    assert_eq!(look(&[ended("c-new")], &message), unclear);
    let two = [ended("c-new"), ended("d-new")];
    assert_eq!(look_after_end(&two, &message), unclear);
}

#[test]
fn the_id_of_a_message_is_believed_before_any_other_sign() {
    let message = message();
    let own = || turn("c-new", "completed", &said(Some(message.id()), "do it"));
    for sign in [json!([]), said(None, "do it")] {
        let other = || turn("d-new", "interrupted", &sign);
        for turns in [[other(), own()], [own(), other()]] {
            assert_eq!(look_after_end(&turns, &message), Look::Took("c-new".into()));
        }
    }
}

#[test]
fn without_ids_the_same_text_in_two_turns_is_unclear() {
    let same = |id| turn(id, "completed", &said(None, "do it"));
    assert_eq!(
        look(&[same("c-new"), same("d-new")], &message()),
        Look::None(Some("c-new".into()))
    );
}

#[test]
fn a_turn_that_was_steered_and_ended_since_has_taken_it_perhaps() {
    let perhaps = Look::None(Some("b-old".into()));
    for items in [
        json!([]),
        said(Some("another"), "begin"),
        said(None, "begin"),
        // Its own first request is not what steers it.
        said(None, "do it"),
    ] {
        for status in ["completed", "interrupted", "failed"] {
            let ended = turn("b-old", status, &items);
            let message = steering("b-old", 1);
            assert_eq!(look(std::slice::from_ref(&ended), &message), perhaps);
            assert_eq!(look_after_end(&[ended], &message), perhaps);
        }
    }
}

#[test]
fn without_ids_a_turn_that_was_steered_is_told_by_its_later_texts() {
    let mut items = said(None, "do it");
    let later = items[0].clone();
    items.as_array_mut().expect("a list").push(later);
    for status in ["inProgress", "completed"] {
        let ended = turn("b-old", status, &items);
        for taken in [0, 1] {
            assert_eq!(
                look(std::slice::from_ref(&ended), &steering("b-old", taken)),
                Look::Took("b-old".into())
            );
        }
    }
    // It was steered in the same words before, perhaps.
    let ended = turn("b-old", "completed", &items);
    assert_eq!(
        look(&[ended], &steering("b-old", 2)),
        Look::None(Some("b-old".into()))
    );
}

#[tokio::test]
async fn a_time_that_no_clock_tells_is_long() {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    assert!(deadline(Duration::MAX) > Instant::now() + year);
    assert!(deadline(Duration::ZERO) <= Instant::now());
}

#[test]
fn of_a_thread_whose_turns_are_not_known_nothing_is_believed_without_an_id() {
    let message = sent(Before::default());
    for odd in [said(None, "do it"), json!([])] {
        let turn = turn("c-new", "interrupted", &odd);
        assert_eq!(look(&[turn], &message), Look::None(Some("c-new".into())));
    }
    let own = turn("c-new", "completed", &said(Some(message.id()), "do it"));
    assert_eq!(look(&[own], &message), Look::Took("c-new".into()));
}

/// What one step of a codex comes to: another connection, none, or a look.
type Step = fn() -> Result<Look, RequestError>;

/// A codex whose looks show one thing after the other, and the last of them for good. Each that is lost costs a connection.
struct Scripted {
    steps: Vec<Step>,
    looks: std::sync::atomic::AtomicUsize,
    /// The newest connection.
    newest: std::sync::atomic::AtomicU64,
    /// Whether there is another connection after one that was lost.
    comes_back: bool,
    seen_gone: std::sync::Mutex<Vec<bool>>,
}

impl Looks for Scripted {
    type Connection = u64;

    async fn up_after(&self, generation: u64, patience: Duration) -> Result<u64, String> {
        let newest = self.newest.load(std::sync::atomic::Ordering::Relaxed);
        if newest > generation {
            return Ok(newest);
        }
        if self.comes_back {
            tokio::time::sleep(Duration::from_millis(10).min(patience)).await;
            self.newest
                .store(generation + 1, std::sync::atomic::Ordering::Relaxed);
            return Ok(generation + 1);
        }
        tokio::time::sleep(patience).await;
        Err("it is down".to_owned())
    }

    fn generation(connection: &u64) -> u64 {
        *connection
    }

    async fn look(
        &self,
        _: &u64,
        is_gone: bool,
    ) -> Result<(Look, Vec<Box<RawValue>>), RequestError> {
        self.seen_gone.lock().expect("no panic").push(is_gone);
        let at = self
            .looks
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let step = self.steps.get(at).or(self.steps.last()).expect("a step");
        Ok((step()?, Vec::new()))
    }
}

const NONE: Step = || Ok(Look::None(None));
const MAY: Step = || Ok(Look::May(Some("c".into())));
const TOOK: Step = || Ok(Look::Took("c".into()));
const LOST: Step = || Err(RequestError::Lost);
const REFUSED: Step = || Err(RequestError::Silent(Duration::from_secs(1)));

/// What came of a search.
struct Searched {
    found: Result<Found<u64>, RuntimeError>,
    looks: usize,
    took: Duration,
    seen_gone: Vec<bool>,
}

impl Searched {
    fn error(self) -> (RuntimeErrorKind, Option<String>) {
        let error = self.found.expect_err("no turn");
        (error.kind(), error.turn_id().map(str::to_owned))
    }
}

fn search() -> Search {
    Search {
        sent_on: 1,
        is_lost: true,
        is_shared: true,
        active: None,
        until: Instant::now() + Duration::from_secs(30),
    }
}

async fn run(search: Search, steps: &[Step]) -> Searched {
    run_on(search, steps, true).await
}

async fn run_on(search: Search, steps: &[Step], comes_back: bool) -> Searched {
    let began = Instant::now();
    let codex = Scripted {
        steps: steps.to_vec(),
        looks: Default::default(),
        newest: 1.into(),
        comes_back,
        seen_gone: Default::default(),
    };
    let found = search.run(&codex).await;
    Searched {
        found,
        looks: codex.looks.into_inner(),
        took: began.elapsed(),
        seen_gone: codex.seen_gone.into_inner().expect("no panic"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_ends_on_the_connection_that_shows_the_turn() {
    for (steps, connection, looks) in [
        (&[TOOK][..], 2, 1),
        (&[NONE, MAY, TOOK], 2, 3),
        // Each look that is lost is made again on the next connection.
        (&[LOST, LOST, NONE, TOOK], 4, 4),
    ] {
        let searched = run(search(), steps).await;
        assert_eq!(searched.looks, looks);
        let found = searched.found.expect("a turn");
        assert_eq!((&*found.turn_id, found.connection), ("c", connection));
    }
    // Where only the answer did not come, the connection serves still.
    let silent = Search {
        is_lost: false,
        ..search()
    };
    let found = run(silent, &[TOOK]).await.found.expect("a turn");
    assert_eq!(found.connection, 1);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_shows_nothing_says_that_it_can_be_sent_again() {
    let searched = run(search(), &[NONE]).await;
    assert_eq!(searched.looks, LOOKS.len() + 1);
    let paused: Duration = LOOKS.iter().sum();
    assert_eq!(searched.took, paused + Duration::from_millis(10));
    assert_eq!(searched.error(), (RuntimeErrorKind::Unavailable, None));
    // Nor of one that reached a codex which goes on, or steers a turn.
    let silent = Search {
        is_lost: false,
        ..search()
    };
    let error = run(silent, &[NONE]).await.error();
    assert_eq!(error, (RuntimeErrorKind::Unknown, None));
    let steering = Search {
        active: Some("b".into()),
        ..search()
    };
    let error = run(steering, &[NONE]).await.error();
    assert_eq!(error, (RuntimeErrorKind::Unknown, Some("b".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn with_its_own_process_a_request_is_gone_after_one_look() {
    let own = Search {
        is_shared: false,
        ..search()
    };
    let searched = run(own.clone(), &[NONE]).await;
    assert_eq!((searched.looks, &*searched.seen_gone), (1, &[true][..]));
    assert_eq!(searched.error(), (RuntimeErrorKind::Unavailable, None));
    // Not while it is the one that was asked.
    let silent = Search {
        is_lost: false,
        ..own
    };
    let searched = run(silent, &[LOST, TOOK]).await;
    assert_eq!(searched.seen_gone, [false, true]);
    assert!(searched.found.expect("a turn").is_gone);
}

#[tokio::test(start_paused = true)]
async fn a_search_that_stays_unclear_ends_in_time_and_names_the_turn() {
    let unclear = |turn: Option<&str>| (RuntimeErrorKind::Unknown, turn.map(str::to_owned));
    let searched = run(search(), &[MAY]).await;
    assert!(
        (29..=30).contains(&searched.took.as_secs()),
        "{:?}",
        searched.took
    );
    assert_eq!(searched.error(), unclear(Some("c")));
    assert_eq!(
        run(search(), &[MAY, NONE]).await.error(),
        unclear(Some("c"))
    );
    assert_eq!(
        run(search(), &[MAY, REFUSED]).await.error(),
        unclear(Some("c"))
    );
    assert_eq!(run(search(), &[REFUSED]).await.error(), unclear(None));
    // Codex stays away.
    let searched = run_on(search(), &[NONE], false).await;
    assert_eq!((searched.looks, searched.took.as_secs()), (0, 30));
    assert_eq!(searched.error(), unclear(None));
}
