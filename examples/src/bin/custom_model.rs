//! A model of your own: anything that turns a conversation into calls and messages. Here it plays a
//! guessing game over several rounds; in your tests it may be whatever your skills should survive.
//!
//! `cargo run --bin custom_model`

use codex_skills::embedded::{Model, ModelError, ModelItem, ModelTurn};
use codex_skills::{Embedded, Error, lifecycle, skill};
use serde_json::json;

/// Compare a guess with the secret number.
#[skill(inline, read_only)]
fn compare(guess: u32) -> &'static str {
    match guess.cmp(&37) {
        std::cmp::Ordering::Less => "higher",
        std::cmp::Ordering::Equal => "right",
        std::cmp::Ordering::Greater => "lower",
    }
}

/// Halves what is left. It remembers nothing: all it knows is in the conversation.
struct Bisection {
    low: u32,
    high: u32,
}

impl Model for Bisection {
    async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
        let (mut low, mut high) = (self.low, self.high);
        for (_, output) in turn.outputs() {
            let guess = low.midpoint(high);
            match output {
                "higher" => low = guess + 1,
                "lower" => high = guess,
                "right" => return Ok(vec![ModelItem::say(format!("It is {guess}."))]),
                other => return Err(ModelError(format!("what does `{other}` mean?"))),
            }
        }
        Ok(vec![ModelItem::call(
            "compare",
            json!({"guess": low.midpoint(high)}),
        )])
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::with_model(Bisection { low: 0, high: 100 });
    let turn = lifecycle!(codex, skills: [compare], |run| {
        run.send_and_handle("Guess my number between 0 and 100.").require_reply().await
    })
    .await?;

    for (round, call) in turn.dispatches.iter().enumerate() {
        println!(
            "round {}   {} -> {}",
            round + 1,
            call.arguments(),
            call.output().to_text()
        );
    }
    println!("reply     {}", turn.assistant_reply);
    if turn.assistant_reply != "It is 37." {
        return Err(Error::other("the model guessed wrong"));
    }
    Ok(())
}
