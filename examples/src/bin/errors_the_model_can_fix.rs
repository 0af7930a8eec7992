//! What a model reads when a call goes wrong: which argument, what was expected, what to do. And what it
//! does not read: the inside of a panic.
//!
//! `cargo run --bin errors_the_model_can_fix`

use codex_skills::embedded::Step;
use codex_skills::{Embedded, Error, Outcome, lifecycle, skill};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
#[error("room `{0}` does not exist; the rooms are `blue` and `red`")]
struct NoSuchRoom(String);

/// Book a meeting room.
#[skill]
fn book_room(
    /// The room's name.
    room: String,
    /// For how many people.
    #[schemars(range(min = 1, max = 20))]
    people: u8,
) -> Result<String, NoSuchRoom> {
    match room.as_str() {
        "blue" | "red" => Ok(format!("{room} is yours, for {people}")),
        _ => Err(NoSuchRoom(room)),
    }
}

/// Open a door.
#[skill]
#[expect(clippy::panic, reason = "it is what this lesson is about")]
fn open_door() -> String {
    panic!("door controller at 10.0.0.7 said 0x1f")
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    // A model that makes one mistake after the other, and mends each.
    let codex = Embedded::scripted([
        Step::call("book_room", json!({"rom": "blue", "people": 4})),
        Step::call("book_room", json!({"room": "blue", "people": "four"})),
        Step::call("book_room", json!({"room": "blue", "people": 40})),
        Step::call("book_room", json!({"room": "green", "people": 4})),
        Step::call("book_room", json!({"room": "blue", "people": 4})),
        Step::call("open_door", json!({})),
        Step::say("The blue room is booked, but its door does not open."),
    ]);
    std::panic::set_hook(Box::new(|_| {}));

    let turn = lifecycle!(codex, skills: [book_room, open_door], |run| {
        run.send_and_handle("Book a room for four.").require_reply().await
    })
    .await?;

    for call in &turn.dispatches {
        println!("the model calls   {}({})", call.tool(), call.arguments());
        println!("the model reads   {}", call.output().to_text());
        if call.outcome() == Outcome::Panicked {
            println!("we read           {}", call.error().unwrap_or_default());
        }
        println!();
    }
    println!("the model says    {}", turn.assistant_reply);

    let count = |outcome| {
        let calls = turn.dispatches.iter();
        calls.filter(|call| call.outcome() == outcome).count()
    };
    let mended = [
        Outcome::InvalidArguments,
        Outcome::Failed,
        Outcome::Completed,
    ]
    .map(count);
    if mended != [3, 1, 1] || count(Outcome::Panicked) != 1 {
        return Err(Error::other("the calls ended otherwise"));
    }
    Ok(())
}
