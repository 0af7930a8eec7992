//! The file that records which catalog each session was created with, since neither codex nor codex-manager can be
//! asked: the next client reads it.
//!
//! One file for each place, with a line for each session. Lines are only ever appended, so that several programs may
//! share a file; one that grew too large is rewritten beside itself and renamed into its place. A writer holds the
//! file's lock. The file is readable by its owner alone, or is made so; links are not followed; reading is bounded. A
//! file that cannot be used costs the check of a resumed session and nothing else.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The name of the file in its folder.
const FILE: &str = "codex-skills.jsonl";

/// Size in bytes from which a file is rewritten.
const LARGE: u64 = 4 * 1024 * 1024;
/// Bytes of a file that are read at most, its newest part: other programs may have written more meanwhile.
const READ: u64 = 2 * LARGE;
/// Sessions, the newest, that are kept when a file is rewritten.
const KEPT: usize = 10_000;
/// The longest line that is written, in bytes: ids and fingerprints are short.
const LINE: usize = 4096;

/// Attempts to lock a file that another program has locked: for five seconds, on a thread of its own.
const LOCK_ATTEMPTS: usize = 1000;
/// The pause between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The file of one place. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Fingerprints {
    /// `None` where nothing may be written.
    path: Option<Arc<Path>>,
    /// Whether a missing folder is made.
    makes_folder: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct Line {
    /// The session.
    thread: Arc<str>,
    /// `None`: the session was deleted.
    catalog: Option<Arc<str>>,
}

impl Fingerprints {
    /// The file in a folder, where that is one of this machine.
    #[cfg(feature = "app-server")]
    pub(super) async fn in_folder(folder: Option<std::path::PathBuf>) -> Self {
        let path = blocking(move || {
            let folder = folder.filter(|folder| folder.is_dir())?;
            Some(folder.join(FILE).into())
        });
        Self {
            path: path.await.flatten(),
            makes_folder: false,
        }
    }

    /// The file in a folder that is made as soon as there is something to write.
    #[cfg(feature = "manager")]
    pub(super) fn in_own_folder(folder: &Path) -> Self {
        Self {
            path: Some(folder.join(FILE).into()),
            makes_folder: true,
        }
    }

    /// The fingerprint of the catalog that a session was created with, where it was written down.
    pub(super) async fn get(&self, session_id: Arc<str>) -> Option<Arc<str>> {
        let path = self.path.clone()?;
        let read = blocking(move || match open(&path, OpenOptions::new().read(true)) {
            Ok(mut file) => last_words(&mut file)
                .inspect_err(|error| warn(&path, error))
                .ok()?
                .remove(&session_id)
                .flatten(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    warn(&path, &error);
                }
                None
            }
        });
        read.await.flatten()
    }

    /// Writes down what a session was created with, or that it is gone.
    pub(super) async fn set(&self, session_id: Arc<str>, catalog: Option<Arc<str>>) {
        let Some(path) = self.path.clone() else {
            return;
        };
        let makes_folder = self.makes_folder;
        let line = Line {
            thread: session_id,
            catalog,
        };
        blocking(move || {
            // Where nothing is known, nothing is to be forgotten.
            if line.catalog.is_none() && std::fs::symlink_metadata(&path).is_err() {
                return;
            }
            let folder = if makes_folder {
                make_folder(&path)
            } else {
                Ok(())
            };
            if let Err(error) = folder.and_then(|()| append(&path, &line)) {
                warn(&path, &error);
            }
        })
        .await;
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    // It fails when the tokio runtime goes down.
    tokio::task::spawn_blocking(work).await.ok()
}

fn warn(path: &Path, error: &io::Error) {
    tracing::warn!(
        target: "codex_skills::runtime",
        path = %path.display(),
        %error,
        "which catalog a session has cannot be kept here: a resumed session is not checked"
    );
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens the file itself: no link, and nothing that is no file.
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;

        use rustix::fs::OFlags;
        // Opening a pipe would wait for its other end.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// Opens the file to be written, and locks it against others who write.
fn open_locked(path: &Path) -> io::Result<File> {
    for _ in 0..LOCK_ATTEMPTS {
        let mut options = OpenOptions::new();
        let file = open(path, options.create(true).read(true).append(true))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, path) => {
                if let Some(mode) = keep_private(&file)? {
                    tracing::warn!(
                        target: "codex_skills::runtime",
                        path = %path.display(),
                        mode = format_args!("{mode:o}"),
                        "others could write down here which catalog a session has: the file is its owner's alone from now on; \
                         remove it if you do not trust them"
                    );
                }
                return Ok(file);
            }
            // Another program put a new one in its place meanwhile.
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::other("another program keeps it locked"))
}

/// Makes the file its owner's alone. Returns its mode where others could write it.
fn keep_private(file: &File) -> io::Result<Option<u32>> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;

        let mode = file.metadata()?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            // Only its owner may: others who were given the file go on with it.
            let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
        }
        Ok((mode & 0o022 != 0).then_some(mode))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(None)
    }
}

/// Whether the file is the one at the path still.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        let here = file.metadata().map(place);
        let there = std::fs::symlink_metadata(path).map(place);
        matches!((here, there), (Ok(here), Ok(there)) if here == there)
    }
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

fn append(path: &Path, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    if bytes.len() > LINE {
        return Err(io::Error::other("the id of the session is too long"));
    }
    bytes.push(b'\n');
    let mut file = open_locked(path)?;
    // A line that a crash left unfinished costs itself only.
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        bytes.insert(0, b'\n');
    }
    file.write_all(&bytes)?;
    if file.metadata()?.len() > LARGE {
        shorten(path, &mut file)?;
    }
    Ok(())
}

/// The last word on each session. What cannot be read is left out.
fn last_words(file: &mut File) -> io::Result<HashMap<Arc<str>, Option<Arc<str>>>> {
    let lines = lines(file)?;
    Ok(lines
        .into_iter()
        .map(|line| (line.thread, line.catalog))
        .collect())
}

fn lines(file: &mut File) -> io::Result<Vec<Line>> {
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ)))?;
    let mut text = Vec::new();
    file.take(READ).read_to_end(&mut text)?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect())
}

/// Writes the file, which is locked, anew with the newest sessions, beside it first.
fn shorten(path: &Path, file: &mut File) -> io::Result<()> {
    let lines = lines(file)?;
    let mut last: HashMap<Arc<str>, bool> = lines
        .iter()
        .map(|line| (line.thread.clone(), line.catalog.is_some()))
        .collect();
    let mut kept: Vec<Line> = lines
        .into_iter()
        .rev()
        .filter(|line| last.remove(&line.thread) == Some(true))
        .take(KEPT)
        .collect();
    kept.reverse();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut beside = tempfile::NamedTempFile::new_in(folder)?;
    let mut writer = io::BufWriter::new(beside.as_file_mut());
    for line in &kept {
        serde_json::to_writer(&mut writer, line)?;
        writer.write_all(b"\n")?;
    }
    writer.flush()?;
    drop(writer);
    beside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(all(test, feature = "app-server", feature = "manager"))]
#[path = "fingerprints_tests.rs"]
mod tests;
