//! What the model reads of what a handler returns.
#![allow(clippy::unused_async, reason = "skills are async to be run as such")]

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;

use calls::{answered, catalog_of, failed};
use codex_skills::{CallError, ContentItem, Draft, OutputError, Skill, SkillOutput, skill, skills};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

const PNG: [u8; 4] = [0x89, b'P', b'N', b'G'];

#[skill]
async fn string() -> String {
    "a \"quoted\"\ntext, größer".to_owned()
}

#[skill]
fn borrowed() -> &'static str {
    "a text"
}

#[skill]
fn cow(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

#[skill]
fn boxed() -> Box<str> {
    "a text".into()
}

#[skill]
fn some_text(there: bool) -> Option<String> {
    there.then(|| "a text".to_owned())
}

#[skill]
fn text_in_result() -> Result<&'static str, Refused> {
    Ok("a text")
}

#[tokio::test]
async fn texts_are_sent_as_they_are() {
    let catalog = catalog_of(skills![
        string,
        borrowed,
        cow,
        boxed,
        some_text,
        text_in_result
    ]);

    let string = answered(&catalog, "string", ()).await;
    assert_eq!(string, "a \"quoted\"\ntext, größer");
    for (skill, arguments) in [
        ("borrowed", json!({})),
        ("cow", json!({"text": "a text"})),
        ("boxed", json!({})),
        ("some_text", json!({"there": true})),
        ("text_in_result", json!({})),
    ] {
        assert_eq!(answered(&catalog, skill, arguments).await, "a text");
    }
}

#[skill]
async fn nothing() {}

#[skill]
fn unit() -> Result<(), Refused> {
    Ok(())
}

#[tokio::test]
async fn nothing_is_null() {
    let catalog = catalog_of(skills![nothing, unit, some_text]);

    assert_eq!(answered(&catalog, "nothing", ()).await, "null");
    assert_eq!(answered(&catalog, "unit", ()).await, "null");
    let none = answered(&catalog, "some_text", json!({"there": false})).await;
    assert_eq!(none, "null");
}

#[derive(Serialize)]
struct Ticket {
    id: &'static str,
    tags: Vec<&'static str>,
    author: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    price: f64,
}

#[skill]
async fn ticket() -> Ticket {
    Ticket {
        id: "A-1",
        tags: vec!["größer", "\n"],
        author: None,
        note: None,
        price: 1.5,
    }
}

#[skill]
fn number() -> u64 {
    u64::MAX
}

#[skill]
fn truth() -> Result<bool, Refused> {
    Ok(false)
}

#[skill]
fn map() -> BTreeMap<u8, Option<()>> {
    BTreeMap::from([(1, None)])
}

#[skill]
fn items() -> Vec<String> {
    vec!["a".to_owned()]
}

#[tokio::test]
async fn other_values_are_compact_json() {
    let catalog = catalog_of(skills![ticket, number, truth, map, items]);

    for (skill, text) in [
        (
            "ticket",
            r#"{"id":"A-1","tags":["größer","\n"],"author":null,"price":1.5}"#,
        ),
        ("number", "18446744073709551615"),
        ("truth", "false"),
        ("map", r#"{"1":null}"#),
        ("items", r#"["a"]"#),
    ] {
        assert_eq!(answered(&catalog, skill, ()).await, text);
    }
}

/// Neither an `Error` nor anything else: it can be displayed.
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the desk is closed; try tomorrow")
    }
}

#[skill]
async fn refuses() -> Result<String, Refused> {
    Err(Refused)
}

#[skill]
fn refuses_with_text() -> Result<(), String> {
    Err("no".to_owned())
}

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[skill]
async fn refuses_under_another_name() -> Answer<u8> {
    Ok("x".parse::<u8>()?)
}

#[tokio::test]
async fn an_error_is_told_by_its_display_text_and_the_text_says_what_failed() {
    let catalog = catalog_of(skills![
        refuses,
        refuses_with_text,
        refuses_under_another_name
    ]);

    for (skill, text) in [
        (
            "refuses",
            "skill `refuses` failed: the desk is closed; try tomorrow",
        ),
        ("refuses_with_text", "skill `refuses_with_text` failed: no"),
        (
            "refuses_under_another_name",
            "skill `refuses_under_another_name` failed: invalid digit found in string",
        ),
    ] {
        assert_eq!(failed(&catalog, skill, ()).await, text);
    }
}

