//! `#[skill]` from end to end: what is written at a function arrives in the catalog and at its calls.
#![allow(clippy::unused_async, reason = "skills are async to be run as such")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use calls::{answered, catalog_of, declared, failed, property};
use codex_skills::{
    Draft, ParameterDescriptor, SkillContext, SkillDescriptor, SkillSet, skill, skills,
};
use serde_json::json;

/// Look up a ticket by its stable id.
///
/// Closed tickets are found too.
///
/// # Arguments
///
/// * `comments` - How many comments
///   to include.
/// * ticket_id - Not used: the parameter has words of its own.
///
/// # Returns
///
/// The ticket and its current status.
///
/// # Errors
///
/// When there is no such ticket.
#[skill]
async fn lookup_ticket(
    /// Stable ticket identifier, for example `ABC-123`.
    ticket_id: String,
    #[skill(default = 5)] comments: u8,
    plain: Option<bool>,
) -> Result<String, NoTicket> {
    if ticket_id == "NONE-1" {
        return Err(NoTicket);
    }
    Ok(format!("{ticket_id} with {comments} comments, {plain:?}"))
}

#[derive(Debug, thiserror::Error)]
#[error("no such ticket")]
struct NoTicket;

#[skill]
fn undocumented() {}
const LINE_OF_UNDOCUMENTED: u32 = line!() - 1;

/// These words are for people.
#[skill(
    name = "find-ticket",
    description = "Find a ticket.",
    output_description = "Its id.",
    group = "tickets",
    timeout = "1m30s",
    exclusive,
    read_only
)]
fn with_options() -> String {
    String::new()
}

/// Match a type.
///
/// # Arguments
///
/// * `type` - The type.
#[skill]
fn r#match(r#type: String, #[skill(rename = "maxResults")] max_results: u8) -> String {
    format!("{}{max_results}", r#type)
}

const START: u32 = 7;

#[skill]
fn defaults(
    #[skill(default = START + 1)] count: u32,
    #[skill(default = "open")] status: String,
    #[skill(default = "all")] scope: &str,
    #[skill(default)] labels: Vec<String>,
    #[skill(default = Some(3))] limit: Option<u8>,
) -> String {
    format!("{count} {status} {scope} {labels:?} {limit:?}")
}

#[skill]
#[allow(clippy::too_many_arguments, reason = "one for each type")]
fn optional_defaults(
    #[skill(default = 3)] small: Option<u8>,
    #[skill(default = -7)] large: Option<i64>,
    #[skill(default = 0.5)] part: Option<f64>,
    #[skill(default = true)] strict: Option<bool>,
    #[skill(default = "open")] status: Option<String>,
    #[skill(default = "all")] scope: Option<&str>,
    #[skill(default = None)] none: Option<u8>,
    #[skill(default = Some(START))] written: Option<u32>,
) -> String {
    format!("{small:?} {large:?} {part:?} {strict:?} {status:?} {scope:?} {none:?} {written:?}")
}

#[skill]
fn derived_default(
    #[schemars(range(max = 20))]
    #[skill(default = 10)]
    size: Option<u8>,
) -> String {
    format!("{size:?}")
}

#[skill]
async fn borrows(
    text: &str,
    list: &[u8],
    maybe: Option<&str>,
    cow: Cow<'_, str>,
    grouped: (u8, bool),
) -> String {
    format!("{text} {list:?} {maybe:?} {cow} {grouped:?}")
}

mod nested {
    use codex_skills::skill;

    #[skill]
    pub(crate) fn visible() -> &'static str {
        "visible"
    }

    pub(crate) mod deeper {
        #[codex_skills::skill]
        pub(in crate::nested) fn restricted() {}

        #[codex_skills::skill]
        pub(crate) fn deep() -> &'static str {
            "deep"
        }
    }

    pub(crate) fn restricted() -> codex_skills::Draft {
        codex_skills::Draft::new().register(codex_skills::skills![deeper::restricted])
    }
}

fn only<S: SkillSet>() -> &'static SkillDescriptor {
    let [only] = S::SKILLS else {
        panic!("not one skill");
    };
    only
}

#[test]
fn the_tool_has_the_name_of_the_function() {
    let catalog = catalog_of(skills![lookup_ticket, nested::deeper::deep]);

    assert_eq!(catalog.list(), ["deep", "lookup_ticket"]);
}

