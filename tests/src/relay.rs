//! A relay before a server, whose connections a test can cut and silence.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::wire::{self, Wires};

/// A running relay. It ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    wires: Arc<Wires>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts one before a server of a URL that has an address and nothing else, as `ws://127.0.0.1:4500`.
    ///
    /// # Errors
    /// When there is no port for it, or the URL is another one.
    pub async fn before(url: &str) -> io::Result<Self> {
        let (_, server) = url.split_once("://").ok_or(io::ErrorKind::InvalidInput)?;
        let server = server.parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let wires = Arc::<Wires>::default();
        let task = tokio::spawn(wire::relay(listener, server, wires.clone()));
        Ok(Self {
            address,
            wires,
            task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Resets all connections.
    pub fn cut(&self) {
        self.wires.cut_all();
    }

    /// Resets each open connection as soon as the server writes on it. What is sent to the server still arrives.
    pub fn cut_at_next_word(&self) {
        self.wires.cut_all_at_next_word();
    }

    /// Makes the open connections carry nothing any more, without closing them.
    pub fn silence(&self) {
        self.wires.silence_all();
    }

    /// Whether new connections are reset at once.
    pub fn refuse(&self, refuse: bool) {
        self.wires.refuse(refuse);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}
