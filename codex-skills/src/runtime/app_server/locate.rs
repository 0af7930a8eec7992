//! Where the codex program is: where it was said to be or on `PATH`, and behind npm's shim, which would be ended in its
//! stead.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::error::AppServerError;

/// Finds the native program. It looks at files, and so blocks.
pub(super) fn find(codex: Option<&Path>) -> Result<PathBuf, AppServerError> {
    let found = match codex {
        // Where it runs may be elsewhere.
        Some(path) if path.components().count() > 1 => {
            at(path).map(|found| std::path::absolute(&found).unwrap_or(found))
        }
        Some(name) => on_path(name.as_os_str()),
        None => on_path(OsStr::new("codex")),
    };
    let found = found.ok_or_else(|| AppServerError::NotFound {
        looked_for: codex.map(Path::to_owned),
    })?;
    Ok(native(&found, Path::is_file).unwrap_or(found))
}

/// The program at a path, of which Windows lets the extension be left out.
fn at(path: &Path) -> Option<PathBuf> {
    let directory = path.parent()?.to_owned();
    let found = search(path.file_name()?, [directory], &extensions(), Path::is_file);
    found.or_else(|| path.exists().then(|| path.to_owned()))
}

fn on_path(name: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    search(
        name,
        std::env::split_paths(&path),
        &extensions(),
        Path::is_file,
    )
}

/// The extensions of programs here; none where any file may be one.
fn extensions() -> Vec<String> {
    if cfg!(windows) {
        runnable(std::env::var_os("PATHEXT"))
    } else {
        Vec::new()
    }
}

/// The extensions of `PATHEXT` that can be started without another program, in its order. Without it, those of Windows.
fn runnable(path_ext: Option<OsString>) -> Vec<String> {
    const RUNNABLE: [&str; 4] = [".com", ".exe", ".bat", ".cmd"];
    let set = path_ext.map(|set| set.to_string_lossy().to_ascii_lowercase());
    let listed = set.iter().flat_map(|set| set.split(';')).map(str::trim);
    let known: Vec<String> = listed
        .filter(|extension| RUNNABLE.contains(extension))
        .map(str::to_owned)
        .collect();
    if known.is_empty() {
        return RUNNABLE.map(str::to_owned).to_vec();
    }
    known
}

/// The first file of a name in these directories: the name as it is where it has one of the extensions or there are
/// none, and then with each extension, as Windows looks for programs.
fn search(
    name: &OsStr,
    directories: impl IntoIterator<Item = PathBuf>,
    extensions: &[String],
    is_file: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let lower = name.to_string_lossy().to_ascii_lowercase();
    let is_whole = extensions.is_empty() || extensions.iter().any(|known| lower.ends_with(known));
    let with = |extension: &String| {
        let mut name = name.to_owned();
        name.push(extension);
        name
    };
    let names: Vec<OsString> = is_whole
        .then(|| name.to_owned())
        .into_iter()
        .chain(extensions.iter().map(with))
        .collect();
    directories
        .into_iter()
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|candidate| is_file(candidate))
}

/// The native program behind npm's shim, which is a link to `codex.js` on Unix. On Windows it is a script that
/// starts the `codex.js` in `node_modules` beside it.
fn native(found: &Path, is_file: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let real = found.canonicalize();
    let real = real.as_deref().unwrap_or(found);
    let has = |extension: &str| {
        let found = real.extension();
        found.is_some_and(|found| found.eq_ignore_ascii_case(extension))
    };
    if has("js") {
        return behind_shim(real);
    }
    if has("cmd") || has("bat") {
        return behind_shim(&script_of(found, is_file)?);
    }
    None
}

/// The script that npm's `codex.cmd` starts.
fn script_of(shim: &Path, is_file: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let directory = shim.parent()?;
    let package = Path::new("@openai")
        .join("codex")
        .join("bin")
        .join("codex.js");
    let scripts = [
        directory.join("node_modules").join(&package),
        // `node_modules/.bin/codex.cmd` of a project.
        directory.parent()?.join(&package),
    ];
    scripts.into_iter().find(|script| is_file(script))
}

/// The native program of an npm installation: `…/@openai/codex/bin/codex.js` starts
/// `…/@openai/codex-<platform>/vendor/<target>/bin/codex`.
fn behind_shim(shim: &Path) -> Option<PathBuf> {
    let package = shim.parent()?.parent()?;
    let scope = package.parent()?;
    let name = if cfg!(windows) { "codex.exe" } else { "codex" };
    let platform = format!("codex-{}-{}", platform(), architecture());
    let packages = [
        package.join("node_modules").join("@openai").join(&platform),
        scope.join(&platform),
        package.to_owned(),
    ];
    packages
        .iter()
        .filter_map(|package| std::fs::read_dir(package.join("vendor")).ok())
        .flat_map(|targets| targets.flatten().map(|target| target.path()))
        .flat_map(|target| {
            [
                target.join("bin").join(name),
                target.join("codex").join(name),
            ]
        })
        .find(|candidate| candidate.is_file())
}

