//! What a peer says ends in no log and no error as it came, and where it points no file is written.

use std::path::Path;
use std::sync::{Arc, Mutex};

use codex_skills::app_server::RestartPolicy;
use codex_skills::{AppServer, Client, CodexManager, Draft, Error, Session, skill, skills};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

const FILE: &str = "codex-skills.jsonl";
const THREAD: &str = "01a20376-1b18-75a0-8c01-e6a677c63e7d";

/// Say a text.
#[skill]
fn echo(text: String) -> String {
    text
}

/// A client of a codex whose answers `answer` gives, and what else that codex can say.
async fn over(
    answer: impl Fn(&Value) -> Value + Send + 'static,
) -> (
    Client<AppServer>,
    tokio::sync::mpsc::UnboundedSender<String>,
) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (reads, mut writes) = tokio::io::split(theirs);
    let (says, mut said) = tokio::sync::mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(line) = said.recv().await {
            if writes
                .write_all(format!("{line}\n").as_bytes())
                .await
                .is_err()
            {
                return;
            }
        }
    });
    let answers = says.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(reads).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message.get("method").is_none() || message.get("id").is_none() {
                continue;
            }
            let mut answer = answer(&message);
            answer["id"] = message["id"].clone();
            // The client may be gone.
            let _ = answers.send(answer.to_string());
        }
    });
    let (reads, writes) = tokio::io::split(ours);
    let server = AppServer::over(reads, writes).await.expect("a client");
    (Client::new(server), says)
}

async fn session<R: codex_skills::Runtime>(client: &Client<R>) -> Result<Session, Error> {
    let catalog = Draft::new().register(skills![echo]).seal().expect("sealed");
    Ok(client.create_session_with(catalog).await?.1)
}

fn greeted(home: &Path) -> Value {
    json!({"result": {"userAgent": "rig/0.171.0", "codexHome": home, "thread": {"id": THREAD}}})
}

fn fake() -> codex_skills::app_server::SpawnAppServer {
    AppServer::spawn()
        .codex(env!("CARGO_BIN_EXE_fake_codex"))
        .restart(RestartPolicy::never())
}

// Files.

#[tokio::test]
async fn nothing_is_written_where_a_peer_says_its_home_is() -> Result<(), Error> {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().to_owned();
    let (client, _says) = over(move |_| greeted(&path)).await;
    session(&client).await?;
    assert_eq!(client.runtime().codex_home().as_deref(), Some(home.path()));
    assert!(!home.path().join(FILE).exists());
    Ok(())
}

#[tokio::test]
async fn a_home_that_codex_was_given_has_the_file_for_its_user_only() -> Result<(), Error> {
    let home = tempfile::tempdir().expect("a folder");
    let client = fake().codex_home(home.path()).await?;
    session(&client).await?;
    let file = std::fs::metadata(home.path().join(FILE)).expect("it is written");
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777,
        0o600
    );
    assert!(file.len() > 0);
    client.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn an_inherited_home_has_the_file_only_if_codex_says_it_is_its_home() -> Result<(), Error> {
    let home = tempfile::tempdir().expect("a folder");
    // This codex says that its home is elsewhere.
    let client = fake().env("CODEX_HOME", home.path()).await?;
    session(&client).await?;
    assert!(!home.path().join(FILE).exists());
    client.shutdown().await;
    Ok(())
}

// The environment of a codex that is started.

#[cfg(unix)]
#[test]
fn codex_is_not_given_the_credentials_of_this_library() {
    // The environment of this process cannot be changed while others read it.
    let mut inner = std::process::Command::new(std::env::current_exe().expect("this test"));
    inner.args([
        "--exact",
        "inside_an_environment_with_credentials",
        "--ignored",
    ]);
    for name in [
        "CODEX_MANAGER_BEARER_TOKEN",
        "CODEX_MANAGER_RBAC_TOKEN",
        "CODEX_SKILLS_API_KEY",
    ] {
        inner.env(name, "SECRET");
    }
    inner
        .env("CODEX_MANAGER_API_BASE", "http://127.0.0.1:1")
        .env("OPENAI_API_KEY", "ITS OWN");
    let inner = inner.output().expect("it runs");
    assert!(
        inner.status.success(),
        "{}",
        String::from_utf8_lossy(&inner.stdout)
    );
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "run by codex_is_not_given_the_credentials_of_this_library"]
async fn inside_an_environment_with_credentials() -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let (seen, program) = (folder.path().join("seen"), folder.path().join("codex"));
    let script = format!(
        "#!/bin/sh\nenv > {}\nexec {}\n",
        seen.display(),
        env!("CARGO_BIN_EXE_fake_codex")
    );
    std::fs::write(&program, script).expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
        .expect("it can be run");
    let spawn = AppServer::spawn()
        .codex(&program)
        .env("CODEX_SKILLS_GIVEN_TOKEN", "GIVEN");
    let client = spawn.await?;
    let seen = std::fs::read_to_string(&seen).expect("it was run");
    assert!(!seen.contains("SECRET"), "{seen}");
    for kept in [
        "CODEX_MANAGER_API_BASE=",
        "OPENAI_API_KEY=ITS OWN",
        "CODEX_SKILLS_GIVEN_TOKEN=GIVEN",
    ] {
        assert!(seen.contains(kept), "{kept}");
    }
    client.shutdown().await;
    Ok(())
}

