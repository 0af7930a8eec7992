//! The way to the server: a relay whose connections can be cut, silenced and slowed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One connection of a client.
#[derive(Debug)]
pub(crate) struct Wire {
    cut: CancellationToken,
    silent: AtomicBool,
    slow: AtomicBool,
    /// How many bytes the client still gets before the connection is cut; negative: no limit.
    budget: AtomicI64,
}

impl Wire {
    fn new() -> Self {
        Self {
            cut: CancellationToken::new(),
            silent: AtomicBool::new(false),
            slow: AtomicBool::new(false),
            budget: AtomicI64::new(-1),
        }
    }

    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }

    pub(crate) fn cut_after(&self, bytes: i64) {
        self.budget.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    pub(crate) fn slow(&self) {
        self.slow.store(true, Ordering::SeqCst);
    }
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Wires {
    open: Mutex<HashMap<SocketAddr, Arc<Wire>>>,
    refused: AtomicBool,
    accepted: AtomicUsize,
    /// Whether something shall listen.
    wanted: watch::Sender<bool>,
    /// Whether something listens.
    listens: watch::Sender<bool>,
}

impl Default for Wires {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            refused: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            wanted: watch::Sender::new(true),
            listens: watch::Sender::new(true),
        }
    }
}

impl Wires {
    fn open(&self) -> MutexGuard<'_, HashMap<SocketAddr, Arc<Wire>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that the server sees as coming from this address.
    pub(crate) fn of(&self, peer: SocketAddr) -> Option<Arc<Wire>> {
        self.open().get(&peer).cloned()
    }

    pub(crate) fn cut_all(&self) {
        for wire in self.open().values() {
            wire.cut();
        }
    }

    /// Cuts each as soon as the server says anything on it.
    pub(crate) fn cut_all_at_next_word(&self) {
        for wire in self.open().values() {
            wire.cut_after(0);
        }
    }

    pub(crate) fn silence_all(&self) {
        for wire in self.open().values() {
            wire.silence();
        }
    }

    /// Whether new connections are refused.
    pub(crate) fn refuse(&self, refuse: bool) {
        self.refused.store(refuse, Ordering::SeqCst);
    }

    /// Has the relay listen or not, and waits until it is so. Where nothing listens, the system refuses connections.
    pub(crate) async fn listen(&self, listen: bool) {
        self.wanted.send_replace(listen);
        let mut listens = self.listens.subscribe();
        // The sender is in `self`.
        let _ = listens.wait_for(|listens| *listens == listen).await;
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Relays connections until it is dropped.
pub(crate) async fn relay(mut listener: TcpListener, server: SocketAddr, wires: Arc<Wires>) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut wanted = wires.wanted.subscribe();
    loop {
        let unwanted = tokio::select! {
            () = accept(&listener, server, &wires) => return,
            unwanted = wanted.wait_for(|wanted| !wanted) => unwanted.is_ok(),
        };
        drop(listener);
        wires.listens.send_replace(false);
        if !unwanted || wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
        listener = loop {
            // Another socket may have the port for a moment.
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        wires.listens.send_replace(true);
    }
}

async fn accept(listener: &TcpListener, server: SocketAddr, wires: &Arc<Wires>) {
    while let Ok((client, _)) = listener.accept().await {
        wires.accepted.fetch_add(1, Ordering::SeqCst);
        if wires.refused.load(Ordering::SeqCst) {
            reset(&client);
            continue;
        }
        let Ok(upstream) = TcpStream::connect(server).await else {
            continue;
        };
        let Ok(peer) = upstream.local_addr() else {
            continue;
        };
        let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
        let wire = Arc::new(Wire::new());
        wires.open().insert(peer, wire.clone());
        // Since it was accepted, connections may have come to be refused, and the open ones cut.
        if wires.refused.load(Ordering::SeqCst) {
            wire.cut();
        }
        let wires = wires.clone();
        tokio::spawn(async move {
            connection(client, upstream, &wire).await;
            wires.open().remove(&peer);
        });
    }
}

/// The client sees a reset rather than an end.
fn reset(client: &TcpStream) {
    let _ = client.set_zero_linger();
}

async fn connection(mut client: TcpStream, mut server: TcpStream, wire: &Wire) {
    let ended = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let Ok(read @ 1..) = from_client.read(&mut buffer).await else {
                    return;
                };
                hindered(wire).await;
                if to_server.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        };
        let down = async {
            let mut buffer = vec![0; 16 * 1024];
            loop {
                let Ok(read @ 1..) = from_server.read(&mut buffer).await else {
                    return;
                };
                hindered(wire).await;
                let budget = wire.budget.load(Ordering::SeqCst);
                let send = usize::try_from(budget).map_or(read, |budget| read.min(budget));
                if to_client.write_all(&buffer[..send]).await.is_err() {
                    return;
                }
                if send < read {
                    wire.cut();
                    std::future::pending::<()>().await;
                }
                if budget >= 0 {
                    let left = budget - i64::try_from(send).unwrap_or(0);
                    wire.budget.store(left, Ordering::SeqCst);
                }
            }
        };
        tokio::select! {
            biased;
            () = wire.cut.cancelled() => false,
            () = up => true,
            () = down => true,
        }
    };
    if !ended {
        reset(&client);
    }
}

async fn hindered(wire: &Wire) {
    if wire.slow.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    if wire.silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}
