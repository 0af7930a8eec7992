//! Runs the provider of the tests and a home of codex for it, for programs that are no tests: `e2e/manager.sh`.
//!
//! It prints the environment of that codex, a variable a line, then an empty line, and runs until its input ends.

use std::io::{self, Read as _};

use codex_skills_tests::codex::Home;
use codex_skills_tests::provider::Provider;

#[tokio::main]
async fn main() -> io::Result<()> {
    let provider = Provider::start().await?;
    let home = Home::new(&provider)?;
    for (name, value) in home.environment() {
        println!("{name}={value}");
    }
    println!();
    let input = || io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(input).await??;
    Ok(())
}
