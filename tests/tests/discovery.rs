//! Skills that are not named: found in this program and in the crates that are linked into it.

#[path = "../support/calls.rs"]
#[allow(dead_code, reason = "each file uses a part")]
mod calls;

use calls::answered;
use codex_skills::{CatalogProblem, Draft, Embedded, Error, lifecycle, skill, skills};
use codex_skills_tests::library;
use serde_json::json;

/// Here.
#[skill(group = "discovery")]
fn discovered_here() {}

mod deep {
    pub(crate) mod inside {
        /// In a private module.
        #[codex_skills::skill(group = "discovery", name = "discovered-deep")]
        fn discovered() {}

        /// In a group of its own.
        #[codex_skills::skill(group = "other")]
        fn discovered_elsewhere() -> &'static str {
            "elsewhere"
        }
    }
}

#[test]
fn a_group_is_found_whatever_module_its_skills_are_in() {
    let catalog = Draft::new().discover_group("discovery").seal().unwrap();

    assert_eq!(catalog.list(), ["discovered-deep", "discovered_here"]);
}

#[tokio::test]
async fn a_group_of_another_crate_is_found_and_called() {
    let catalog = Draft::new()
        .discover_group("library")
        .expecting(["shout", "whisper", "greet"])
        .state(library::Desk)
        .seal()
        .unwrap();

    let shouted = answered(&catalog, "shout", json!({"text": "a"})).await;
    let greeted = answered(&catalog, "greet", json!({"name": "Ann"})).await;

    assert_eq!(shouted, "A");
    assert_eq!(greeted, "Hello, Ann!");
}

#[test]
fn discover_finds_the_skills_of_all_groups_and_crates() {
    let mut draft = Draft::new().discover();

    for name in [
        "discovered-deep",
        "discovered_here",
        "discovered_elsewhere",
        "shout",
        "greet",
    ] {
        assert!(draft.unregister(name), "{name}");
    }
}

#[test]
fn a_skill_that_is_named_and_discovered_is_one_skill() {
    let catalog = Draft::new()
        .register(skills![discovered_here])
        .discover_group("discovery")
        .discover_group("discovery")
        .seal()
        .unwrap();

    assert_eq!(catalog.len(), 2);
}

#[test]
fn expectations_say_why_an_unknown_group_is_empty() {
    let error = Draft::new()
        .discover_group("no such group")
        .expecting(["lookup"])
        .seal()
        .unwrap_err();
    assert!(matches!(
        error.problems(),
        [CatalogProblem::NotLinked { .. }]
    ));
    assert!(error.to_string().contains("is not linked"), "{error}");
}

#[test]
fn skills_of_another_crate_are_located_there() {
    let catalog = Draft::new()
        .register(skills![library::shout])
        .seal()
        .unwrap();

    let location = catalog.get("shout").unwrap().location();
    assert!(location.file.ends_with("library.rs"), "{location}");
}

#[test]
fn a_group_without_skills_is_an_error_alone_and_among_others() {
    for (draft, meant) in [
        (Draft::new().discover_group("no such group"), None),
        (Draft::new().discover_group("libary"), Some("library")),
        (
            Draft::new()
                .register(skills![discovered_here])
                .discover_group("discovry"),
            Some("discovery"),
        ),
        (
            Draft::new()
                .discover_group("discovery")
                .discover_group("plugins of others"),
            None,
        ),
    ] {
        let error = draft.seal().unwrap_err();
        let [
            CatalogProblem::NoneDiscovered {
                group,
                location,
                nearest,
                groups,
            },
        ] = error.problems()
        else {
            panic!("{error}");
        };
        assert_eq!(nearest.as_deref(), meant);
        assert!(groups.contains(&"library".to_owned()), "{groups:?}");
        assert!(location.file.ends_with("discovery.rs"), "{location}");
        let (text, group) = (error.to_string(), group.as_deref().unwrap());
        assert!(
            text.contains(&format!("no skill was found in the group `{group}`")),
            "{text}"
        );
        assert!(text.contains("is not linked"), "{text}");
        assert!(text.contains("library"), "{text}");
        if let Some(meant) = meant {
            assert!(text.contains(&format!("did you mean `{meant}`?")), "{text}");
        }
    }
}

#[tokio::test]
async fn a_block_that_discovers_a_group_that_is_not_there_is_refused_at_its_line() {
    let codex = Embedded::demo();
    let line = line!() + 1;
    let outcome = lifecycle!(codex, discover: "libary", |_| { Ok(()) }).await;
    let Err(Error::Catalog(error)) = outcome else {
        panic!("{outcome:?}");
    };
    let [CatalogProblem::NoneDiscovered { location, .. }] = error.problems() else {
        panic!("{error}");
    };
    assert_eq!(location.line, line);

    let outcome = lifecycle!(codex, discover: ["discovery", "h"], |_| { Ok(()) }).await;
    let Err(Error::Catalog(error)) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(error.to_string().contains("in the group `h`"), "{error}");
    assert_eq!(codex.runtime().session_count(), 0);
}
