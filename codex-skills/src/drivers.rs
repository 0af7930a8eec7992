//! Checks of the tokio runtime that a program uses: that there is one, that it keeps time, and for sockets and
//! processes that it has I/O.
//!
//! Tokio reports a missing driver only by a panic at its first use, which may be far from here. So each driver is tried
//! where something is opened. The panic is caught; the panic hook may report it all the same.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Handle;

/// Returns the tokio runtime of the caller, or what it lacks.
pub(crate) fn with_time() -> Result<Handle, &'static str> {
    let tokio = Handle::try_current().map_err(
        |_| "there is no tokio runtime here: use `#[tokio::main]`, or `codex_skills::blocking`",
    )?;
    if !is_possible(|| drop(tokio::time::sleep(Duration::ZERO))) {
        return Err(
            "this tokio runtime has no time, which deadlines need: build it with `enable_all()`",
        );
    }
    Ok(tokio)
}

/// The same, where sockets or processes are needed.
#[cfg(any(feature = "app-server", feature = "manager"))]
pub(crate) fn with_io() -> Result<Handle, &'static str> {
    let tokio = with_time()?;
    if !is_possible(open_socket) {
        return Err(
            "this tokio runtime has no I/O, which connections need: build it with `enable_all()`",
        );
    }
    Ok(tokio)
}

fn is_possible(step: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(step)).is_ok()
}

/// Has tokio take up a socket. That the system has none to give is another matter.
#[cfg(all(unix, any(feature = "app-server", feature = "manager")))]
fn open_socket() {
    drop(tokio::net::UnixDatagram::unbound());
}

/// The same, where only sockets with an address are to be had.
#[cfg(all(not(unix), any(feature = "app-server", feature = "manager")))]
fn open_socket() {
    let loopback = std::net::Ipv4Addr::LOCALHOST;
    if let Ok(socket) = std::net::UdpSocket::bind((loopback, 0))
        && socket.set_nonblocking(true).is_ok()
    {
        drop(tokio::net::UdpSocket::from_std(socket));
    }
}
