//! The manual, by task.

pub mod limits;
