//! The one handle on skills, in its two phases, and what each phase allows.
//!
//! Registering is a method of both phases as far as the compiler's name resolution goes, and of the
//! draft alone as far as its type checking goes: so the message says *why* a session cannot register
//! and where to do it, instead of "no method named `register`".

use std::convert::Infallible;

use super::draft::{DraftSkills, IntoSkills};

/// A handle on skills: a [`Draft`](crate::Draft) before the session exists, a
/// [`Session`](crate::Session) after.
#[derive(Debug)]
pub struct Skills<P: Phase> {
    pub(crate) inner: P::Inner,
}

/// Before the session ([`Drafting`](crate::Drafting)) or with it ([`Bound`](crate::Bound)).
pub trait Phase: sealed::Sealed {
    /// What the handle holds.
    type Inner: std::fmt::Debug;
}

pub(crate) mod sealed {
    pub trait Sealed {}
}

/// The phase in which a catalog can still change.
#[diagnostic::on_unimplemented(
    message = "skills are registered when a session is created, and this session exists already",
    label = "the catalog of a session is sealed: codex takes tools at creation only",
    note = "register in the callback: `codex.create_session(|draft| draft.register(skills![..]))`, or `codex.lifecycle(..)`",
    note = "or name the skills in the block: `lifecycle!(codex, skills: [..], |run| {{ .. }})`",
    note = "a session with other skills is another session"
)]
pub trait CreateTime: Phase {
    /// The skills of the draft.
    #[doc(hidden)]
    fn skills(inner: &mut Self::Inner) -> &mut DraftSkills;
}

/// The phase in which a runtime takes a changed catalog: there is none.
#[diagnostic::on_unimplemented(
    message = "no runtime takes a changed catalog: codex reads tools when a session is created, and never again",
    label = "catalogs are create-time only",
    note = "register all skills in the callback of `create_session` or `lifecycle`; they are declared with the session",
    note = "to send a request, use `send` or `send_and_handle`"
)]
pub trait RuntimeSync: Phase {
    /// Never called.
    #[doc(hidden)]
    fn sync() -> Infallible;
}

impl<P: Phase> Skills<P> {
    /// Adds skills to the draft. Whether they can stand together is checked when it is sealed.
    ///
    /// Takes [`skills!`](crate::skills), a [`Skill`](crate::Skill), a list of them, or descriptors.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let draft = Draft::new().register(skills![double]);
    /// assert_eq!(draft.list(), ["double"]);
    /// ```
    #[must_use = "a draft is returned with the skills in it"]
    pub fn register<V>(mut self, skills: impl IntoSkills<V>) -> Self
    where
        P: CreateTime,
    {
        P::skills(&mut self.inner).add(skills);
        self
    }

    /// Takes all skills of this name out of the draft, and says whether there was one. `lookup` is each skill of
    /// that name, `tickets.lookup` the one that has this namespace itself.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let mut draft = Draft::new().register(skills![double]);
    /// assert!(draft.unregister("double"));
    /// assert!(!draft.unregister("double"));
    /// ```
    pub fn unregister(&mut self, name: &str) -> bool
    where
        P: CreateTime,
    {
        P::skills(&mut self.inner).remove(name)
    }

    /// Takes all skills out of the draft, and says how many there were.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let mut draft = Draft::new().register(skills![double]);
    /// assert_eq!(draft.clear(), 1);
    /// assert!(draft.list().is_empty());
    /// ```
    pub fn clear(&mut self) -> usize
    where
        P: CreateTime,
    {
        P::skills(&mut self.inner).clear()
    }

    /// Adds skills for the time of `body` and takes exactly those out again.
    ///
    /// ```
    /// # use codex_skills::{Draft, skill, skills};
    /// # /// Double a number.
    /// # #[skill(group = "numbers")]
    /// # fn double(number: i64) -> i64 { number * 2 }
    /// let mut draft = Draft::new();
    /// let count = draft.using(skills![double], |draft| draft.list().len());
    /// assert_eq!(count, 1);
    /// assert!(draft.list().is_empty());
    /// ```
    pub fn using<V, R>(
        &mut self,
        skills: impl IntoSkills<V>,
        body: impl FnOnce(&mut Self) -> R,
    ) -> R
    where
        P: CreateTime,
    {
        let added = P::skills(&mut self.inner).add(skills);
        let using = Using {
            skills: self,
            added,
        };
        body(&mut *using.skills)
    }

    /// Does not exist for any phase: the compiler says what to do instead.
    pub fn sync_runtime(&self) -> Infallible
    where
        P: RuntimeSync,
    {
        P::sync()
    }

    /// Does not exist for any phase: the compiler says what to do instead.
    pub fn prepare_catalog(&self) -> Infallible
    where
        P: RuntimeSync,
    {
        P::sync()
    }

    /// Does not exist for any phase: the compiler says what to do instead.
    pub fn send_prepared(&self, _text: &str) -> Infallible
    where
        P: RuntimeSync,
    {
        P::sync()
    }
}

/// Takes skills out of a draft again when it is dropped, also by a panic.
struct Using<'a, P: CreateTime> {
    skills: &'a mut Skills<P>,
    added: Vec<u64>,
}

impl<P: CreateTime> Drop for Using<'_, P> {
    fn drop(&mut self) {
        P::skills(&mut self.skills.inner).retract(&self.added);
    }
}
