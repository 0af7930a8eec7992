//! Skills that need more than their arguments: methods of a value, state, and the context of the call.
//! The model sees none of it: neither `&self`, nor `#[state]`, nor `#[context]` is in the schema.
//!
//! `cargo run --bin state_and_methods`

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use codex_skills::{Embedded, Error, SkillContext, lifecycle, skill};

/// One value, several skills: every annotated method of the block is one.
#[derive(Default)]
struct Basket {
    items: Mutex<Vec<String>>,
}

#[skill]
impl Basket {
    /// Put an item into the basket.
    #[skill]
    fn add_item(&self, item: String) -> Result<usize, BasketError> {
        let mut items = self.items.lock().map_err(|_| BasketError::Broken)?;
        items.push(item);
        Ok(items.len())
    }

    /// List what is in the basket.
    #[skill(read_only)]
    fn list_items(&self) -> Result<Vec<String>, BasketError> {
        Ok(self.items.lock().map_err(|_| BasketError::Broken)?.clone())
    }
}

#[derive(Debug, thiserror::Error)]
enum BasketError {
    #[error("the basket is broken; start a new one")]
    Broken,
}

/// How often the till was opened.
#[derive(Default)]
struct Till(AtomicU32);

/// Pay for everything, in cents.
#[skill(exclusive, timeout = "5s")]
fn pay(#[state] till: &Till, #[context] cx: &SkillContext, cents: u32) -> String {
    let number = till.0.fetch_add(1, Ordering::Relaxed) + 1;
    format!(
        "receipt {number}: {cents} cents, for call {}",
        cx.call_id().unwrap_or("?")
    )
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let codex = Embedded::demo();
    let basket = std::sync::Arc::new(Basket::default());

    lifecycle!(
        codex,
        skills: [Basket, pay],
        shared_state: basket.clone(),
        state: Till::default(),
        |run| {
            for request in ["add_item 'tea'", "add_item 'milk'", "list_items", "pay 640 cents"] {
                let turn = run.send_and_handle(request).require_reply().await?;
                println!("{request:<18} {}", turn.assistant_reply);
            }
            for skill in run.catalog() {
                let seen = &skill.input_schema()["properties"];
                println!("{:<18} the model fills {seen}", skill.name());
            }
            Ok(())
        }
    )
    .await?;

    // The value is the program's own all the while, and its methods are ordinary methods.
    let items = basket.list_items().map_err(Error::other)?;
    println!("{:<18} {items:?}", "afterwards");
    if items != ["tea", "milk"] {
        return Err(Error::other("the basket has something else in it"));
    }
    Ok(())
}
