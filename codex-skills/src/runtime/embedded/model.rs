//! What plays the model's part: anything that turns a conversation into calls and messages.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::without_instructions;
use crate::dispatch::written;
use crate::skill::SkillOutput;
use crate::skill::call::qualified;
use crate::withheld;

/// The model of an embedded runtime.
///
/// A turn is a number of rounds: in each, the model is shown the conversation and responds with calls,
/// with messages, or with both. The calls of one response are made at the same time. A response without
/// calls ends the turn.
///
/// ```
/// use codex_skills::embedded::{Model, ModelError, ModelItem, ModelTurn};
///
/// /// Repeats a text.
/// struct Parrot;
///
/// impl Model for Parrot {
///     async fn respond(&self, turn: ModelTurn) -> Result<Vec<ModelItem>, ModelError> {
///         Ok(vec![ModelItem::say(turn.last_user_text())])
///     }
/// }
/// ```
pub trait Model: Send + Sync + 'static {
    /// Responds to the conversation so far.
    ///
    /// An error ends the turn as failed. The future is dropped when the turn is interrupted.
    fn respond(
        &self,
        turn: ModelTurn,
    ) -> impl Future<Output = Result<Vec<ModelItem>, ModelError>> + Send;
}

/// [`Model`] as an object.
pub(super) trait AnyModel: Send + Sync {
    fn respond(&self, turn: ModelTurn) -> Response<'_>;
}

pub(super) type Response<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<ModelItem>, ModelError>> + Send + 'a>>;

impl<M: Model> AnyModel for M {
    fn respond(&self, turn: ModelTurn) -> Response<'_> {
        Box::pin(Model::respond(self, turn))
    }
}

/// What a model is shown.
///
/// ```
/// use codex_skills::embedded::ModelTurn;
///
/// fn prompt(turn: &ModelTurn) -> String {
///     let tools: Vec<_> = turn.tools.iter().map(|tool| tool.qualified_name()).collect();
///     format!("You have {}. Do: {}", tools.join(", "), turn.last_user_text())
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelTurn {
    /// The session.
    pub session_id: Arc<str>,
    /// The turn.
    pub turn_id: Arc<str>,
    /// The round within the turn, from 0.
    pub round: usize,
    /// The tools of the session, as they were declared; not those that are deferred.
    pub tools: Arc<[ModelTool]>,
    /// The tools that codex's models find by searching.
    pub deferred_tools: Arc<[ModelTool]>,
    /// The conversation of the session, oldest first.
    pub history: Vec<Arc<HistoryItem>>,
}

impl ModelTurn {
    /// The last text of the user, without the instruction text that the client put before it.
    ///
    /// ```
    /// # use codex_skills::embedded::{ModelItem, ModelTurn};
    /// fn echo(turn: &ModelTurn) -> ModelItem {
    ///     ModelItem::say(turn.last_user_text())
    /// }
    /// ```
    #[must_use]
    pub fn last_user_text(&self) -> &str {
        self.history
            .iter()
            .rev()
            .find_map(|item| match &item.content {
                Content::User(text) => Some(text.as_str()),
                _ => None,
            })
            .map_or("", without_instructions)
    }

    /// The outputs of this turn, oldest first, with the names of their tools.
    ///
    /// ```
    /// # use codex_skills::embedded::{ModelItem, ModelTurn};
    /// fn sum_up(turn: &ModelTurn) -> ModelItem {
    ///     let lines: Vec<String> = turn.outputs().map(|(tool, text)| format!("{tool} says {text}")).collect();
    ///     ModelItem::say(lines.join("; "))
    /// }
    /// ```
    pub fn outputs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.history
            .iter()
            .filter(|item| item.turn_id == self.turn_id)
            .filter_map(|item| match &item.content {
                Content::Output { tool, text, .. } => Some((tool.as_str(), text.as_str())),
                _ => None,
            })
    }
}

/// A tool as the model sees it.
///
/// ```
/// use codex_skills::embedded::ModelTool;
///
/// /// A tool as the API of a language model takes it.
/// fn declared(tool: &ModelTool) -> serde_json::Value {
///     serde_json::json!({
///         "name": tool.name,
///         "description": tool.description,
///         "parameters": tool.input_schema,
///     })
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelTool {
    /// The namespace, where it has one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The description.
    pub description: String,
    /// The schema of the arguments as codex shows it: without the keywords that it drops, and compacted where it is
    /// large (contract §1.4).
    pub input_schema: Value,
}

impl ModelTool {
    /// The name with the namespace before it: `lookup`, or `tickets.lookup`.
    #[must_use]
    pub fn qualified_name(&self) -> Cow<'_, str> {
        qualified(self.namespace.as_deref(), &self.name)
    }
}

/// One item of a conversation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HistoryItem {
    /// The turn it belongs to.
    pub turn_id: Arc<str>,
    /// What it is.
    pub content: Content,
}

