//! rig: a tool of its own, called with JSON text. There is no envelope, no session and no pipe.

use rig_core::tool::{ErasedTool, Tool, ToolContext};
use subject::skills::{ARGUMENTS, Lookup, answer};

struct LookupTool;

impl Tool for LookupTool {
    const NAME: &'static str = "lookup";
    type Args = Lookup;
    type Output = String;
    type Error = std::convert::Infallible;

    fn description(&self) -> String {
        "Look up a ticket by its stable id.".to_owned()
    }

    fn parameters(&self) -> serde_json::Value {
        schemars::schema_for!(Lookup).into()
    }

    async fn call(&self, _: &mut ToolContext, lookup: Lookup) -> Result<String, Self::Error> {
        Ok(answer(&lookup.ticket_id, lookup.comments, lookup.verbose))
    }
}

/// One call, and its answer as JSON.
pub async fn call() -> usize {
    let mut context = ToolContext::new();
    let result = LookupTool.execute(ARGUMENTS.to_owned(), &mut context).await;
    serde_json::to_string(result.output()).map_or(0, |json| json.len())
}