#[test]
fn an_option_gives_the_tool_another_name() {
    let catalog = catalog_of(skills![with_options]);

    assert_eq!(catalog.list(), ["find-ticket"]);
}

#[tokio::test]
async fn raw_identifiers_are_called_without_their_prefix() {
    let catalog = catalog_of(skills![r#match]);

    let answer = answered(&catalog, "match", json!({"type": "a", "maxResults": 2})).await;

    assert_eq!(answer, "a2");
    assert_eq!(
        property(&catalog, "match", "type")["description"],
        "The type."
    );
}

#[test]
fn the_description_is_the_documentation_up_to_the_first_heading() {
    let catalog = catalog_of(skills![lookup_ticket]);

    assert_eq!(
        catalog.get("lookup_ticket").unwrap().description(),
        "Look up a ticket by its stable id.\n\nClosed tickets are found too."
    );
}

#[test]
fn an_option_replaces_the_documented_description() {
    let catalog = catalog_of(skills![with_options]);

    let skill = catalog.get("find-ticket").unwrap();
    assert_eq!(skill.description(), "Find a ticket.");
    assert_eq!(skill.output_description(), Some("Its id."));
}

#[test]
fn a_skill_without_documentation_says_its_name() {
    let catalog = catalog_of(skills![undocumented]);

    assert_eq!(
        catalog.get("undocumented").unwrap().description(),
        "Remote skill undocumented"
    );
}

#[test]
fn a_parameter_is_described_by_its_own_comment_before_the_list_of_arguments() {
    let parameters = only::<lookup_ticket>().parameters();

    let descriptions: Vec<_> = parameters
        .iter()
        .map(ParameterDescriptor::description)
        .collect();
    assert_eq!(
        descriptions,
        [
            Some("Stable ticket identifier, for example `ABC-123`."),
            Some("How many comments to include."),
            None
        ]
    );
}

#[test]
fn what_is_returned_is_described_beside_the_input_schema_and_not_in_it() {
    let catalog = catalog_of(skills![lookup_ticket]);

    assert_eq!(
        catalog.get("lookup_ticket").unwrap().output_description(),
        Some("The ticket and its current status.")
    );
    let tools = catalog.dynamic_tools().get();
    assert!(!tools.contains("current status"), "{tools}");
}

#[test]
fn errors_panics_and_examples_are_for_people() {
    let catalog = catalog_of(skills![lookup_ticket]);

    for text in [catalog.dynamic_tools().get(), catalog.instruction_text()] {
        assert!(!text.contains("no such ticket"), "{text}");
        assert!(!text.contains('#'), "{text}");
    }
}

#[test]
fn all_options_arrive_in_the_catalog() {
    let catalog = catalog_of(skills![with_options]);

    let skill = catalog.get("find-ticket").unwrap();
    assert_eq!(skill.group(), Some("tickets"));
    assert_eq!(skill.timeout(), Some(Duration::from_secs(90)));
    assert!(skill.is_exclusive());
    assert!(skill.is_read_only());
}

#[test]
fn options_that_are_left_out_are_off() {
    let catalog = catalog_of(skills![undocumented]);

    let skill = catalog.get("undocumented").unwrap();
    assert_eq!((skill.group(), skill.timeout()), (None, None));
    assert_eq!((skill.is_exclusive(), skill.is_read_only()), (false, false));
    assert_eq!(skill.output_description(), None);
}

#[test]
fn the_location_is_that_of_the_functions_name() {
    let catalog = catalog_of(skills![undocumented]);

    let location = catalog.get("undocumented").unwrap().location();
    assert_eq!(location.file, file!());
    assert_eq!((location.line, location.column), (LINE_OF_UNDOCUMENTED, 4));
}

#[test]
fn metadata_is_readable_without_a_catalog() {
    let descriptor = only::<lookup_ticket>();

    assert_eq!(descriptor.name(), "lookup_ticket");
    assert!(descriptor.is_documented());
    let required: Vec<_> = descriptor
        .parameters()
        .iter()
        .map(|p| (p.name(), p.required()))
        .collect();
    assert_eq!(
        required,
        [("ticket_id", true), ("comments", false), ("plain", false)]
    );
}

#[test]
fn required_are_the_parameters_without_a_default_that_are_no_option() {
    let catalog = catalog_of(skills![lookup_ticket, defaults]);

    let required = |name: &str| catalog.get(name).unwrap().input_schema().get("required");
    assert_eq!(required("lookup_ticket"), Some(&json!(["ticket_id"])));
    assert_eq!(required("defaults"), None);
}

#[test]
fn a_default_is_shown_to_the_model() {
    let catalog = catalog_of(skills![defaults]);

    for (name, shown) in [
        ("count", json!(8)),
        ("status", json!("open")),
        ("scope", json!("all")),
        ("labels", json!([])),
        ("limit", json!(3)),
    ] {
        let property = property(&catalog, "defaults", name);
        assert_eq!(property["default"], shown);
        let words = property["description"].as_str().unwrap();
        assert!(
            words.to_lowercase().contains(&format!("default {shown}")),
            "{words}"
        );
    }
}

#[tokio::test]
async fn the_default_of_an_option_is_what_is_in_it() {
    let catalog = catalog_of(skills![optional_defaults, derived_default]);

    for (name, shown) in [
        ("small", json!(3)),
        ("large", json!(-7)),
        ("part", json!(0.5)),
        ("strict", json!(true)),
        ("status", json!("open")),
        ("scope", json!("all")),
        ("written", json!(7)),
    ] {
        let property = property(&catalog, "optional_defaults", name);
        assert_eq!(property["default"], shown, "{name}");
    }
    let size = property(&catalog, "derived_default", "size");
    assert_eq!(size["default"], json!(10));
    assert_eq!(
        answered(&catalog, "optional_defaults", json!({})).await,
        r#"Some(3) Some(-7) Some(0.5) Some(true) Some("open") Some("all") None Some(7)"#
    );
    assert_eq!(
        answered(&catalog, "derived_default", json!({})).await,
        "Some(10)"
    );
    // `null` is absence, too.
    let given = json!({"small": null, "status": "a", "scope": null});
    assert_eq!(
        answered(&catalog, "optional_defaults", given).await,
        r#"Some(3) Some(-7) Some(0.5) Some(true) Some("a") Some("all") None Some(7)"#
    );
}

#[tokio::test]
async fn a_default_takes_the_place_of_an_argument_that_is_not_there() {
    let catalog = catalog_of(skills![defaults]);

    assert_eq!(
        answered(&catalog, "defaults", json!({})).await,
        "8 open all [] Some(3)"
    );
    let given = json!({"count": 1, "status": "a", "scope": "b", "labels": ["c"], "limit": null});
    assert_eq!(
        answered(&catalog, "defaults", given).await,
        "1 a b [\"c\"] Some(3)"
    );
}

#[tokio::test]
async fn a_renamed_parameter_is_known_by_its_new_name_only() {
    let catalog = catalog_of(skills![r#match]);

    let refused = failed(&catalog, "match", json!({"type": "a", "max_results": 2})).await;

    assert!(
        refused.ends_with("unknown argument `max_results`, did you mean `maxResults`?"),
        "{refused}"
    );
}

#[tokio::test]
async fn borrowed_parameters_are_filled() {
    let catalog = catalog_of(skills![borrows]);

    let arguments = json!({"text": "t", "list": [1, 2], "cow": "c", "grouped": [3, true]});
    let answer = answered(&catalog, "borrows", arguments).await;

    assert_eq!(answer, "t [1, 2] None c (3, true)");
}

#[tokio::test]
async fn the_function_stays_an_ordinary_function() {
    assert_eq!(
        lookup_ticket("A-1".to_owned(), 2, None).await.unwrap(),
        "A-1 with 2 comments, None"
    );
    assert_eq!(
        lookup_ticket("NONE-1".to_owned(), 2, None)
            .await
            .unwrap_err()
            .to_string(),
        "no such ticket"
    );
    assert_eq!(
        defaults(1, "a".to_owned(), "b", Vec::new(), None),
        "1 a b [] None"
    );
    undocumented();
}

#[tokio::test]
async fn skills_of_any_visibility_are_named_by_path() {
    let catalog = catalog_of(skills![nested::visible, self::nested::deeper::deep]);
    assert_eq!(answered(&catalog, "visible", ()).await, "visible");
    assert_eq!(answered(&catalog, "deep", ()).await, "deep");

    let restricted = nested::restricted().seal().unwrap();
    assert_eq!(restricted.list(), ["restricted"]);
}

// Methods, state and context.

/// A desk.
struct Desk {
    queue: &'static str,
    calls: AtomicUsize,
}

impl Desk {
    fn new(queue: &'static str) -> Self {
        Self {
            queue,
            calls: AtomicUsize::new(0),
        }
    }
}

const LIMIT: u8 = 3;

#[skill(group = "desk")]
impl Desk {
    const LIMIT: u8 = LIMIT;

    /// Look up.
    #[skill]
    async fn lookup(&self, id: &str, #[skill(default = Self::LIMIT)] limit: u8) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        format!("{id} in {}, {limit}", self.queue)
    }

    /// Close.
    #[skill(name = "close-ticket", group = "other", inline)]
    fn close(self: Arc<Self>, id: u32) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        format!("{}/{id} closed", self.queue)
    }

    /// Has no receiver.
    #[skill]
    fn version() -> u8 {
        1
    }

    fn not_a_skill(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

trait Clock: Send + Sync {
    fn now(&self) -> u64;
}

struct Stopped(u64);

impl Clock for Stopped {
    fn now(&self) -> u64 {
        self.0
    }
}

#[skill]
async fn with_state(
    #[state] desk: &Desk,
    #[state] clock: &dyn Clock,
    #[state] shared: Arc<Stopped>,
    id: u8,
) -> String {
    format!("{}/{id} at {} or {}", desk.queue, clock.now(), shared.0)
}

#[skill]
fn with_context(#[context] cx: &SkillContext, #[context] cloned: SkillContext, id: u8) -> String {
    let deadline = cx.deadline().is_some();
    format!(
        "{} {id} {} {deadline} {:?}",
        cx.skill(),
        cloned.is_cancelled(),
        cx.call_id()
    )
}

#[tokio::test]
async fn one_value_contributes_several_skills() {
    let desk = Arc::new(Desk::new("first"));
    let catalog = Draft::new()
        .register(skills![Desk])
        .shared_state(desk.clone())
        .seal()
        .unwrap();

    assert_eq!(catalog.list(), ["close-ticket", "lookup", "version"]);
    let looked_up = answered(&catalog, "lookup", json!({"id": "A-1"})).await;
    let closed = answered(&catalog, "close-ticket", json!({"id": 2})).await;

    assert_eq!(looked_up, "A-1 in first, 3");
    assert_eq!(closed, "first/2 closed");
    assert_eq!(answered(&catalog, "version", ()).await, "1");
    assert_eq!(desk.not_a_skill(), 2);
}

#[test]
fn methods_are_in_the_group_of_their_block_unless_they_name_one() {
    let groups: Vec<_> = Desk::SKILLS
        .iter()
        .map(|skill| (skill.name(), skill.group()))
        .collect();

    assert_eq!(
        groups,
        [
            ("lookup", Some("desk")),
            ("close-ticket", Some("other")),
            ("version", Some("desk"))
        ]
    );
}

#[tokio::test]
async fn state_is_injected_and_not_declared() {
    let catalog = Draft::new()
        .register(skills![with_state])
        .state(Desk::new("first"))
        .state(Stopped(1))
        .shared_state::<dyn Clock>(Arc::new(Stopped(2)))
        .seal()
        .unwrap();

    let answer = answered(&catalog, "with_state", json!({"id": 3})).await;

    assert_eq!(answer, "first/3 at 2 or 1");
    let schema = catalog.get("with_state").unwrap().input_schema();
    assert_eq!(schema["required"], json!(["id"]));
    assert_eq!(schema["properties"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn each_catalog_has_its_own_state() {
    let of = |queue| {
        Draft::new()
            .register(skills![Desk])
            .state(Desk::new(queue))
            .seal()
            .unwrap()
    };
    let (first, second) = (of("first"), of("second"));

    let arguments = json!({"id": "A"});
    assert_eq!(
        answered(&first, "lookup", &arguments).await,
        "A in first, 3"
    );
    assert_eq!(
        answered(&second, "lookup", &arguments).await,
        "A in second, 3"
    );
}

#[tokio::test]
async fn a_second_value_of_a_type_takes_the_place_of_the_first() {
    let catalog = Draft::new()
        .register(skills![Desk])
        .state(Desk::new("first"))
        .state(Desk::new("second"))
        .seal()
        .unwrap();

    assert_eq!(
        answered(&catalog, "close-ticket", json!({"id": 1})).await,
        "second/1 closed"
    );
}

#[tokio::test]
async fn the_context_is_injected_and_not_declared() {
    let catalog = catalog_of(skills![with_context]);

    let answer = answered(&catalog, "with_context", json!({"id": 3})).await;

    assert_eq!(answer, "with_context 3 false true None");
    assert_eq!(
        declared(&catalog)[0]["inputSchema"]["required"],
        json!(["id"])
    );
}

#[tokio::test]
async fn the_model_cannot_fill_what_is_injected() {
    let catalog = catalog_of(skills![with_context]);

    let refused = failed(&catalog, "with_context", json!({"id": 3, "cx": {}})).await;

    assert!(refused.contains("unknown argument `cx`"), "{refused}");
}

// How handlers run.

fn thread_in(answer: &str, threads: &[ThreadId]) -> Option<usize> {
    threads.iter().position(|id| format!("{id:?}") == answer)
}

#[skill]
fn on_the_pool() -> String {
    format!("{:?}", thread::current().id())
}

#[skill(inline)]
fn inline() -> String {
    format!("{:?}", thread::current().id())
}

#[skill]
async fn on_a_task() -> String {
    format!("{:?}", thread::current().id())
}

#[tokio::test]
async fn synchronous_skills_leave_the_callers_thread_unless_they_are_inline() {
    let here = [thread::current().id()];
    let catalog = catalog_of(skills![on_the_pool, inline, on_a_task]);

    let pool = answered(&catalog, "on_the_pool", ()).await;
    let inline = answered(&catalog, "inline", ()).await;
    let task = answered(&catalog, "on_a_task", ()).await;

    assert_eq!(thread_in(&pool, &here), None);
    assert_eq!(thread_in(&inline, &here), Some(0));
    assert_eq!(thread_in(&task, &here), Some(0));
}

/// How many calls are in the handler, and the most that ever were.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    async fn visit(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

#[skill(exclusive)]
async fn alone(#[state] crowd: &Crowd) {
    crowd.visit().await;
}

#[skill]
async fn together(#[state] crowd: &Crowd) {
    crowd.visit().await;
}

async fn most_at_once(skill: &str) -> usize {
    let crowd = Arc::new(Crowd::default());
    let catalog = Draft::new()
        .register(skills![alone, together])
        .shared_state(crowd.clone())
        .seal()
        .unwrap();
    let calls = (0..5).map(|_| answered(&catalog, skill, ()));
    futures_util::future::join_all(calls).await;
    crowd.most.load(Ordering::SeqCst)
}

#[tokio::test]
async fn calls_of_an_exclusive_skill_run_one_at_a_time() {
    assert_eq!(most_at_once("alone").await, 1);
    assert_eq!(most_at_once("together").await, 5);
}

#[skill(timeout = "20ms")]
async fn endless() {
    std::future::pending::<()>().await;
}

#[skill]
async fn endless_by_default() {
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn a_skill_that_does_not_end_is_answered_at_its_deadline() {
    let catalog = catalog_of(skills![endless]);

    let answer = failed(&catalog, "endless", ()).await;

    assert_eq!(answer, "skill `endless` failed: no answer within 20ms");
}

#[tokio::test(start_paused = true)]
async fn a_skill_without_a_deadline_has_one_of_a_minute() {
    let catalog = catalog_of(skills![endless_by_default]);

    let answer = failed(&catalog, "endless_by_default", ()).await;

    assert_eq!(
        answer,
        "skill `endless_by_default` failed: no answer within 60s"
    );
}

#[test]
fn a_descriptor_tells_its_schemas_without_a_catalog() {
    /// Repeat a text.
    #[skill]
    fn repeat(text: String) -> String {
        text
    }

    let [descriptor] = <repeat as codex_skills::SkillSet>::SKILLS else {
        panic!("one skill has one descriptor");
    };
    let input = descriptor.input_schema().unwrap();
    assert_eq!(input["required"], serde_json::json!(["text"]));
    let output = descriptor.output_schema().unwrap();
    assert_eq!(output, Some(serde_json::json!({"type": "string"})));
}
