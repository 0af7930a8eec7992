//! Which catalog a thread was created with: codex cannot be asked, so it is written down beside its threads.
//!
//! One file for each codex home, with a line for each thread. Lines are only ever appended, in one write each, so
//! that several programs may share a home; a file that grew too large is written anew when it is opened.

use std::collections::HashMap;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The file in the codex home.
const FILE: &str = "codex-skills.jsonl";

/// From which size on, in bytes, a file is written anew.
const LARGE: u64 = 4 * 1024 * 1024;
/// How many threads, the newest, are kept when it is.
const KEPT: usize = 10_000;

/// The file of one codex home. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Fingerprints {
    /// `None` where codex's home is on another machine, or nobody may write there.
    path: Option<Arc<Path>>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Line {
    thread: Arc<str>,
    /// `None`: the thread was deleted.
    catalog: Option<Arc<str>>,
}

impl Fingerprints {
    /// The file of a codex home, where that is a folder of this machine.
    pub(super) async fn of_home(home: Option<PathBuf>) -> Self {
        let path = blocking(move || {
            let home = home.filter(|home| home.is_dir())?;
            let path = home.join(FILE);
            if std::fs::metadata(&path).is_ok_and(|file| file.len() > LARGE)
                && let Err(error) = shorten(&path)
            {
                warn(&path, &error);
            }
            Some(path.into())
        });
        Self {
            path: path.await.flatten(),
        }
    }

    /// The fingerprint of the catalog that a thread was created with, where it was written down.
    pub(super) async fn get(&self, thread_id: Arc<str>) -> Option<Arc<str>> {
        let path = self.path.clone()?;
        blocking(move || read(&path).remove(&thread_id).flatten())
            .await
            .flatten()
    }

    /// Writes down what a thread was created with, or that it is gone.
    pub(super) async fn set(&self, thread_id: Arc<str>, catalog: Option<Arc<str>>) {
        let Some(path) = self.path.clone() else {
            return;
        };
        blocking(move || {
            let line = Line {
                thread: thread_id,
                catalog,
            };
            if let Err(error) = append(&path, &line) {
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
        target: "codex_skills::app_server",
        path = %path.display(),
        %error,
        "which catalog a thread has cannot be written down: a resumed session is not checked"
    );
}

fn append(path: &Path, line: &Line) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)?;
    // A line that a crash left unfinished costs itself only.
    let mut last = [b'\n'];
    if file.seek(io::SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        bytes.insert(0, b'\n');
    }
    file.write_all(&bytes)
}

/// The last word on each thread. What cannot be read is left out.
fn read(path: &Path) -> HashMap<Arc<str>, Option<Arc<str>>> {
    lines(path)
        .into_iter()
        .map(|line| (line.thread, line.catalog))
        .collect()
}

fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read(path).unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// Writes the file anew with the newest threads, beside it first.
fn shorten(path: &Path) -> io::Result<()> {
    let mut last = read(path);
    let mut kept: Vec<Line> = lines(path)
        .into_iter()
        .rev()
        .filter_map(|line| {
            let catalog = last.remove(&line.thread)?;
            catalog.is_some().then_some(Line {
                thread: line.thread,
                catalog,
            })
        })
        .take(KEPT)
        .collect();
    kept.reverse();
    let mut bytes = Vec::new();
    for line in &kept {
        serde_json::to_writer(&mut bytes, line)?;
        bytes.push(b'\n');
    }
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&beside, bytes)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_word_counts_and_odd_lines_cost_themselves() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let file = Fingerprints::of_home(Some(home.path().to_owned())).await;
        file.set("a".into(), Some("one".into())).await;
        file.set("b".into(), Some("two".into())).await;
        std::fs::OpenOptions::new()
            .append(true)
            .open(home.path().join(FILE))?
            .write_all(b"half a line\n{\"thread\":\"c\",\"catalog\":\"three\"}\n")?;
        file.set("b".into(), None).await;
        assert_eq!(file.get("a".into()).await.as_deref(), Some("one"));
        assert_eq!(file.get("b".into()).await, None);
        assert_eq!(file.get("c".into()).await.as_deref(), Some("three"));
        Ok(())
    }

    #[tokio::test]
    async fn a_home_elsewhere_is_no_home() {
        let file = Fingerprints::of_home(Some("/no/such/home".into())).await;
        file.set("a".into(), Some("one".into())).await;
        assert_eq!(file.get("a".into()).await, None);
    }

    #[test]
    fn a_large_file_keeps_the_living_and_the_newest() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let path = home.path().join(FILE);
        for n in 0..KEPT + 2 {
            append(
                &path,
                &Line {
                    thread: n.to_string().into(),
                    catalog: (n != 1).then(|| "x".into()),
                },
            )?;
        }
        shorten(&path)?;
        let kept = read(&path);
        assert_eq!(kept.len(), KEPT);
        assert!(!kept.contains_key("0") && !kept.contains_key("1"));
        assert!(kept.contains_key("2"));
        Ok(())
    }
}
