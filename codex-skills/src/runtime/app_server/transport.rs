//! The transport of messages: the pipes of a process, or a WebSocket.

use std::pin::Pin;

use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use crate::runtime::{Receipt, Submission};

/// Largest message that is read, in bytes. A larger line is skipped; a larger message of a WebSocket costs the
/// connection, which is replaced.
pub(super) const MESSAGE_BYTES: usize = 256 * 1024 * 1024;

/// Capacity that a buffer keeps after a large message.
const BUFFER_BYTES: usize = 64 * 1024;

/// Source of lines.
pub(super) type Source = Pin<Box<dyn AsyncRead + Send>>;
/// Destination of lines.
pub(super) type Drain = Pin<Box<dyn AsyncWrite + Send>>;
type Frames = Pin<Box<dyn Stream<Item = Result<tungstenite::Message, tungstenite::Error>> + Send>>;
type Outlet = Pin<Box<dyn Sink<tungstenite::Message, Error = tungstenite::Error> + Send>>;

/// The receiving half of a transport.
pub(super) enum Reader {
    Lines {
        source: BufReader<Source>,
        line: Vec<u8>,
    },
    Socket {
        frames: Frames,
        frame: tungstenite::Bytes,
    },
}

/// The sending half of a transport.
pub(super) enum Writer {
    Lines(Drain),
    Socket(Outlet),
}

/// Result of one read.
pub(super) enum Read<'a> {
    Message(&'a [u8]),
    /// A message that was too large, and was skipped.
    TooLarge,
    /// A transport control frame.
    Nothing,
    /// The end of the stream, with the reason.
    End(String),
}

impl Reader {
    pub(super) fn lines(source: Source) -> Self {
        Self::Lines {
            source: BufReader::with_capacity(BUFFER_BYTES, source),
            line: Vec::new(),
        }
    }

    pub(super) fn socket(
        frames: impl Stream<Item = Result<tungstenite::Message, tungstenite::Error>> + Send + 'static,
    ) -> Self {
        Self::Socket {
            frames: Box::pin(frames),
            frame: tungstenite::Bytes::new(),
        }
    }

    /// Whether a dead peer shows only by its silence, as behind a socket.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self, Self::Socket { .. })
    }

    /// Waits for the next message.
    pub(super) async fn next(&mut self) -> Read<'_> {
        match self {
            Self::Lines { source, line } => {
                line.clear();
                line.shrink_to(BUFFER_BYTES);
                match read_line(source, line).await {
                    Ok(Line::Whole) => Read::Message(line),
                    Ok(Line::TooLarge) => Read::TooLarge,
                    Ok(Line::End) => Read::End("it closed its output".to_owned()),
                    Err(error) => Read::End(error.to_string()),
                }
            }
            Self::Socket { frames, frame } => match frames.next().await {
                None => Read::End("the connection was closed".to_owned()),
                Some(Err(error)) => Read::End(error.to_string()),
                Some(Ok(tungstenite::Message::Text(text))) => {
                    *frame = text.into();
                    Read::Message(frame)
                }
                Some(Ok(tungstenite::Message::Close(_))) => {
                    Read::End("codex closed the connection".to_owned())
                }
                Some(Ok(_)) => Read::Nothing,
            },
        }
    }
}

enum Line {
    Whole,
    TooLarge,
    End,
}

async fn read_line(source: &mut BufReader<Source>, line: &mut Vec<u8>) -> std::io::Result<Line> {
    let mut too_large = false;
    loop {
        let limit = u64::try_from(MESSAGE_BYTES).unwrap_or(u64::MAX);
        let read = source.take(limit).read_until(b'\n', line).await?;
        if line.last() == Some(&b'\n') {
            return Ok(if too_large {
                Line::TooLarge
            } else {
                Line::Whole
            });
        }
        if read < MESSAGE_BYTES {
            return Ok(Line::End);
        }
        too_large = true;
        line.clear();
    }
}

/// A message on its way out.
pub(super) struct Outgoing {
    /// The room that it takes in the queue, released when it is written.
    pub(super) room: Option<OwnedSemaphorePermit>,
    pub(super) frame: Frame,
    /// Fired when the message was written; dropped when it will not be.
    pub(super) written: Written,
}

/// Observer of one message's writing.
pub(super) enum Written {
    Answer(Receipt, Submission),
    Message(oneshot::Sender<()>),
    /// A ping, which has no observer.
    Ping,
}

impl Written {
    fn tell(self) {
        match self {
            Self::Answer(receipt, submission) => receipt.tell(submission),
            // The receiver may have been dropped.
            Self::Message(sender) => drop(sender.send(())),
            Self::Ping => {}
        }
    }
}

pub(super) enum Frame {
    Message(Vec<u8>),
    /// A ping of the WebSocket; pipes have none.
    Ping,
}

/// Writes messages as they come, until `closing`, a failure, or the end of the queue; then closes the queue and the
/// transport. Stops waiting for the peer to read once the connection is `lost`.
pub(super) async fn write(
    mut writer: Writer,
    queue: &mut mpsc::Receiver<Outgoing>,
    closing: CancellationToken,
    lost: CancellationToken,
) {
    let mut written: Vec<(Written, Option<OwnedSemaphorePermit>)> = Vec::new();
    loop {
        let outgoing = tokio::select! {
            // What was queued before goes out first.
            biased;
            outgoing = queue.recv() => outgoing,
            () = closing.cancelled() => None,
        };
        let Some(outgoing) = outgoing else {
            break;
        };
        written.push((outgoing.written, outgoing.room));
        let mut frame = outgoing.frame;
        if let (Writer::Lines(_), Frame::Message(lines)) = (&writer, &mut frame) {
            // Queued messages go out in the same write.
            while lines.len() < BUFFER_BYTES
                && let Ok(next) = queue.try_recv()
            {
                written.push((next.written, next.room));
                if let Frame::Message(line) = next.frame {
                    lines.push(b'\n');
                    lines.extend_from_slice(&line);
                }
            }
        }
        let wrote = tokio::select! {
            biased;
            wrote = writer.write(frame) => wrote,
            () = lost.cancelled() => Err("the connection is lost".to_owned()),
        };
        if let Err(error) = wrote {
            tracing::debug!(target: "codex_skills::app_server", error, "codex cannot be written to");
            break;
        }
        written.drain(..).for_each(|(written, room)| {
            drop(room);
            written.tell();
        });
    }
    // Messages still queued are not written: dropping them fires their receipts as such.
    drop(written);
    queue.close();
    while queue.try_recv().is_ok() {}
    if let Writer::Socket(mut outlet) = writer {
        // A peer that is gone needs no goodbye.
        tokio::select! {
            biased;
            _ = outlet.close() => {}
            () = lost.cancelled() => {}
        }
    }
}

impl Writer {
    async fn write(&mut self, frame: Frame) -> Result<(), String> {
        match (self, frame) {
            (Self::Lines(drain), Frame::Message(mut message)) => {
                message.push(b'\n');
                drain
                    .write_all(&message)
                    .await
                    .map_err(|error| error.to_string())
            }
            (Self::Lines(_), Frame::Ping) => Ok(()),
            (Self::Socket(outlet), frame) => {
                let message = match frame {
                    Frame::Ping => tungstenite::Message::Ping(tungstenite::Bytes::new()),
                    Frame::Message(message) => tungstenite::Message::text(
                        String::from_utf8(message).map_err(|error| error.to_string())?,
                    ),
                };
                outlet
                    .send(message)
                    .await
                    .map_err(|error| error.to_string())
            }
        }
    }
}
