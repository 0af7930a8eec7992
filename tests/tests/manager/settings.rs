//! Profile file, environment and code, in rising precedence.

use std::path::PathBuf;
use std::time::Duration;

use codex_skills::manager::CodexManagerBuilder;
use codex_skills::{CodexManager, Error};
use codex_skills_tests::manager::Manager;
use codex_skills_tests::skills::Counter;

use crate::support::{builder, catalog, echo, start};

/// A profile file of its own, removed at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("codex-skills-{}-{name}.json", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file");
        Self(path)
    }

    fn builder(&self) -> CodexManagerBuilder {
        CodexManager::builder().ignore_env().profile_path(&self.0)
    }

    fn error(&self, builder: CodexManagerBuilder) -> String {
        let text = builder
            .build()
            .map(|_| ())
            .expect_err("no good")
            .to_string();
        assert!(text.contains(&*self.0.to_string_lossy()), "{text}");
        assert!(!text.contains("s3cret"), "{text}");
        text
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const PROFILES: &str = r#"{
    "currentProfile": "here",
    "profiles": {
        "here": {"baseUrl": "http://127.0.0.1:4001/", "apiPrefix": "v1/"},
        "there": {"baseUrl": "https://there.example", "timeoutMs": 5000,
                  "headers": {"x-own": "s3cret-own"},
                  "auth": {"bearer": "s3cret-b", "rbacToken": "s3cret-r", "role": "admin", "actor": "me"}}
    }
}"#;

#[test]
fn a_missing_file_is_the_default_profile() {
    let missing = || {
        CodexManager::builder()
            .ignore_env()
            .profile_path("/nowhere/config.json")
    };
    let client = missing().build().expect("the default");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:3001/api");
    let client = missing().profile("local").build().expect("the default");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:3001/api");
    let error = missing()
        .profile("other")
        .build()
        .map(|_| ())
        .expect_err("unknown")
        .to_string();
    assert!(
        error.contains("/nowhere/config.json") && error.contains("`other`"),
        "{error}"
    );
}

#[test]
fn the_current_profile_is_taken_unless_one_is_named() {
    let file = File::new("current", PROFILES);
    let client = file.builder().build().expect("settings");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:4001/v1");
    let client = file.builder().profile("there").build().expect("settings");
    assert_eq!(client.runtime().base_url(), "https://there.example/api");
}

#[test]
fn what_is_null_or_blank_in_a_profile_was_not_set() {
    for text in [
        r#"{"currentProfile": null, "profiles": null}"#,
        r#"{"profiles": {"local": null}}"#,
        r#"{"profiles": {"local": {"baseUrl": null, "apiPrefix": null, "timeoutMs": null, "headers": null, "auth": null}}}"#,
        r#"{"profiles": {"local": {"headers": {"x-own": null}, "auth": {"bearer": null, "rbacToken": " ", "role": ""}}}}"#,
    ] {
        let file = File::new("null", text);
        let client = file.builder().build().expect("settings");
        assert_eq!(client.runtime().base_url(), "http://127.0.0.1:3001/api");
        let debug = format!("{client:?}");
        assert!(
            debug.contains("timeout: 30s") && debug.contains("rbac_token: None"),
            "{debug}"
        );
        assert!(debug.contains("headers: []"), "{debug}");
    }
}

#[test]
fn code_wins_over_the_profile() {
    let file = File::new("code", PROFILES);
    let client = file
        .builder()
        .base_url("http://127.0.0.1:9")
        .api_prefix("")
        .timeout(Duration::from_secs(7))
        .build()
        .expect("settings");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:9");
    assert!(format!("{client:?}").contains("timeout: 7s"));
}

#[test]
fn debug_shows_the_address_and_no_secret() {
    let file = File::new("debug", PROFILES);
    let builder = file
        .builder()
        .profile("there")
        .bearer("s3cret-c")
        .rbac("s3cret-d", "role", "actor")
        .header("x-more", "s3cret-e");
    assert!(!format!("{builder:?}").contains("s3cret"), "{builder:?}");
    let client = builder.build().expect("settings");
    let text = format!("{client:?}");
    assert!(
        text.contains("https://there.example") && !text.contains("s3cret"),
        "{text}"
    );
}

