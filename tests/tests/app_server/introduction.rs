//! The instruction text goes once into a thread, whatever program goes on with it.

use codex_skills::{Draft, Error, skill, skills};
use codex_skills_tests::codex::Codex;
use codex_skills_tests::provider::Provider;

use crate::support::{Rig, on_codex, spawn};

/// Say what time it is.
///
/// # Returns
/// The time in seconds.
#[skill]
fn now() -> u64 {
    7
}

/// How often the model reads it in the last request.
fn told(provider: &Provider) -> usize {
    let requests = provider.requests();
    let body = requests.last().expect("a request").body().to_string();
    body.matches("output_description: The time in seconds.")
        .count()
}

on_codex!(a_thread_is_introduced_once: current, previous);
async fn a_thread_is_introduced_once(codex: Codex) -> Result<(), Error> {
    let rig = Rig::start(codex).await?;
    let catalog = Draft::new().register(skills![now]).seal()?;
    let (_, session) = rig.client.create_session_with(catalog.clone()).await?;
    let id = session.session_id().to_owned();
    session.send_and_handle("SAY one").await?;
    assert_eq!(told(&rig.provider), 1);
    session.send_and_handle("SAY two").await?;
    assert_eq!(told(&rig.provider), 1, "it is in the history");
    drop(session);
    rig.client.shutdown().await;
    rig.home.until_no_process_is_left().await;

    let again = spawn(&rig.codex, &rig.home).await?;
    let session = again.session(&id).catalog(catalog.clone()).await?;
    session.send_and_handle("SAY three").await?;
    assert_eq!(told(&rig.provider), 1, "the first program told it");
    let fork = session.fork().await?;
    fork.send_and_handle("SAY four").await?;
    assert_eq!(told(&rig.provider), 1, "a fork has the history");

    drop((fork, session));
    again.shutdown().await;
    Ok(())
}
