//! codex-skills beside a floor, rmcp and rig.

pub mod catalogs;
pub mod contenders;
pub mod dispatch;
pub mod floor;
pub mod measure;
pub mod model_context;
pub mod nothing;
pub mod report;
pub mod rig;
pub mod throughput;

use std::error::Error;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How many skills there are beside the one that is called, and that one.
pub const SKILLS: [usize; 4] = [1, 10, 200, 1000];
