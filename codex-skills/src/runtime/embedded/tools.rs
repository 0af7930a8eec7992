//! The tools of one session, as its model sees and calls them.

use std::sync::Arc;

use foldhash::HashMap;

use super::model::ModelTool;
use super::strict::{StrictTool, is_shadowed};
use crate::skill::call::qualified;
use crate::skill::schema::shown::Shown;

/// The tools of a session that passed the checks.
#[derive(Clone, Default)]
pub(super) struct Tools {
    pub(super) listed: Arc<[ModelTool]>,
    /// Not shown to the model, and called all the same if it knows their names (contract §1.5).
    pub(super) deferred: Arc<[ModelTool]>,
    /// Those that are called, by their qualified names.
    pub(super) names: Arc<HashMap<String, ToolName>>,
}

/// The name of a tool as its calls have it.
pub(super) struct ToolName {
    pub(super) namespace: Option<Arc<str>>,
    pub(super) name: Arc<str>,
}

#[cfg(test)]
impl Tools {
    /// Whether these are the very same tools.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.listed, &other.listed)
    }
}

impl From<Vec<StrictTool>> for Tools {
    fn from(tools: Vec<StrictTool>) -> Self {
        // A tool that a built-in shadows is neither shown to the model nor called.
        let (deferred, listed): (Vec<StrictTool>, Vec<StrictTool>) = tools
            .into_iter()
            .filter(|tool| !is_shadowed(tool.namespace.as_deref(), &tool.name))
            .partition(|tool| tool.defer_loading);
        let name = |tool: &StrictTool| {
            let namespace = tool.namespace.as_deref();
            let called = ToolName {
                namespace: namespace.map(Into::into),
                name: tool.name.as_str().into(),
            };
            (qualified(namespace, &tool.name).into_owned(), called)
        };
        Self {
            names: Arc::new(listed.iter().chain(&deferred).map(name).collect()),
            listed: listed.into_iter().map(ModelTool::from).collect(),
            deferred: deferred.into_iter().map(ModelTool::from).collect(),
        }
    }
}

impl From<StrictTool> for ModelTool {
    fn from(tool: StrictTool) -> Self {
        Self {
            namespace: tool.namespace,
            name: tool.name,
            description: tool.description,
            input_schema: Shown::new(&tool.input_schema).schema,
        }
    }
}