/// The content of a [`HistoryItem`]. Its `Debug` has sizes in the place of texts.
///
/// ```
/// use codex_skills::embedded::Content;
///
/// fn line(content: &Content) -> String {
///     match content {
///         Content::User(text) => format!("user: {text}"),
///         Content::Assistant(text) => format!("assistant: {text}"),
///         Content::Call { tool, arguments, .. } => format!("call: {tool}({arguments})"),
///         Content::Output { tool, text, .. } => format!("{tool}: {text}"),
///         _ => String::new(),
///     }
/// }
/// # assert_eq!(line(&Content::User("hello".into())), "user: hello");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Content {
    /// What the user wrote.
    User(String),
    /// What the model said.
    Assistant(String),
    /// A call that the model made.
    Call {
        /// The id of the call.
        call_id: Arc<str>,
        /// The tool: `lookup`, or `tickets.lookup`.
        tool: String,
        /// The arguments as JSON text.
        arguments: String,
    },
    /// What came of a call.
    Output {
        /// The id of the call.
        call_id: Arc<str>,
        /// The tool: `lookup`, or `tickets.lookup`.
        tool: String,
        /// What the model is shown of it.
        text: String,
        /// The whole answer, unless codex answered in the skill's place.
        output: Option<Arc<SkillOutput>>,
    },
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = |who: &str, text: &str| {
            let text = withheld::text(text);
            f.debug_tuple(who).field(&text).finish()
        };
        match self {
            Self::User(text) => said("User", text),
            Self::Assistant(text) => said("Assistant", text),
            Self::Call {
                call_id,
                tool,
                arguments,
            } => f
                .debug_struct("Call")
                .field("call_id", call_id)
                .field("tool", tool)
                .field("arguments", &withheld::text(arguments))
                .finish(),
            Self::Output {
                call_id,
                tool,
                text,
                output,
            } => f
                .debug_struct("Output")
                .field("call_id", call_id)
                .field("tool", tool)
                .field("text", &withheld::text(text))
                .field("output", output)
                .finish(),
        }
    }
}

/// One item of a model's response.
///
/// ```
/// use codex_skills::embedded::ModelItem;
///
/// let items = [
///     ModelItem::say("I look it up."),
///     ModelItem::call("lookup", serde_json::json!({"id": 7})).with_call_id("call_1"),
/// ];
/// assert!(matches!(&items[1], ModelItem::Call { tool, .. } if tool == "lookup"));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelItem {
    /// A call of a tool.
    Call {
        /// The namespace.
        namespace: Option<String>,
        /// The tool.
        tool: String,
        /// The arguments as JSON text; models also write what is no JSON.
        arguments: String,
        /// Whether large numbers of the arguments may have lost digits as floats of a `Value`, so that no whole number
        /// is made of them.
        rounded: bool,
        /// The id of the call; one is made up where it is `None`.
        call_id: Option<String>,
    },
    /// A message.
    Message(String),
}

/// With sizes in the place of arguments and messages.
impl fmt::Debug for ModelItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call {
                namespace,
                tool,
                arguments,
                rounded,
                call_id,
            } => f
                .debug_struct("Call")
                .field("namespace", namespace)
                .field("tool", tool)
                .field("arguments", &withheld::text(arguments))
                .field("rounded", rounded)
                .field("call_id", call_id)
                .finish(),
            Self::Message(text) => {
                let text = withheld::text(text);
                f.debug_tuple("Message").field(&text).finish()
            }
        }
    }
}

impl ModelItem {
    /// A call of a tool: `lookup`, or `tickets.lookup` for one in a namespace. As with
    /// [`Catalog::call`](crate::Catalog::call), no whole number is made of a float from 2^53 on: its digits may not be
    /// those that were written.
    #[allow(clippy::needless_pass_by_value, reason = "reads best with `json!`")]
    pub fn call(tool: impl Into<String>, arguments: Value) -> Self {
        let mut call = Self::raw_call(tool, arguments.to_string());
        if let Self::Call { rounded, .. } = &mut call {
            *rounded = written(&arguments).is_ok_and(|(_, rounded)| rounded);
        }
        call
    }

    /// A call whose arguments may be anything that a model can write.
    ///
    /// ```
    /// use codex_skills::embedded::ModelItem;
    ///
    /// // As a careless model writes it.
    /// let item = ModelItem::raw_call("lookup", "{id: 7");
    /// # drop(item);
    /// ```
    pub fn raw_call(tool: impl Into<String>, arguments: impl Into<String>) -> Self {
        let tool = tool.into();
        let (namespace, tool) = match tool.split_once('.') {
            Some((namespace, tool)) => (Some(namespace.to_owned()), tool.to_owned()),
            None => (None, tool),
        };
        Self::Call {
            namespace,
            tool,
            arguments: arguments.into(),
            rounded: false,
            call_id: None,
        }
    }

    /// A message.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }

    /// The same call with an id of your own.
    #[must_use]
    pub fn with_call_id(mut self, id: impl Into<String>) -> Self {
        if let Self::Call { call_id, .. } = &mut self {
            *call_id = Some(id.into());
        }
        self
    }
}

/// The model failed, and the turn with it.
///
/// ```
/// use codex_skills::embedded::ModelError;
///
/// let error = ModelError("the model is overloaded".to_owned());
/// assert_eq!(error.to_string(), "the model is overloaded");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ModelError(pub String);