#[tokio::test]
async fn a_closures_error_is_told_like_that_of_a_function() {
    let closure = Skill::builder("closure").handler(|_: Value| async { Err::<(), _>(Refused) });
    let catalog = catalog_of(closure);

    assert_eq!(
        failed(&catalog, "closure", json!({})).await,
        "skill `closure` failed: the desk is closed; try tomorrow"
    );
}

#[skill]
fn chatty() -> Result<(), String> {
    Err("ä".repeat(100_000))
}

#[tokio::test]
async fn a_long_error_is_cut_and_says_so() {
    let catalog = catalog_of(skills![chatty]);

    let text = failed(&catalog, "chatty", ()).await;

    assert!(text.len() < 10_000, "{} bytes", text.len());
    assert!(text.ends_with("bytes more)"));
}

#[skill]
async fn panics() -> String {
    panic!("password: hunter2")
}

#[skill]
fn panics_on_the_pool() -> String {
    panic!("password: hunter2")
}

#[skill(inline)]
fn panics_inline() -> String {
    std::panic::panic_any(5)
}

#[tokio::test]
async fn a_panic_is_answered_without_its_internals() {
    let catalog = catalog_of(skills![panics, panics_on_the_pool, panics_inline]);

    for skill in catalog.list() {
        assert_eq!(
            failed(&catalog, skill, ()).await,
            format!("skill `{skill}` failed: internal error")
        );
    }
}

