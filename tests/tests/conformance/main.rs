//! What sealing says of a catalog, and what the real codex makes of it.

mod budget;
mod built_in;
mod catalogs;
mod code_mode;
mod namespaces;
mod refusals;
mod shown;
