//! Where requests go and where not: redirects, proxies, addresses, ids, and servers that refuse or are not there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use codex_skills::manager::CodexManagerBuilder;
use codex_skills::{
    CatalogProblem, CodexManager, Draft, Error, HttpFailure, RuntimeError, RuntimeErrorKind,
    SubmissionStatus,
};
use codex_skills_tests::manager::Manager;
use codex_skills_tests::skills::{Counter, asynchronous};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{builder, catalog, echo, start};

/// A server that says the same to every request, and reads no more than its head.
struct Parrot {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Parrot {
    async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = heads.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        match client.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    seen.lock().expect("no panic").push(head);
                    let _ = client.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
    }
}

fn redirect(status: u16, to: &str) -> String {
    format!(
        "HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}

fn at(url: &str) -> CodexManagerBuilder {
    CodexManager::builder()
        .ignore_env()
        .profile_path("/nowhere/config.json")
        .base_url(url)
        .connect_timeout(Duration::from_secs(5))
}

fn runtime_error<T>(result: Result<T, Error>) -> RuntimeError {
    match result.map(|_| ()) {
        Err(Error::Runtime(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_redirect_is_followed_and_the_error_says_so() -> Result<(), Error> {
    let elsewhere = Parrot::start(
        "HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{\"session\":{\"sessionId\":\"theirs\"}}"
            .to_owned(),
    )
    .await;
    for status in [301, 302, 303, 307, 308] {
        let server =
            Parrot::start(redirect(status, &format!("{}/api/sessions", elsewhere.url))).await;
        let client = at(&server.url)
            .rbac("s3cret", "role", "actor")
            .header("x-own", "s3cret")
            .build()?;
        let error = runtime_error(client.create_session_with(catalog(Vec::new())).await);
        assert_eq!(error.kind(), RuntimeErrorKind::Refused);
        assert_eq!(error.http().map(HttpFailure::status), Some(status));
        assert!(
            error.message().contains("redirects are not followed")
                && error.message().contains(&elsewhere.url),
            "{error}"
        );
        let report = client.close_session("x", true).await?;
        assert!(
            report.delete_error().is_some() && !report.deleted(),
            "{report}"
        );
    }
    assert_eq!(elsewhere.heads(), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn the_stream_follows_no_redirect_either() -> Result<(), Error> {
    let elsewhere = Manager::start().await.expect("a port");
    let server = Parrot::start(redirect(307, &format!("{}/api/stream", elsewhere.url()))).await;
    let client = at(&server.url)
        .reconnect_delays(Duration::from_millis(5), Duration::from_millis(10))
        .build()?;
    // The stream is opened as soon as there is a session to listen to.
    let opened = client.session("x").await;
    assert!(opened.is_err());
    while !server
        .heads()
        .iter()
        .any(|head| head.starts_with("GET /api/stream"))
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(elsewhere.connections(), 0);
    Ok(())
}

#[tokio::test]
async fn a_proxy_is_used_where_it_is_asked_for_and_never_for_this_machine() -> Result<(), Error> {
    let refusal =
        "HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    let proxy = Parrot::start(refusal).await;
    let away = at("http://manager.invalid:3001")
        .proxy(&proxy.url)
        .build()?;
    let error = runtime_error(away.create_session_with(catalog(Vec::new())).await);
    assert_eq!(error.http().map(HttpFailure::status), Some(403));
    let heads = proxy.heads();
    assert!(
        heads
            .iter()
            .all(|head| head.contains(" http://manager.invalid:3001/api/")),
        "{heads:?}"
    );
    let before = heads.len();
    assert!(before > 0);
    let manager = Manager::start().await.expect("a port");
    let here = builder(&manager).proxy(&proxy.url).build()?;
    let run = here.lifecycle_with(catalog(Vec::new())).await?;
    run.send_and_handle("hello").await?;
    run.close().await?;
    assert_eq!(proxy.heads().len(), before);
    let error = at("http://manager.invalid")
        .proxy("no address")
        .build()
        .map(|_| ());
    assert!(
        error
            .expect_err("no proxy")
            .to_string()
            .contains("CodexManagerBuilder::proxy")
    );
    Ok(())
}

/// In a process of its own, since the environment is everybody's.
#[test]
fn the_proxy_of_the_environment_is_used_only_where_it_is_asked_for() {
    let name = "network::the_proxy_of_the_environment_is_used_only_where_it_is_asked_for";
    if std::env::var_os("CODEX_SKILLS_TEST_PROXY").is_none() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = format!("http://{}", listener.local_addr().expect("an address"));
        drop(listener);
        let output = std::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", name])
            .env("HTTP_PROXY", &proxy)
            .env("ALL_PROXY", &proxy)
            .env("http_proxy", &proxy)
            .env("CODEX_SKILLS_TEST_PROXY", &proxy)
            .output()
            .expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        return;
    }
    let tokio = tokio::runtime::Runtime::new().expect("a runtime");
    tokio.block_on(async {
        let address = std::env::var("CODEX_SKILLS_TEST_PROXY").expect("an address");
        let listener = TcpListener::bind(address.trim_start_matches("http://")).await;
        let listener = listener.expect("the port is free");
        let manager = Manager::start().await.expect("a port");
        // To this machine, straight.
        let here = builder(&manager)
            .system_proxy(true)
            .build()
            .expect("settings");
        let _run = here
            .lifecycle_with(catalog(Vec::new()))
            .await
            .expect("a session");
        // To others, straight as well, unless it is asked for.
        let away = at("http://manager.invalid").build().expect("settings");
        let error = runtime_error(away.create_session_with(catalog(Vec::new())).await);
        assert!(error.message().contains("nothing answers at"), "{error}");
        let nothing = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(nothing.is_err(), "it went to the proxy");
        let away = at("http://manager.invalid")
            .system_proxy(true)
            .build()
            .expect("settings");
        let create = away.create_session_with(catalog(Vec::new())).into_future();
        tokio::select! {
            accepted = listener.accept() => drop(accepted.expect("a connection")),
            created = create => panic!("{:?}", created.map(|_| ())),
        }
    });
}

#[tokio::test]
async fn an_id_reaches_the_server_as_one_segment() -> Result<(), Error> {
    let (manager, client) = start().await;
    let kept = manager.foreign_session();
    for id in [
        format!("{kept}?x=1"),
        format!("{kept}#x"),
        format!("x/../{kept}"),
        format!("{kept}/"),
    ] {
        let report = client.close_session(&id, true).await?;
        assert!(!report.deleted(), "{report}");
        assert!(client.session(&id).await.is_err());
    }
    assert_eq!(manager.sessions(), [kept.as_str()]);
    for id in ["", ".", ".."] {
        let report = client.close_session(id, true).await?;
        let error = report.delete_error().expect("no id");
        assert_eq!(error.kind(), RuntimeErrorKind::NotFound, "{error}");
    }
    assert!(
        manager
            .seen()
            .iter()
            .all(|seen| !seen.path.contains("/sessions/x/"))
    );
    Ok(())
}

#[tokio::test]
async fn an_address_may_end_in_the_prefix() -> Result<(), Error> {
    let manager = Manager::start().await.expect("a port");
    for base in [
        format!("{}/api", manager.url()),
        format!("{}/api/", manager.url()),
    ] {
        let client = builder(&manager).base_url(base).build()?;
        let run = client
            .lifecycle_with(catalog(vec![echo(&Counter::default())]))
            .await?;
        run.send_and_handle(r#"CALL echo {"text":"a"}"#).await?;
    }
    let error = at("http://127.0.0.1:1/?x=1")
        .build()
        .map(|_| ())
        .expect_err("no base");
    assert!(
        error.to_string().contains("nothing after its path"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn where_nothing_listens_the_error_says_what_to_start() {
    let client = at("http://127.0.0.1:1").build().expect("settings");
    let error = runtime_error(client.create_session_with(catalog(Vec::new())).await);
    assert_eq!(error.kind(), RuntimeErrorKind::Unavailable);
    for word in [
        "http://127.0.0.1:1/api",
        "start codex-manager",
        "CODEX_MANAGER_API_BASE",
    ] {
        assert!(error.message().contains(word), "{error}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_in_the_error() -> Result<(), Error> {
    let (manager, client) = start().await;
    let skills = |count| {
        let skills =
            (0..count).map(|at| asynchronous(&format!("tool_{at}"), |_| async { String::new() }));
        catalog(skills.collect())
    };
    let created = manager.count("POST", "/sessions");
    let error = runtime_error(client.create_session_with(skills(129)).await);
    assert_eq!(error.kind(), RuntimeErrorKind::Refused);
    assert!(
        error.message().contains("129 tools, and it takes 128"),
        "{error}"
    );
    assert_eq!(
        manager.count("POST", "/sessions"),
        created,
        "it was not even asked"
    );
    // A draft is sealed for the runtime, with all else that is wrong with it.
    let drafted = |draft: Draft, count| {
        (0..count).fold(draft, |draft, at| {
            draft.register([asynchronous(&format!("tool_{at}"), |_| async {
                String::new()
            })])
        })
    };
    let drafts = [
        client
            .create_session(|draft| drafted(draft, 129).expecting(["more"]))
            .await
            .err(),
        client
            .lifecycle(|draft| drafted(draft, 129).expecting(["more"]))
            .await
            .err(),
    ];
    for error in drafts {
        let Some(Error::Catalog(error)) = error else {
            panic!("{error:?}");
        };
        let [
            CatalogProblem::TooManyTools {
                runtime: "codex-manager",
                count: 129,
                limit: 128,
            },
            CatalogProblem::NotLinked { .. },
        ] = error.problems()
        else {
            panic!("{error}");
        };
        let text = error.to_string();
        assert!(
            text.contains("129 tools, and codex-manager takes 128 at most"),
            "{text}"
        );
    }
    assert_eq!(manager.count("POST", "/sessions"), created);
    let run = client.lifecycle(|draft| drafted(draft, 128)).await?;
    run.close().await?;
    let (_, session) = client.create_session_with(skills(128)).await?;
    client.close_session(session.session_id(), true).await?;
    Ok(())
}

#[tokio::test]
async fn a_request_that_is_refused_while_it_is_written_is_too_large_at_once() -> Result<(), Error> {
    let refusal =
        "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let server = Parrot::start(refusal.to_owned()).await;
    let client = at(&server.url).build()?;
    let large = asynchronous("large", |_| async { String::new() });
    let mut skills = vec![large];
    skills.extend((0..40).map(|at| {
        codex_skills::Skill::builder(format!("tool_{at}"))
            .description("x".repeat(100_000))
            .handler(|_: serde_json::Value| async { Ok::<_, std::convert::Infallible>("") })
    }));
    let error = runtime_error(client.create_session_with(catalog(skills)).await);
    assert_eq!(error.http().map(HttpFailure::status), Some(413), "{error}");
    assert_eq!(error.kind(), RuntimeErrorKind::Refused);
    Ok(())
}

/// A request of more bytes than the server takes unless it was set up otherwise.
fn large(call: &str) -> String {
    format!("{}\n{call}", "x".repeat(1_500_000))
}

#[tokio::test]
async fn a_large_request_whose_answer_was_lost_is_joined() -> Result<(), Error> {
    let (manager, client) = start().await;
    manager.set_body_bytes(4 * 1024 * 1024);
    let runs = Counter::default();
    let run = client.lifecycle_with(catalog(vec![echo(&runs)])).await?;
    manager.cut_at_next_word();
    let turn = run
        .send_and_handle(large(r#"CALL echo {"text":"a"}"#))
        .require_reply()
        .await?;
    assert_eq!(turn.assistant_reply, "Tool outputs: echo a");
    assert_eq!((runs.get(), manager.count("POST", "/messages")), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_large_request_that_was_not_taken_is_too_large() -> Result<(), Error> {
    let (manager, client) = start().await;
    let run = client.lifecycle_with(catalog(Vec::new())).await?;
    for is_read in [true, false] {
        if !is_read {
            manager.cut_at_next_word();
        }
        let began = Instant::now();
        let error = runtime_error(run.send(large("")).await);
        assert_eq!(error.kind(), RuntimeErrorKind::Refused, "{error}");
        assert_eq!(error.http().map(HttpFailure::status), Some(413), "{error}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    Ok(())
}

#[test]
fn tokens_in_the_clear_are_warned_about() {
    use std::io::Write;
    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);
    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Write::write(&mut *self.0.lock().expect("no panic"), bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let said = |builder: CodexManagerBuilder| {
        let written = Said::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || builder.build().map(drop))
            .expect("settings");
        let said = written.0.lock().expect("no panic").clone();
        String::from_utf8_lossy(&said).into_owned()
    };
    let clear = "sent over plain HTTP";
    let secrets: [fn(CodexManagerBuilder) -> CodexManagerBuilder; 3] = [
        |builder| builder.bearer("s3cret"),
        |builder| builder.rbac("s3cret", "role", "actor"),
        |builder| builder.header("x-own", "s3cret"),
    ];
    for with_secret in secrets {
        for off in ["http://codex.example:3000", "http://192.0.2.1"] {
            let said = said(with_secret(at(off)));
            assert!(said.contains(clear) && !said.contains("s3cret"), "{said}");
        }
        for fine in [
            "https://codex.example",
            "http://127.0.0.1:3000",
            "http://localhost:3000",
            "http://[::1]:3000",
        ] {
            assert!(!said(with_secret(at(fine))).contains(clear), "{fine}");
        }
    }
    assert!(!said(at("http://codex.example:3000")).contains(clear));
}

/// The outage is longer than all attempts at an answer.
#[tokio::test]
async fn an_answer_outlasts_an_outage() -> Result<(), Error> {
    let (manager, client) = start().await;
    let (runs, gate) = (Counter::default(), codex_skills_tests::gate::Gate::new());
    let run = client
        .lifecycle_with(catalog(vec![crate::support::held(&runs, &gate)]))
        .await?;
    let outage = async {
        gate.somebody().await;
        manager.refuse_connections(true);
        manager.cut_connections();
        gate.open();
        tokio::time::sleep(Duration::from_millis(700)).await;
        manager.refuse_connections(false);
        Instant::now()
    };
    let turn = run
        .send_and_handle(r#"CALL held {"text":"a"}"#)
        .require_reply();
    let (turn, back) = tokio::join!(turn.into_future(), outage);
    let turn = turn?;
    assert_eq!(turn.assistant_reply, "Tool outputs: held a");
    let submission = turn.dispatches[0].submission();
    assert_eq!(
        (submission.status(), submission.attempts()),
        (SubmissionStatus::Accepted, 2)
    );
    assert!(
        back.elapsed() < Duration::from_secs(5),
        "{:?}",
        back.elapsed()
    );
    assert_eq!(runs.get(), 1);
    Ok(())
}