// Texts.

/// What writes to a terminal what was never said, and a lot of it.
fn nasty() -> String {
    format!(
        "\u{1b}[31mred\nFAKE LOG LINE \u{7}\u{202e}{}",
        "x".repeat(100_000)
    )
}

fn is_tame(text: &str) -> bool {
    text.len() < 1400
        && !text
            .chars()
            .any(|char| char.is_control() || char == '\u{202e}')
}

#[tokio::test]
async fn what_an_app_server_refuses_with_is_cut_and_escaped() {
    let (client, _says) = over(|message| match message["method"].as_str() {
        Some("initialize") => json!({"result": {"userAgent": "rig/0.171.0"}}),
        _ => json!({"error": {"code": -32600, "message": nasty()}}),
    })
    .await;
    let error = session(&client).await.expect_err("it is refused");
    let (shown, debug) = (error.to_string(), format!("{error:?}"));
    assert!(shown.contains("red") && is_tame(&shown), "{shown}");
    assert!(debug.len() < 4000 && is_tame(&debug[..1000]), "{debug}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_cannot_be_read_fills_no_log() -> Result<(), Error> {
    let log = Log::default();
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || to.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let (client, says) = over(|_| greeted(Path::new("/nowhere"))).await;
    session(&client).await?;
    let before = log.0.lock().expect("not poisoned").len();
    for n in 0..5000 {
        let line = match n % 3 {
            0 => format!("{{\"SECRET{n}"),
            1 => format!(r#"{{"method":"turn/started","params":"SECRET{n}"}}"#),
            _ => format!(
                r#"{{"method":"item/tool/call","id":{n},"params":{{"threadId":"SECRET{n}"}}}}"#
            ),
        };
        says.send(line).expect("it listens");
    }
    let unread = || client.metrics().unreadable_messages;
    while unread() < 5000 {
        tokio::task::yield_now().await;
    }
    let log =
        String::from_utf8(log.0.lock().expect("not poisoned")[before..].to_vec()).expect("text");
    assert!((1..=12).contains(&log.lines().count()), "{log}");
    assert!(!log.contains("SECRET"), "{log}");
    Ok(())
}

// Addresses.

#[test]
fn no_password_of_an_address_is_in_a_debug_text() {
    let connect =
        AppServer::connect("ws://user:SECRET@127.0.0.1:1/?token=SECRET").capability_token("SECRET");
    let manager = CodexManager::builder()
        .ignore_env()
        .base_url("http://user:SECRET@127.0.0.1:1")
        .bearer("SECRET")
        .header("x-api-key", "SECRET");
    let spawn = AppServer::spawn()
        .env("TOKEN", "SECRET")
        .config("key", "SECRET")
        .arg("SECRET");
    for shown in [
        format!("{connect:?}"),
        format!("{manager:?}"),
        format!("{spawn:?}"),
    ] {
        assert!(!shown.contains("SECRET"), "{shown}");
    }
    let client = manager
        .profile_path("/nonexistent.json")
        .build()
        .expect("a client");
    assert!(!format!("{client:?}").contains("SECRET"));
}

#[tokio::test]
async fn no_password_of_an_address_is_in_an_error() {
    for address in [
        "ws://user:SECRET@127.0.0.1:1",
        "unix://user:SECRET@x",
        "http://user:SECRET@127.0.0.1:1",
        "wss://SECRET@host:1",
        "ws://us er:SECRET@host",
        "ws://127.0.0.1/?token=SECRET",
        "ws://127.0.0.1:1/?token=SECRET",
    ] {
        let error = AppServer::connect(address)
            .restart(RestartPolicy::never())
            .await;
        let error = error.expect_err("nobody is there");
        let (shown, debug) = (error.to_string(), format!("{error:?}"));
        assert!(
            !shown.contains("SECRET") && !debug.contains("SECRET"),
            "{shown} {debug}"
        );
    }
}

#[test]
fn the_body_of_a_failure_is_not_kept_whole() {
    let failure = codex_skills::HttpFailure::new("GET", "/", 500, nasty());
    assert_eq!(failure.body().len(), 1024);
}
