//! Sessions that outlive the code that made them: create, hand the id around, attach, close.
//!
//! `cargo run --bin create_session`

use codex_skills::{Draft, Embedded, Error, Session, skill, skills};

/// Convert an amount from euros.
#[skill(read_only)]
fn convert(amount: f64, currency: Currency) -> String {
    format!(
        "{:.2} {currency:?}",
        amount
            * if currency == Currency::Usd {
                1.08
            } else {
                0.84
            }
    )
}

/// What to convert to.
#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
enum Currency {
    Usd,
    Gbp,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Note {
    /// What to remember.
    text: String,
}

/// Skills can also be made while the program runs. The callback may fail, and may wait.
async fn register(draft: Draft) -> Result<Draft, std::io::Error> {
    let author = tokio::task::spawn_blocking(|| "Ada".to_owned()).await?;
    let draft = draft
        .register(skills![convert])
        .skill("take_note")
        .description("Remember a text.")
        .handler(move |note: Note| {
            let author = author.clone();
            async move { Ok::<_, Error>(format!("{author} noted: {}", note.text)) }
        });
    Ok(draft)
}

async fn ask(session: &Session, request: &str) -> Result<(), Error> {
    println!("request   {request}");
    let turn = session.send_and_handle(request).require_reply().await?;
    for call in &turn.dispatches {
        println!("  {call:#}");
    }
    println!("  reply   {}", turn.assistant_reply);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();

    let (created, session) = codex.create_session(register).cwd(".").await?;
    println!("created   {}", created["session"]["sessionId"]);
    println!("skills    {:?}", session.list());
    ask(&session, "convert 20 euros to Gbp").await?;

    // Elsewhere in the program, the id is enough: the client knows the catalog.
    let again = codex.session(session.session_id()).await?;
    ask(&again, "Use take_note for 'the tea is cold'.").await?;

    // A catalog is sealed once and shared by as many sessions as you like.
    let (_, twin) = codex.create_session_with(session.catalog().clone()).await?;
    println!(
        "twin      same tools: {}",
        twin.catalog().fingerprint() == session.catalog().fingerprint()
    );

    // Nothing deletes these sessions but this.
    for open in [&session, &twin] {
        let report = codex.close_session(open.session_id(), true).await?;
        println!("closed    {report}");
    }
    match codex.runtime().session_count() {
        0 => Ok(()),
        left => Err(Error::other(format!("{left} sessions were left"))),
    }
}
