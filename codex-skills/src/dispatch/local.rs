//! Calls of a catalog without a session, for unit tests of skills.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use super::limits::Limits;
use super::run::{self, Bounds};
use super::shown::Shown;
use crate::catalog::Catalog;
use crate::skill::context::Interest;
use crate::skill::{SkillOutput, ToolCall};
use crate::suggest::most_similar;
use crate::withheld;

/// A skill could not be called. Its `Display` and `Debug` texts have nothing of an answer in them: they may come to a log.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_skills::Error> {
/// let catalog = codex_skills::Catalog::empty();
/// match catalog.call("lookup", serde_json::json!({})).await {
///     Err(codex_skills::CallError::UnknownSkill { name, known }) => println!("no {name} in {known:?}"),
///     other => println!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The catalog has no skill of this name.
    #[error("the catalog has no skill `{name}`{}; it has {known:?}", meant(.name, .known))]
    UnknownSkill {
        /// The requested name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The arguments do not serialize.
    #[error("the arguments of `{name}` do not serialize: {reason}")]
    Arguments {
        /// The skill.
        name: String,
        /// What the serializer says.
        reason: String,
    },
    /// The answer is not what the skill's `output_schema` says. A session warns about it, once, and sends the answer.
    #[error(
        "the answer of `{name}` is not what its `output_schema` says: the `reason` of the error tells where, and what is there"
    )]
    Answer {
        /// The skill.
        name: String,
        /// What does not fit, with the values that do not.
        reason: String,
        /// The text of the answer.
        answer: String,
    },
}

/// The skill that was likely meant: of this name in a namespace, or of a similar one.
fn meant(name: &str, known: &[String]) -> String {
    let known = || known.iter().map(String::as_str);
    let elsewhere =
        known().find(|known| known.rsplit_once('.').is_some_and(|(_, own)| own == name));
    match elsewhere.or_else(|| most_similar(name, known())) {
        Some(meant) => format!(", did you mean `{meant}`?"),
        None => String::new(),
    }
}

/// With sizes in the places of an answer and of what is wrong with it.
impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSkill { name, known } => f
                .debug_struct("UnknownSkill")
                .field("name", name)
                .field("known", known)
                .finish(),
            Self::Arguments { name, reason } => f
                .debug_struct("Arguments")
                .field("name", name)
                .field("reason", reason)
                .finish(),
            Self::Answer {
                name,
                reason,
                answer,
            } => f
                .debug_struct("Answer")
                .field("name", name)
                .field("reason", &withheld::text(reason))
                .field("answer", &withheld::text(answer))
                .finish(),
        }
    }
}

impl Catalog {
    /// Calls a skill (`lookup`, or `tickets.lookup` in a namespace) as a session would, with decoding, validation, deadline and limits, and returns
    /// what the model would read. A handler's failure is an answer too: see
    /// [`is_success`](SkillOutput::is_success).
    ///
    /// ```
    /// # use codex_skills::{skill, skills, Draft};
    /// #[skill]
    /// fn double(number: i64) -> i64 {
    ///     number * 2
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let catalog = Draft::new().register(skills![double]).seal()?;
    /// let output = catalog.call("double", serde_json::json!({"number": 21})).await?;
    /// assert_eq!(output.to_text(), "42");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When there is no such skill, the arguments do not serialize, or the answer is not what the skill's written
    /// `output_schema` says.
    ///
    /// # Cancel safety
    /// Dropping the future drops an asynchronous handler; a synchronous one runs to its end.
    pub async fn call(
        &self,
        name: &str,
        arguments: impl Serialize + Send,
    ) -> Result<SkillOutput, CallError> {
        let skill = self
            .find_qualified(name)
            .ok_or_else(|| CallError::UnknownSkill {
                name: name.to_owned(),
                known: self.list().into_iter().map(str::to_owned).collect(),
            })?;
        let (arguments, rounded) = written(&arguments).map_err(|error| CallError::Arguments {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        let mut call = ToolCall::new("local".into(), skill.name().into(), arguments)
            .with_namespace(skill.namespace().map(Into::into));
        call.rounded = rounded;
        let limits = Limits::default();
        let bounds = Bounds {
            slots: Arc::new(Semaphore::new(1)),
            timeout: limits.call_timeout,
            output_bytes: limits.output_bytes,
            synchronous: Arc::default(),
            shown: Shown::new(&limits),
            whole_answers: limits.whole_answers,
            argument_bytes: limits.argument_bytes,
        };
        let finished = run::run(
            self,
            skill,
            Arc::new(call),
            Arc::new(Interest::default()),
            &bounds,
            run::stand_in_line(skill),
        )
        .await;
        match finished.unfit {
            None => Ok(finished.output),
            Some(reason) => Err(CallError::Answer {
                name: name.to_owned(),
                reason,
                answer: finished.output.to_text().into_owned(),
            }),
        }
    }
}

/// The arguments as JSON, and whether a whole number among them came as a float beyond 2^53: then its digits are not
/// those that its author wrote, and no integer is made of it.
pub(crate) fn written(
    arguments: &impl Serialize,
) -> Result<(Box<RawValue>, bool), serde_json::Error> {
    let mut json = Vec::new();
    let mut rounded = false;
    let watch = Watch(&mut rounded);
    arguments.serialize(&mut Serializer::with_formatter(&mut json, watch))?;
    let json = String::from_utf8(json).map_err(serde::ser::Error::custom)?;
    Ok((RawValue::from_string(json)?, rounded))
}

/// Writes compact JSON, and notes large whole floats.
struct Watch<'a>(&'a mut bool);

impl Formatter for Watch<'_> {
    fn write_f64<W: std::io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        value: f64,
    ) -> std::io::Result<()> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        *self.0 |= value.abs() >= EXACT;
        serde_json::ser::CompactFormatter.write_f64(writer, value)
    }
}