fn platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks for a name in the directories `a` and `b`, where these files are.
    fn found(name: &str, path_ext: Option<&str>, files: &[&str]) -> Option<String> {
        let extensions = runnable(path_ext.map(OsString::from));
        look(name, &extensions, files)
    }

    fn look(name: &str, extensions: &[String], files: &[&str]) -> Option<String> {
        let is_file = |path: &Path| files.iter().any(|file| path == Path::new(file));
        let directories = ["a", "b"].map(PathBuf::from);
        let found = search(OsStr::new(name), directories, extensions, is_file)?;
        Some(found.to_string_lossy().into_owned())
    }

    fn is(found: Option<String>, expected: &str) {
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[test]
    fn npms_shim_for_windows_is_found_and_the_one_for_shells_is_not() {
        let npm = ["a/codex", "a/codex.cmd", "a/codex.ps1"];
        is(
            found("codex", Some(".COM;.EXE;.BAT;.CMD;.VBS;.JS"), &npm),
            "a/codex.cmd",
        );
        is(found("codex", None, &npm), "a/codex.cmd");
        assert_eq!(found("codex", None, &["a/codex", "a/codex.ps1"]), None);
    }

    #[test]
    fn the_order_is_that_of_the_directories_and_then_of_the_extensions() {
        let both = ["b/codex.exe", "a/codex.cmd"];
        is(found("codex", Some(".EXE;.CMD"), &both), "a/codex.cmd");
        let beside = ["a/codex.exe", "a/codex.cmd"];
        is(found("codex", Some(".EXE;.CMD"), &beside), "a/codex.exe");
        is(found("codex", Some(".cmd; .exe"), &beside), "a/codex.cmd");
    }

    #[test]
    fn an_extension_is_not_added_in_the_place_of_part_of_a_name() {
        is(
            found("codex-0.171", None, &["a/codex-0.171.exe", "a/codex-0.exe"]),
            "a/codex-0.171.exe",
        );
        is(found("codex.EXE", None, &["a/codex.EXE"]), "a/codex.EXE");
        is(
            found("codex.cmd", None, &["a/codex.cmd.exe", "b/codex.cmd"]),
            "a/codex.cmd.exe",
        );
    }

    #[test]
    fn what_needs_another_program_to_run_is_no_program() {
        assert_eq!(
            runnable(Some(".VBS;.PS1".into())),
            [".com", ".exe", ".bat", ".cmd"]
        );
        assert_eq!(found("codex", Some(".PS1;.EXE"), &["a/codex.ps1"]), None);
        assert_eq!(runnable(Some(String::new().into())).len(), 4);
    }

    #[test]
    fn on_unix_a_name_is_a_name() {
        is(look("codex", &[], &["b/codex", "a/codex.exe"]), "b/codex");
        assert_eq!(look("codex", &[], &["a/codex.exe"]), None);
    }

    #[test]
    fn the_script_of_a_shim_is_found_for_the_user_and_in_a_project() {
        let user = Path::new("npm/node_modules/@openai/codex/bin/codex.js");
        let script = script_of(Path::new("npm/codex.cmd"), |path| path == user);
        assert_eq!(script.as_deref(), Some(user));
        let project = Path::new("p/node_modules/@openai/codex/bin/codex.js");
        let shim = Path::new("p/node_modules/.bin/codex.cmd");
        let script = script_of(shim, |path| path == project);
        assert_eq!(script.as_deref(), Some(project));
        assert_eq!(script_of(shim, |_| false), None);
    }

    #[test]
    fn the_native_program_is_found_behind_npms_shims() {
        let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable!("{error}"));
        let modules = folder.path().join("node_modules").join("@openai");
        let package = modules.join("codex");
        let name = if cfg!(windows) { "codex.exe" } else { "codex" };
        let platform = format!("codex-{}-{}", platform(), architecture());
        let native_program = modules.join(platform).join("vendor/any/bin").join(name);
        let script = package.join("bin").join("codex.js");
        let shim = folder.path().join("codex.cmd");
        for file in [&native_program, &script, &shim] {
            let made = file.parent().map(std::fs::create_dir_all);
            assert!(made.is_some_and(|made| made.is_ok()));
            assert!(std::fs::write(file, "").is_ok());
        }
        for start in [&script, &shim] {
            assert_eq!(native(start, Path::is_file).as_ref(), Some(&native_program));
        }
        assert_eq!(native(&native_program, Path::is_file), None);
    }
}