#[test]
fn errors_name_the_file_and_the_key() {
    let file = File::new(
        "type",
        r#"{"profiles": {"local": {"timeoutMs": "soon", "auth": {"bearer": "s3cret"}}}}"#,
    );
    assert!(
        file.error(file.builder())
            .contains("profiles.local.timeoutMs")
    );
    let file = File::new("url", r#"{"profiles": {"local": {"baseUrl": "nowhere"}}}"#);
    assert!(
        file.error(file.builder())
            .contains("profiles.local.baseUrl")
    );
    let file = File::new(
        "scheme",
        r#"{"profiles": {"local": {"baseUrl": "ftp://x"}}}"#,
    );
    assert!(file.error(file.builder()).contains("http://127.0.0.1:3001"));
    let file = File::new("zero", r#"{"profiles": {"local": {"timeoutMs": 0}}}"#);
    assert!(
        file.error(file.builder())
            .contains("profiles.local.timeoutMs")
    );
    let file = File::new("json", "{");
    file.error(file.builder());
    let file = File::new("unknown", PROFILES);
    let error = file.error(file.builder().profile("elsewhere"));
    assert!(
        error.contains("elsewhere") && error.contains("there"),
        "{error}"
    );
}

#[test]
fn secrets_in_an_address_or_header_are_in_no_error() {
    let error = |builder: CodexManagerBuilder| {
        let builder = builder.ignore_env().profile_path("/nowhere/config.json");
        builder
            .build()
            .map(|_| ())
            .expect_err("no good")
            .to_string()
    };
    for text in [
        error(CodexManager::builder().bearer("s3cret\n")),
        error(CodexManager::builder().header("no name", "s3cret")),
        error(CodexManager::builder().base_url("ftp://me:s3cret@host")),
    ] {
        assert!(!text.contains("s3cret"), "{text}");
    }
    let client = CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url("http://me:s3cret@127.0.0.1:9")
        .build()
        .expect("settings");
    assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
    assert!(!client.runtime().base_url().contains("s3cret"));
}

/// In a process of its own, since the environment is everybody's.
#[test]
fn the_environment_wins_over_the_profile_and_loses_to_code() {
    if std::env::var_os("CODEX_MANAGER_API_BASE").is_none() {
        let file = File::new("environment", PROFILES);
        let test = std::env::current_exe().expect("a path");
        let output = std::process::Command::new(test)
            .args([
                "--exact",
                "settings::the_environment_wins_over_the_profile_and_loses_to_code",
            ])
            .env("CODEX_MANAGER_API_BASE", "http://127.0.0.1:5005")
            .env("CODEX_MANAGER_API_PREFIX", "/v9")
            .env("CODEX_MANAGER_TIMEOUT_MS", "1234")
            .env("CODEX_MANAGER_BEARER_TOKEN", "s3cret")
            .env("CODEX_SKILLS_TEST_PROFILE", &file.0)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        return;
    }
    let path = std::env::var_os("CODEX_SKILLS_TEST_PROFILE").expect("a path");
    let client = CodexManager::builder()
        .profile_path(&path)
        .profile("there")
        .build()
        .expect("settings");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:5005/v9");
    let text = format!("{client:?}");
    assert!(
        text.contains("1.234s") && !text.contains("s3cret"),
        "{text}"
    );
    let client = CodexManager::builder()
        .profile_path(&path)
        .base_url("http://127.0.0.1:6006")
        .build()
        .expect("settings");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:6006/v9");
    let client = CodexManager::builder()
        .profile_path(&path)
        .ignore_env()
        .build()
        .expect("settings");
    assert_eq!(client.runtime().base_url(), "http://127.0.0.1:4001/v1");
}

/// Weakness 23 of the reference.
#[tokio::test]
async fn headers_have_the_names_that_the_server_reads_on_requests_and_stream() -> Result<(), Error>
{
    let manager = Manager::start().await.expect("a port");
    let client = builder(&manager)
        .bearer("b")
        .rbac("t", "role", "actor")
        .header("X-Own", "o")
        .build()
        .expect("settings");
    let run = client
        .lifecycle_with(catalog(vec![echo(&Counter::default())]))
        .await?;
    run.send_and_handle(r#"CALL echo {"text":"a"}"#).await?;
    run.close().await?;
    let seen = manager.seen();
    assert!(seen.iter().any(|seen| seen.path == "/api/stream"));
    for request in seen {
        for (name, value) in [
            ("authorization", "Bearer b"),
            ("x-codex-rbac-token", "t"),
            ("x-codex-role", "role"),
            ("x-codex-actor", "actor"),
            ("x-own", "o"),
        ] {
            assert_eq!(
                request.headers.get(name).map(String::as_str),
                Some(value),
                "{}",
                request.path
            );
        }
    }
    Ok(())
}

/// Weakness 8 and 20 of the reference: what is declared is what is sealed, and no more is sent.
#[tokio::test]
async fn the_tools_that_are_declared_are_those_of_the_catalog() -> Result<(), Error> {
    let (manager, client) = start().await;
    let sealed = catalog(vec![echo(&Counter::default())]);
    let run = client.lifecycle_with(sealed.clone()).await?;
    let declared: serde_json::Value =
        serde_json::from_str(sealed.flat_tools().expect("flat").get())?;
    assert_eq!(
        manager.options(run.session_id()).expect("a session")["dynamicTools"],
        declared
    );
    Ok(())
}
