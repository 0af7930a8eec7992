//! What is checked before a session is opened: the tokio runtime, the limits, the folder, the form of the tools.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::runtime::Handle;

use crate::catalog::{Catalog, Room};
use crate::dispatch::Limits;
use crate::drivers;
use crate::error::Error;
use crate::runtime::{Runtime, RuntimeError, RuntimeErrorKind, ToolFormat};

/// The tokio runtime that a session is opened on, which is fit for it.
pub(super) fn tokio_here(
    runtime: &dyn Runtime,
    operation: &'static str,
) -> Result<Handle, RuntimeError> {
    let tokio = drivers::with_time();
    let fit = tokio.and_then(|tokio| runtime.unfit_tokio().map_or(Ok(tokio), Err));
    fit.map_err(|lacks| {
        let kind = RuntimeErrorKind::Refused;
        RuntimeError::new(runtime.name(), operation, kind, lacks)
    })
}

/// Checks that no limit is one with which nothing works.
pub(super) fn check(limits: &Limits) -> Result<(), Error> {
    if limits.call_timeout.is_zero() {
        return Err(Error::option(
            "call_timeout",
            "no call can be answered in no time; `Duration::MAX` means no deadline",
        ));
    }
    let counts = [
        (
            "max_concurrent_calls",
            limits.concurrent_calls,
            "handlers run",
        ),
        ("open_calls", limits.open_calls, "calls are taken"),
    ];
    let sizes = [
        ("argument_bytes", limits.argument_bytes, "arguments fit"),
        ("open_bytes", limits.open_bytes, "calls are taken"),
        ("output_bytes", limits.output_bytes, "answers fit"),
    ];
    for (option, limit, what) in counts.into_iter().chain(sizes) {
        if limit == 0 {
            return Err(Error::option(
                option,
                format!("no {what} with 0: give at least 1; `usize::MAX` means no limit"),
            ));
        }
    }
    Ok(())
}

/// How many tools the runtime's sessions take, where that is limited.
pub(super) fn room(runtime: &dyn Runtime) -> Option<Room> {
    runtime.tool_limit().map(|tools| Room {
        runtime: runtime.name(),
        tools,
    })
}

/// Checks that the working directory is one, where the runtime sees what this process sees.
pub(super) async fn check_folder(runtime: &dyn Runtime, cwd: Option<&str>) -> Result<(), Error> {
    let Some((cwd, path)) = cwd.and_then(|cwd| Some((cwd, runtime.folder(cwd)?))) else {
        return Ok(());
    };
    if cwd.is_empty() {
        let reason = "it is empty: give a folder, like `.`, or leave it out";
        return Err(Error::option("cwd", reason));
    }
    // A file system may take its time.
    let looked = tokio::task::spawn_blocking(move || {
        let shown = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let shown = shown.display().to_string();
        match std::fs::metadata(&path) {
            Ok(folder) if folder.is_dir() => Ok(()),
            Ok(_) => Err(format!(
                "`{shown}` is not a folder: give the one that it is in"
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(format!(
                "`{shown}` is no folder here ({error}): create it, or give another"
            )),
            Err(error) => Err(format!(
                "`{shown}` cannot be looked at ({error}): give a folder that can"
            )),
        }
    });
    // Without an answer, tokio goes down.
    match looked.await {
        Ok(Err(reason)) => Err(Error::option("cwd", reason)),
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// The tools of a catalog as the runtime takes them.
pub(super) fn declared(
    catalog: &Catalog,
    runtime: &dyn Runtime,
) -> Result<Option<Arc<RawValue>>, Error> {
    match runtime.tool_format() {
        ToolFormat::Canonical => Ok(catalog.shared_tools(runtime.keeps_references())),
        ToolFormat::Flat if catalog.flat_tools().is_some() => Ok(catalog.shared_flat_tools()),
        ToolFormat::Flat => Err(Error::NoNamespaces {
            runtime: runtime.name(),
            skills: catalog.namespaced(),
        }),
    }
}
