//! What is wrong with a catalog, all at once, with the places in the source.

use std::fmt;

use crate::skill::Location;

/// A draft that cannot be sealed, with every reason.
///
/// ```
/// use codex_skills::{CatalogProblem, Draft};
///
/// let problems = match Draft::new().expecting(["lookup_ticket"]).seal() {
///     Ok(_) => Vec::new(),
///     Err(error) => error.problems().to_vec(),
/// };
/// assert!(matches!(&problems[..], [CatalogProblem::NotLinked { skill, .. }] if skill == "lookup_ticket"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CatalogError {
    problems: Vec<CatalogProblem>,
}

impl CatalogError {
    pub(super) fn new(problems: Vec<CatalogProblem>) -> Self {
        Self { problems }
    }

    /// The problems, in the order of the skills' names.
    ///
    /// ```
    /// use codex_skills::{Draft, skill, skills};
    ///
    /// /// Count.
    /// #[skill]
    /// fn count(#[state] all: &Vec<u8>) -> usize {
    ///     all.len()
    /// }
    ///
    /// // The state is missing.
    /// let error = Draft::new().register(skills![count]).seal().map(drop).unwrap_err();
    /// assert_eq!(error.problems().len(), 1);
    /// assert_eq!(error.problems()[0].skill(), "count");
    /// ```
    #[must_use]
    pub fn problems(&self) -> &[CatalogProblem] {
        &self.problems
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "the catalog cannot be sealed: {only}"),
            problems => {
                write!(
                    f,
                    "the catalog cannot be sealed, {} problems:",
                    problems.len()
                )?;
                for problem in problems {
                    write!(f, "\n  - {problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for CatalogError {}

/// One reason why a draft cannot be sealed.
///
/// ```
/// use codex_skills::{CatalogProblem, Draft, Skill};
///
/// let wait = || Skill::builder("wait").handler(|_: serde_json::Value| async { Ok::<_, std::fmt::Error>(()) });
/// let error = Draft::new().register([wait()]).seal().map(drop).unwrap_err();
/// for problem in error.problems() {
///     match problem {
///         CatalogProblem::Name { skill, location, reason } => println!("{skill} in {location}: {reason}"),
///         other => println!("{other}"),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CatalogProblem {
    /// Codex refuses, shadows or loses a tool of this name.
    Name {
        /// The name.
        skill: String,
        /// Where the skill is written.
        location: Location,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// Codex refuses a namespace.
    Namespace {
        /// The namespace.
        namespace: String,
        /// Where it is given: at a skill or at the draft.
        location: Location,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A skill is deferred and in no namespace.
    DeferredAtTopLevel {
        /// The skill.
        skill: String,
        /// Where it is written.
        location: Location,
    },
    /// Two skills have the same name, and are in the same namespace or in none.
    Duplicate {
        /// The name.
        skill: String,
        /// Where the first is written.
        first: Location,
        /// Where the second is written.
        second: Location,
    },
    /// A skill needs state that the draft does not have.
    MissingState {
        /// The skill.
        skill: String,
        /// Where it is written.
        location: Location,
        /// The type of the state.
        state: String,
    },
    /// The input or output schema cannot be used.
    Schema {
        /// The skill.
        skill: String,
        /// Where it is written.
        location: Location,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A skill or a parameter has no description, and the draft requires them.
    Undocumented {
        /// The skill.
        skill: String,
        /// Where it is written.
        location: Location,
        /// The parameter; `None` for the skill itself.
        parameter: Option<String>,
        /// Whether the skill is a closure, which has no doc comments.
        is_closure: bool,
    },
    /// A skill that should have been discovered is not linked into the program.
    NotLinked {
        /// The name that was expected.
        skill: String,
        /// The most similar name of a skill that is there, if one is similar.
        nearest: Option<String>,
    },
    /// Nothing was found that is linked into the program, where something was to be discovered.
    NoneDiscovered {
        /// The group that was asked for; `None` for all skills.
        group: Option<String>,
        /// Where it was asked for.
        location: Location,
        /// The most similar name of a group that is there, if one is similar.
        nearest: Option<String>,
        /// The groups that are there, sorted.
        groups: Vec<String>,
    },
    /// The catalog has more tools than the sessions of the runtime take.
    TooManyTools {
        /// The runtime.
        runtime: &'static str,
        /// How many tools the catalog has.
        count: usize,
        /// How many the runtime takes.
        limit: usize,
    },
    /// A deadline of zero, which no call could meet.
    Timeout {
        /// The skill.
        skill: String,
        /// Where it is written.
        location: Location,
    },
}

impl CatalogProblem {
    /// The skill that the problem is about, with its namespace before it (`tickets.lookup`); the namespace,
    /// where the problem is its own; the group that was to be discovered; and nothing, where all skills are meant.
    #[must_use]
    pub fn skill(&self) -> &str {
        match self {
            Self::Namespace { namespace, .. } => namespace,
            Self::Name { skill, .. }
            | Self::DeferredAtTopLevel { skill, .. }
            | Self::Duplicate { skill, .. }
            | Self::MissingState { skill, .. }
            | Self::Schema { skill, .. }
            | Self::Undocumented { skill, .. }
            | Self::NotLinked { skill, .. }
            | Self::Timeout { skill, .. } => skill,
            Self::NoneDiscovered { group, .. } => group.as_deref().unwrap_or_default(),
            Self::TooManyTools { .. } => "",
        }
    }
}

fn none_discovered(
    f: &mut fmt::Formatter<'_>,
    group: Option<&str>,
    location: Location,
    nearest: Option<&str>,
    groups: &[String],
) -> fmt::Result {
    const UNLINKED: &str = "a crate that the program never names is not linked, so nothing in it is discovered; \
                            write `use that_crate as _;`, or name its skills in `skills![..]`";
    let Some(group) = group else {
        return write!(f, "no skill was found to discover ({location}): {UNLINKED}");
    };
    write!(f, "no skill was found in the group `{group}` ({location})")?;
    if let Some(nearest) = nearest {
        write!(f, ", did you mean `{nearest}`?")?;
    }
    match groups {
        [] => write!(
            f,
            ": no skill that is linked into the program is in a group"
        )?,
        groups => write!(
            f,
            "{} the groups are `{}`",
            if nearest.is_some() { " If not:" } else { ":" },
            groups.join("`, `")
        )?,
    }
    write!(f, "; {UNLINKED}")
}

impl fmt::Display for CatalogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name {
                skill,
                location,
                reason,
            } => write!(f, "skill `{skill}` ({location}): {reason}"),
            Self::Namespace {
                namespace,
                location,
                reason,
            } => write!(f, "namespace `{namespace}` ({location}): {reason}"),
            Self::DeferredAtTopLevel { skill, location } => write!(
                f,
                "skill `{skill}` ({location}) is deferred, which codex takes in a namespace only: give it one \
                 with `namespace = \"..\"`, or the whole draft with `.namespace(\"..\")`; or remove `defer`"
            ),
            Self::Duplicate {
                skill,
                first,
                second,
            } => write!(
                f,
                "two skills are called `{skill}`: {first} and {second}; rename one of them"
            ),
            Self::MissingState {
                skill,
                location,
                state,
            } => {
                write!(
                    f,
                    "skill `{skill}` ({location}) needs state of type `{state}`: give it to the draft with "
                )?;
                if state.starts_with("dyn ") {
                    write!(
                        f,
                        "`.shared_state::<{state}>(Arc::new(..))`, or to `lifecycle!` with \
                         `shared_state: Arc::new(..) as Arc<{state}>`"
                    )
                } else {
                    f.write_str(
                        "`.state(value)`, or `.shared_state(arc)` if you hold it in an `Arc`; \
                         to `lifecycle!` with `state: value` or `shared_state: arc`",
                    )
                }
            }
            Self::Schema {
                skill,
                location,
                reason,
            } => write!(f, "schema of skill `{skill}` ({location}): {reason}"),
            Self::Undocumented {
                skill,
                location,
                parameter: None,
                is_closure,
            } => write!(
                f,
                "skill `{skill}` ({location}) has no description: write {}",
                if *is_closure {
                    "`.description(\"..\")` before its handler, or a doc comment on the type of its arguments"
                } else {
                    "a doc comment on it"
                }
            ),
            Self::Undocumented {
                skill,
                location,
                parameter: Some(parameter),
                is_closure,
            } => write!(
                f,
                "parameter `{parameter}` of skill `{skill}` ({location}) has no description: write a doc comment on {}",
                if *is_closure {
                    "the field of its arguments"
                } else {
                    "it, or an item under `# Arguments`"
                }
            ),
            Self::NotLinked { skill, nearest } => {
                write!(f, "no skill `{skill}` was found")?;
                if let Some(nearest) = nearest {
                    write!(f, ", did you mean `{nearest}`?")?;
                }
                write!(
                    f,
                    "{} a crate that the program never names is not linked, so nothing in it is \
                     discovered; write `use that_crate as _;`, or name the skill in `skills![..]`",
                    if nearest.is_some() { " If not:" } else { ":" }
                )
            }
            Self::NoneDiscovered {
                group,
                location,
                nearest,
                groups,
            } => none_discovered(f, group.as_deref(), *location, nearest.as_deref(), groups),
            Self::TooManyTools {
                runtime,
                count,
                limit,
            } => write!(
                f,
                "the catalog has {count} tools, and {runtime} takes {limit} at most: leave some out, share them out \
                 among sessions, or use `AppServer`"
            ),
            Self::Timeout { skill, location } => write!(
                f,
                "skill `{skill}` ({location}) has a deadline of zero, which no call can meet"
            ),
        }
    }
}
