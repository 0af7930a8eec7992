use std::path::PathBuf;

use super::*;

fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

fn read(path: &Path) -> io::Result<HashMap<Arc<str>, Option<Arc<str>>>> {
    last_words(&mut open(path, OpenOptions::new().read(true))?)
}

#[tokio::test]
async fn the_last_word_counts_and_odd_lines_cost_themselves() -> io::Result<()> {
    let home = tempfile::tempdir()?;
    let file = Fingerprints::in_folder(Some(home.path().to_owned())).await;
    file.set("a".into(), Some("one".into())).await;
    file.set("b".into(), Some("two".into())).await;
    OpenOptions::new()
        .append(true)
        .open(file_in(home.path()))?
        .write_all(b"half a line\n{\"thread\":\"c\",\"catalog\":\"three\"}\n{\"thread\":")?;
    file.set("b".into(), None).await;
    assert_eq!(file.get("a".into()).await.as_deref(), Some("one"));
    assert_eq!(file.get("b".into()).await, None);
    assert_eq!(file.get("c".into()).await.as_deref(), Some("three"));
    Ok(())
}

#[tokio::test]
async fn a_folder_elsewhere_is_no_folder() {
    let file = Fingerprints::in_folder(Some("/no/such/home".into())).await;
    file.set("a".into(), Some("one".into())).await;
    assert_eq!(file.get("a".into()).await, None);
}

#[tokio::test]
async fn a_folder_of_its_own_is_made_when_there_is_something_to_write() -> io::Result<()> {
    let home = tempfile::tempdir()?;
    let folder = home.path().join("a/b");
    let file = Fingerprints::in_own_folder(&folder);
    file.set("a".into(), None).await;
    assert_eq!(file.get("a".into()).await, None);
    assert!(!folder.exists());
    file.set("a".into(), Some("one".into())).await;
    assert_eq!(file.get("a".into()).await.as_deref(), Some("one"));
    Ok(())
}

#[tokio::test]
async fn writers_at_the_same_time_lose_nothing() -> io::Result<()> {
    const WRITERS: usize = 8;
    let home = tempfile::tempdir()?;
    // So large that the first of them writes it anew, in lines that are read quickly.
    let gone = format!(
        "{{\"thread\":\"gone-{}\",\"catalog\":null}}\n",
        "x".repeat(4000)
    );
    let old = gone.repeat(LARGE as usize / 4000);
    std::fs::write(file_in(home.path()), old)?;
    let file = Fingerprints::in_folder(Some(home.path().to_owned())).await;
    let writes = (0..WRITERS).map(|n| {
        let file = file.clone();
        async move { file.set(n.to_string().into(), Some("x".into())).await }
    });
    futures_util::future::join_all(writes).await;
    let known = read(&file_in(home.path()))?;
    for n in 0..WRITERS {
        assert!(known.contains_key(&*n.to_string()), "{n}");
    }
    assert!(std::fs::metadata(file_in(home.path()))?.len() < LARGE);
    let left = std::fs::read_dir(home.path())?.count();
    assert_eq!(left, 1, "nothing is left beside it");
    Ok(())
}

#[test]
fn a_large_file_keeps_the_living_and_the_newest() -> io::Result<()> {
    let home = tempfile::tempdir()?;
    let path = file_in(home.path());
    let mut lines = String::new();
    for n in 0..KEPT + 2 {
        let catalog = if n == 1 { "null" } else { "\"x\"" };
        lines += &format!("{{\"thread\":\"{n}\",\"catalog\":{catalog}}}\n");
    }
    std::fs::write(&path, lines)?;
    shorten(&path, &mut open_locked(&path)?)?;
    let kept = read(&path)?;
    assert_eq!(kept.len(), KEPT);
    assert!(!kept.contains_key("0") && !kept.contains_key("1"));
    assert!(kept.contains_key("2"));
    Ok(())
}

#[test]
fn of_a_file_that_is_far_too_large_the_newest_part_is_read() -> io::Result<()> {
    let home = tempfile::tempdir()?;
    let path = file_in(home.path());
    let mut file = File::create(&path)?;
    file.write_all(b"{\"thread\":\"old\",\"catalog\":\"x\"}\n")?;
    file.set_len(READ * 4)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(b"\n{\"thread\":\"new\",\"catalog\":\"x\"}\n")?;
    let known = read(&path)?;
    assert!(known.contains_key("new") && !known.contains_key("old"));
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone_and_no_link_is_followed() -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let (home, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let file = Fingerprints::in_folder(Some(home.path().to_owned())).await;
    file.set("a".into(), Some("one".into())).await;
    let mode = std::fs::metadata(file_in(home.path()))?
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let target = other.path().join("target");
    std::fs::write(&target, "{\"thread\":\"a\",\"catalog\":\"forged\"}\n")?;
    std::fs::remove_file(file_in(home.path()))?;
    symlink(&target, file_in(home.path()))?;
    file.set("b".into(), Some("two".into())).await;
    assert_eq!(file.get("a".into()).await, None);
    assert!(!std::fs::read_to_string(&target)?.contains("two"));
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_holds_nobody_up() -> io::Result<()> {
    let home = tempfile::tempdir()?;
    let path = file_in(home.path());
    let made = std::process::Command::new("mkfifo").arg(&path).status()?;
    assert!(made.success());
    let file = Fingerprints::in_folder(Some(home.path().to_owned())).await;
    file.set("a".into(), Some("one".into())).await;
    assert_eq!(file.get("a".into()).await, None);
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_others_may_use_is_made_its_owners_alone() -> io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    let home = tempfile::tempdir()?;
    let path = file_in(home.path());
    let mode = || Ok::<_, io::Error>(std::fs::metadata(&path)?.permissions().mode() & 0o777);
    let file = Fingerprints::in_folder(Some(home.path().to_owned())).await;
    for (loose, is_writable) in [
        (0o644, false),
        (0o604, false),
        (0o620, true),
        (0o602, true),
        (0o666, true),
        (0o777, true),
        (0o600, false),
        (0o400, false),
    ] {
        std::fs::write(&path, "{\"thread\":\"a\",\"catalog\":\"one\"}\n")?;
        let opened = File::open(&path)?;
        opened.set_permissions(Permissions::from_mode(loose))?;
        let writable = keep_private(&opened)?;
        assert_eq!(writable, is_writable.then_some(loose), "{loose:o}");
        assert_eq!(mode()? & 0o077, 0, "{loose:o}");
        // An append tightens it too, and keeps all of it.
        opened.set_permissions(Permissions::from_mode(loose | 0o200))?;
        file.set("b".into(), Some("two".into())).await;
        assert_eq!(mode()? & 0o077, 0, "{loose:o}");
        assert_eq!(file.get("a".into()).await.as_deref(), Some("one"));
        assert_eq!(file.get("b".into()).await.as_deref(), Some("two"));
        std::fs::remove_file(&path)?;
    }
    Ok(())
}
