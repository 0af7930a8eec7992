//! Turns and their calls.

use codex_skills::{AppServer, Client, Error, Event, TurnStatus, lifecycle, skill};
use codex_skills_tests::codex::{Codex, Home};
use codex_skills_tests::provider::Provider;

/// Look up a ticket.
#[skill]
fn lookup_ticket(
    /// Its id.
    ticket_id: String,
) -> String {
    format!("{ticket_id} is open")
}

async fn server(codex: &Codex, home: &Home) -> Result<Client<AppServer>, Error> {
    let mut spawn = AppServer::spawn()
        .codex(codex.binary())
        .codex_home(home.path());
    for (name, value) in home.environment() {
        spawn = spawn.env(name, value);
    }
    Ok(spawn.await?)
}

#[tokio::test]
async fn a_call_is_answered_and_the_session_is_deleted() -> Result<(), Error> {
    let Some(codex) = Codex::current() else {
        return Ok(());
    };
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    let client = server(&codex, &home).await?;
    let (turn, seen) = lifecycle!(client, skills: [lookup_ticket], cwd: home.work(), |run| {
        let mut events = run.events();
        let request = "CALL lookup_ticket {\"ticket_id\":\"ABC-123\"}";
        let turn = run.send_and_handle(request).await?;
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Event::ToolStarted { tool, .. } => seen.push(format!("{tool} began")),
                Event::ToolCompleted { tool, success, .. } => seen.push(format!("{tool}: {success}")),
                Event::TurnCompleted { .. } => break,
                _ => {}
            }
        }
        Ok((turn, seen))
    })
    .await?;
    assert_eq!(turn.status, TurnStatus::Completed);
    assert_eq!(turn.dispatches.len(), 1);
    assert_eq!(turn.usage.map(|usage| usage.total > 0), Some(true));
    assert_eq!(seen, ["lookup_ticket began", "lookup_ticket: true"]);
    let calls = provider.calls();
    assert_eq!(calls.len(), 1);
    let outputs = provider.outputs(&calls[0]);
    assert_eq!(outputs.len(), 1);
    assert_eq!(outputs[0].text(), "ABC-123 is open");
    let report = client.shutdown().await;
    assert!(report.runtime_error.is_none(), "{report:?}");
    home.until_no_process_is_left().await;
    assert!(home.rollouts().is_empty());
    Ok(())
}
