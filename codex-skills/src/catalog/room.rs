//! How many tools the sessions of a runtime take.

use super::error::CatalogProblem;

/// The number of tools that the sessions of a runtime take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) runtime: &'static str,
    pub(crate) tools: usize,
}

impl Room {
    /// The problem of a catalog with so many tools, where these are too many.
    pub(crate) fn problem(self, count: usize) -> Option<CatalogProblem> {
        let Self { runtime, tools } = self;
        (count > tools).then_some(CatalogProblem::TooManyTools {
            runtime,
            count,
            limit: tools,
        })
    }
}