#[skill]
fn large(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn an_answer_over_the_limit_is_refused_with_both_sizes() {
    let catalog = catalog_of(skills![large]);
    let limit = 8 * 1024 * 1024;

    let text = failed(&catalog, "large", json!({"bytes": limit})).await;

    assert!(text.contains("over the limit of 8388608 bytes"), "{text}");
    assert!(text.contains("ask for less"), "{text}");
    let below = json!({"bytes": limit - 1000});
    assert_eq!(answered(&catalog, "large", below).await.len(), limit - 1000);
}

struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[skill]
fn stubborn() -> Stubborn {
    Stubborn
}

#[derive(Serialize)]
struct Board {
    by_place: HashMap<(u8, u8), u8>,
}

#[skill]
fn odd_keys() -> Board {
    Board {
        by_place: HashMap::from([((1, 2), 3)]),
    }
}

#[tokio::test]
async fn an_answer_that_does_not_serialize_is_a_failure() {
    let catalog = catalog_of(skills![stubborn, odd_keys]);

    assert_eq!(
        failed(&catalog, "stubborn", ()).await,
        "skill `stubborn` failed: its answer does not serialize: not today"
    );
    assert_eq!(
        failed(&catalog, "odd_keys", ()).await,
        "skill `odd_keys` failed: its answer does not serialize at `by_place`: a key of a map is an array, and the names in a JSON object are strings"
    );
}

#[derive(Serialize, JsonSchema)]
struct Statistics {
    count: usize,
    mean: f64,
}

#[skill]
fn mean(of: Vec<f64>) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

#[skill]
async fn statistics(of: Vec<f64>) -> Result<Vec<Statistics>, Refused> {
    Ok(vec![Statistics {
        count: of.len(),
        mean: mean(of),
    }])
}

#[tokio::test]
async fn a_number_that_json_lacks_is_a_failure_that_names_the_place() {
    let closure = Skill::builder("closure")
        .handler(|_: Value| async { Ok::<_, Refused>(HashMap::from([("rate", f32::INFINITY)])) });
    let draft = Draft::new().register(skills![mean, statistics]);
    let catalog = draft.register(closure).seal().unwrap();

    for (skill, place, number) in [
        ("mean", "", "NaN"),
        ("statistics", " at `[0].mean`", "NaN"),
        ("closure", " at `rate`", "infinity"),
    ] {
        assert_eq!(
            failed(&catalog, skill, json!({"of": []})).await,
            format!(
                "skill `{skill}` failed: its answer does not serialize{place}: {number} is no number that JSON has: answer with `null`, or fail and say why"
            )
        );
    }
    assert_eq!(
        answered(&catalog, "mean", json!({"of": [1, 2]})).await,
        "1.5"
    );
}

type Inner = Result<u8, &'static str>;

#[skill]
fn result_by_another_name() -> Result<Inner, Refused> {
    Ok(Err("bad"))
}

#[tokio::test]
async fn an_error_inside_of_an_answer_is_a_failure() {
    let optional = Skill::builder("optional").handler(|asked: Value| async move {
        let inner: Inner = if asked["good"] == true {
            Ok(1)
        } else {
            Err("bad")
        };
        Ok::<_, Refused>(Some(inner))
    });
    let draft = Draft::new().register(skills![result_by_another_name]);
    let catalog = draft.register(optional).seal().unwrap();

    for (skill, arguments) in [
        ("result_by_another_name", json!({})),
        ("optional", json!({"good": false})),
    ] {
        assert_eq!(
            failed(&catalog, skill, arguments).await,
            format!("skill `{skill}` failed: bad")
        );
    }
    assert_eq!(
        answered(&catalog, "optional", json!({"good": true})).await,
        "1"
    );
}

#[test]
fn the_schema_of_an_answer_is_that_of_its_success_however_deep_the_result_is() {
    type Maybe = Option<Inner2>;
    type Inner2 = Result<u8, String>;

    #[skill]
    fn aliased() -> Inner2 {
        Ok(1)
    }

    #[skill]
    fn in_another() -> Result<Inner2, String> {
        Ok(Ok(1))
    }

    #[skill]
    fn in_a_box() -> Box<Inner2> {
        Box::new(Ok(1))
    }

    #[skill]
    fn in_an_option() -> Maybe {
        Some(Ok(1))
    }

    #[skill]
    fn in_a_list() -> Vec<Inner2> {
        vec![Ok(1)]
    }

    let catalog = Draft::new()
        .register(skills![
            aliased,
            in_another,
            in_a_box,
            in_an_option,
            in_a_list
        ])
        .seal()
        .unwrap();
    let schema = |skill| {
        catalog
            .get(skill)
            .unwrap()
            .output_schema()
            .unwrap()
            .to_string()
    };
    for skill in ["aliased", "in_another", "in_a_box", "in_an_option"] {
        let schema = schema(skill);
        assert!(
            !schema.contains("Ok") && schema.contains("integer"),
            "{skill} {schema}"
        );
    }
    assert!(schema("in_an_option").contains("null"));
    assert!(schema("in_a_list").contains("Ok"));
}

/// Closes each ticket.
#[skill]
async fn close_each(tickets: Vec<u8>) -> Vec<Result<u8, String>> {
    let close = |ticket| match ticket {
        0 => Err("no such ticket".to_owned()),
        ticket => Ok(ticket),
    };
    tickets.into_iter().map(close).collect()
}

#[derive(Serialize)]
struct Report {
    closed: Result<u8, &'static str>,
    by_name: BTreeMap<&'static str, Option<Inner>>,
}

/// Reports.
#[skill]
fn report(good: bool) -> Result<Report, Refused> {
    let (closed, inner) = if good {
        (Ok(1), Ok(2))
    } else {
        (Ok(1), Err("locked"))
    };
    let by_name = BTreeMap::from([("a", Some(Ok(1))), ("b", Some(inner)), ("c", None)]);
    Ok(Report { closed, by_name })
}

#[tokio::test]
async fn errors_in_an_answer_are_a_failure_in_part_that_tells_the_rest() {
    let closure = Skill::builder("closure")
        .handler(|_: Value| async { Ok::<_, Refused>((1, vec![Inner::Err("bad"), Err("worse")])) });
    let catalog = Draft::new().register(skills![close_each, report]);
    let catalog = catalog.register(closure).seal().unwrap();

    for (skill, arguments, told) in [
        (
            "close_each",
            json!({"tickets": [1, 0]}),
            r#"`[1]`: no such ticket; its whole answer: [{"Ok":1},{"Err":"no such ticket"}]"#,
        ),
        (
            "report",
            json!({"good": false}),
            r#"`by_name.b`: locked; its whole answer: {"closed":{"Ok":1},"by_name":{"a":{"Ok":1},"b":{"Err":"locked"},"c":null}}"#,
        ),
        (
            "closure",
            json!({}),
            r#"`[1][0]`: bad (and 1 more error); its whole answer: [1,[{"Err":"bad"},{"Err":"worse"}]]"#,
        ),
    ] {
        assert_eq!(
            failed(&catalog, skill, arguments).await,
            format!("skill `{skill}` failed in part: {told}")
        );
    }
    assert_eq!(
        answered(&catalog, "close_each", json!({"tickets": [1, 2]})).await,
        r#"[{"Ok":1},{"Ok":2}]"#
    );
    let all = vec![0; 2_000];
    let long = failed(&catalog, "close_each", json!({"tickets": all})).await;
    assert!(long.contains("(and 1999 more errors)"), "{}", &long[..200]);
    assert!(long.ends_with(r#"{"Err":"no such ticket"}]"#));
}

#[tokio::test]
async fn an_answer_that_is_not_what_its_output_schema_says_is_found_in_tests() {
    let schema = json!({
        "type": "object",
        "properties": {"id": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
        "required": ["id"],
    });
    let answers = |name: &str, schema: &Value| {
        Skill::builder(name)
            .output_schema(schema.clone())
            .handler(|value: Value| async move { Ok::<_, Refused>(value["answer"].clone()) })
    };
    let text = json!({"type": "string", "maxLength": 3});
    let number = json!({"type": ["integer", "null"]});
    let draft = Draft::new().register(answers("row", &schema));
    let draft = draft
        .register(answers("text", &text))
        .register(answers("number", &number));
    let catalog = draft.seal().unwrap();

    for (skill, answer) in [
        ("row", json!({"id": 1})),
        ("row", json!({"id": 1, "tags": ["a"], "more": true})),
        ("text", json!("abc")),
        ("text", json!("12")),
        ("text", json!("[]")),
        ("number", json!(5)),
        ("number", json!(null)),
    ] {
        let output = catalog.call(skill, json!({"answer": answer})).await;
        assert!(output.is_ok(), "{skill} {answer} {output:?}");
    }
    for (skill, answer, reason) in [
        ("row", json!({"tags": []}), "`id` is missing"),
        (
            "row",
            json!({"id": 1, "tags": ["a", 5]}),
            "`tags[1]`: 5 is not a string",
        ),
        ("row", json!([1]), "the array is not an object"),
        ("row", json!("id"), "\"id\" is not an object"),
        (
            "text",
            json!("abcd"),
            "\"abcd\" is longer than 3 characters",
        ),
        ("text", json!({"a": 1}), "the object is not a string"),
        ("number", json!("x"), "\"x\" is not a whole number or null"),
    ] {
        let error = catalog
            .call(skill, json!({"answer": answer}))
            .await
            .unwrap_err();
        let CallError::Answer {
            name, reason: told, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((&*name, &*told), (skill, reason));
    }
    // What fails, and what comes in several items, has no such schema.
    let failing = Skill::builder("failing").output_schema(schema.clone());
    let failing = failing.handler(|_: Value| async { Err::<u8, _>(Refused) });
    let several = Skill::builder("several").output_schema(schema);
    let several = several
        .handler(|_: Value| async { Ok::<_, Refused>(SkillOutput::text("a").with_text("b")) });
    let catalog = Draft::new()
        .register(failing)
        .register(several)
        .seal()
        .unwrap();
    assert!(!catalog.call("failing", ()).await.unwrap().is_success());
    assert!(catalog.call("several", ()).await.unwrap().is_success());
}

#[skill]
fn says(text: String) -> String {
    text
}

#[skill]
fn fails_without_a_word() -> Result<(), String> {
    Err(String::new())
}

#[tokio::test]
async fn an_empty_text_becomes_a_word() {
    let several = Skill::builder("several").handler(|_: Value| async {
        Ok::<_, Refused>(SkillOutput::text("").with_text("a").with_text("\n"))
    });
    let draft = Draft::new().register(skills![says, fails_without_a_word]);
    let catalog = draft.register(several).seal().unwrap();

    assert_eq!(
        answered(&catalog, "says", json!({"text": ""})).await,
        "(empty text)"
    );
    assert_eq!(
        answered(&catalog, "says", json!({"text": " \n"})).await,
        "(empty text)"
    );
    assert_eq!(
        answered(&catalog, "says", json!({"text": " a\n"})).await,
        " a\n"
    );
    assert_eq!(
        answered(&catalog, "several", json!({})).await,
        "(empty text)\na\n(empty text)"
    );
    assert_eq!(
        failed(&catalog, "fails_without_a_word", ()).await,
        "skill `fails_without_a_word` failed, and gave no reason"
    );
}

#[skill]
fn looks_like_an_output() -> Value {
    json!({"contentItems": [{"type": "nonsense"}], "success": false})
}

#[tokio::test]
async fn a_value_that_looks_like_an_output_is_a_value() {
    let catalog = catalog_of(skills![looks_like_an_output]);

    assert_eq!(
        answered(&catalog, "looks_like_an_output", ()).await,
        r#"{"contentItems":[{"type":"nonsense"}],"success":false}"#
    );
}

// Outputs of several items.

#[skill]
async fn chart() -> Result<SkillOutput, OutputError> {
    SkillOutput::text("The chart.")
        .with_image_bytes("image/png", &PNG)?
        .with_audio("data:audio/wav;base64,AAAA")
        .map(|output| output.with_text("And its legend."))
}

#[tokio::test]
async fn an_output_arrives_item_by_item_in_its_order() {
    let catalog = catalog_of(skills![chart]);

    let output = catalog.call("chart", ()).await.unwrap();

    assert!(output.is_success());
    assert_eq!(
        serde_json::to_value(output.items()).unwrap(),
        json!([
            {"type": "inputText", "text": "The chart."},
            {"type": "inputImage", "imageUrl": "data:image/png;base64,iVBORw=="},
            {"type": "inputAudio", "audioUrl": "data:audio/wav;base64,AAAA"},
            {"type": "inputText", "text": "And its legend."},
        ])
    );
    assert_eq!(output.to_text(), "The chart.\nAnd its legend.");
}

#[test]
fn bytes_become_data_urls() {
    let output = SkillOutput::new()
        .with_image_bytes("image/png", &PNG)
        .and_then(|output| output.with_audio_bytes("audio/wav", &[0, 0, 0]))
        .unwrap();

    let [
        ContentItem::Image { image_url },
        ContentItem::Audio { audio_url },
    ] = output.items()
    else {
        panic!("{output:?}");
    };
    assert_eq!(image_url, "data:image/png;base64,iVBORw==");
    assert_eq!(audio_url, "data:audio/wav;base64,AAAA");
}

#[test]
fn data_urls_pass() {
    for url in [
        "data:image/png;base64,iVBORw==",
        "data:image/PNG;charset=utf-8;base64,iVBORw==",
        "data:image/jpeg;base64,/9j/4A==",
        "data:image/jpg;base64,/9j/4A==",
        "data:image/gif;base64,R0lGODlh",
        "data:image/webp;base64,UklGRiIAAABXRUJQ",
    ] {
        assert!(SkillOutput::new().with_image(url).is_ok(), "{url}");
    }
    let audio = SkillOutput::new().with_audio("data:audio/mpeg;base64,AAAA");
    assert!(audio.is_ok());
}

#[test]
fn urls_that_codex_refuses_are_errors_that_say_what_to_do() {
    for url in [
        "https://example.com/chart.png",
        "file:///tmp/chart.png",
        "chart.png",
        "",
        "data:image/png,iVBORw==",
        "data:image/png;base64",
        "data:audio/wav;base64,AAAA",
        "data:imagery;base64,AAAA",
    ] {
        let error = SkillOutput::new().with_image(url).unwrap_err();
        assert!(
            matches!(error, OutputError::NotADataUrl { kind: "image", .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("use `with_image_bytes`"));
    }
    let audio = SkillOutput::new().with_audio("https://example.com/a.wav");
    let text = audio.unwrap_err().to_string();
    assert!(text.contains("`data:audio/…;base64,…`"), "{text}");
}

#[test]
fn bytes_of_another_kind_are_an_error() {
    for mime in [
        "",
        "image",
        "image/",
        "image/;charset=utf-8",
        "image/png,",
        "image/ png",
        "imagery/png",
        "application/pdf",
        "audio/wav",
    ] {
        let error = SkillOutput::new().with_image_bytes(mime, &PNG).unwrap_err();
        assert!(
            matches!(error, OutputError::NotAMediaType { kind: "image", .. }),
            "{error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("`{mime}` is not a media type of the form `image/…`")
        );
    }
    let audio = SkillOutput::new().with_audio_bytes("image/png", &PNG);
    assert!(audio.is_err());
    let with_options = SkillOutput::new().with_image_bytes("image/png;charset=utf-8", &PNG);
    let with_options = with_options.unwrap();
    let [ContentItem::Image { image_url }] = with_options.items() else {
        panic!("{with_options:?}");
    };
    assert!(SkillOutput::new().with_image(image_url.as_str()).is_ok());
}

/// The first bytes of a PNG, a JPEG, a GIF and a WebP image.
const IMAGES: [(&str, &[u8]); 4] = [
    ("image/png", &PNG),
    ("image/jpeg", b"\xff\xd8\xff\xe0"),
    ("image/gif", b"GIF89a"),
    ("image/webp", b"RIFF\x22\0\0\0WEBPVP8 "),
];

#[test]
fn images_are_of_the_kind_that_their_media_type_says() {
    for (mime, _) in IMAGES {
        for (other, bytes) in IMAGES {
            let image = SkillOutput::new().with_image_bytes(mime, bytes);
            assert_eq!(image.is_ok(), mime == other, "{other} as {mime}");
        }
        for bytes in [
            &b"no image"[..],
            b"BM\0\0",
            b"<svg/>",
            b"\x89",
            b"RIFF\0\0\0\0WAVE",
        ] {
            let error = SkillOutput::new()
                .with_image_bytes(mime, bytes)
                .unwrap_err();
            assert!(
                matches!(error, OutputError::NotOfItsType { .. }),
                "{error:?}"
            );
        }
        let empty = SkillOutput::new().with_image_bytes(mime, &[]).unwrap_err();
        assert_eq!(empty.to_string(), "the data of the image is empty");
        let empty = SkillOutput::new().with_image(format!("data:{mime};base64,"));
        assert_eq!(empty.unwrap_err(), OutputError::Empty { kind: "image" });
    }
    let swapped = SkillOutput::new().with_image("data:image/png;base64,R0lGODlh");
    assert_eq!(
        swapped.unwrap_err().to_string(),
        "the data is not an image of the type `image/png`: it is a GIF image"
    );
}

#[test]
fn images_that_codex_leaves_out_are_refused() {
    for mime in [
        "image/svg+xml",
        "image/bmp",
        "image/tiff",
        "image/avif",
        "image/x",
    ] {
        let error = SkillOutput::new().with_image_bytes(mime, &PNG).unwrap_err();
        assert!(matches!(error, OutputError::NotShown { .. }), "{error:?}");
    }
    let svg = SkillOutput::new().with_image("data:image/svg+xml;charset=utf-8;base64,AAAA");
    assert_eq!(
        svg.unwrap_err().to_string(),
        "codex shows no images of the type `image/svg+xml;charset=utf-8`, but leaves them out: make it PNG, JPEG, GIF or WebP"
    );
    let silence = SkillOutput::new().with_audio_bytes("audio/wav", &[]);
    assert_eq!(silence.unwrap_err(), OutputError::Empty { kind: "audio" });
}

#[test]
fn data_that_cannot_be_decoded_is_an_error() {
    for url in ["data:image/png;base64,???", "data:image/png;base64,A"] {
        let error = SkillOutput::new().with_image(url).unwrap_err();
        assert!(
            matches!(error, OutputError::NotBase64 { kind: "image", .. }),
            "{error:?}"
        );
    }
}

#[skill]
fn partly() -> Result<SkillOutput, OutputError> {
    let output = SkillOutput::text("Two of three were closed.");
    Ok(output.with_image_bytes("image/png", &PNG)?.failed())
}

#[skill]
fn plainly() -> Result<SkillOutput, Refused> {
    Ok(SkillOutput::failure("Closing failed: no such ticket."))
}

#[tokio::test]
async fn an_explicit_failure_keeps_its_items_and_its_words() {
    let catalog = catalog_of(skills![partly, plainly]);

    let partly = catalog.call("partly", ()).await.unwrap();
    assert!(!partly.is_success());
    assert_eq!(partly.items().len(), 2);
    let plainly = catalog.call("plainly", ()).await.unwrap();
    assert!(!plainly.is_success());
    assert_eq!(plainly.to_text(), "Closing failed: no such ticket.");
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

#[tokio::test]
async fn closures_answer_like_functions() {
    let catalog = catalog_of([
        Skill::builder("text").handler(|echo: Echo| async { Ok::<_, Refused>(echo.text) }),
        Skill::builder("json").blocking_handler(|echo: Echo| Ok::<_, Refused>(vec![echo.text])),
        Skill::builder("output").handler_with_context(|echo: Echo, cx| async move {
            Ok::<_, Refused>(SkillOutput::text(echo.text).with_text(cx.skill()))
        }),
    ]);
    let arguments = json!({"text": "a"});

    assert_eq!(answered(&catalog, "text", &arguments).await, "a");
    assert_eq!(answered(&catalog, "json", &arguments).await, "[\"a\"]");
    assert_eq!(answered(&catalog, "output", &arguments).await, "a\noutput");
}
