//! Clients of codex app-servers, whose calls block.

use super::client::Client;
use super::wait::wait;
use crate::error::Error;
use crate::runtime::app_server::{AppServer, ConnectAppServer, SpawnAppServer};

impl SpawnAppServer {
    /// Starts codex. What keeps it runs in the background of [`blocking`](crate::blocking).
    ///
    /// # Errors
    /// As when it is awaited, and when this thread cannot wait.
    pub fn wait(self) -> Result<Client<AppServer>, Error> {
        Ok(wait(self)??.blocking())
    }
}

impl ConnectAppServer {
    /// Connects. What keeps the connection runs in the background of [`blocking`](crate::blocking).
    ///
    /// # Errors
    /// As when it is awaited, and when this thread cannot wait.
    pub fn wait(self) -> Result<Client<AppServer>, Error> {
        Ok(wait(self)??.blocking())
    }
}
