//! Clients of codex app-servers, which know nothing of clients themselves.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use super::client::Client;
use crate::runtime::app_server::{AppServer, AppServerError, ConnectAppServer, SpawnAppServer};

impl IntoFuture for SpawnAppServer {
    type Output = Result<Client<AppServer>, AppServerError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(Client::new(self.open().await?)) })
    }
}

impl IntoFuture for ConnectAppServer {
    type Output = Result<Client<AppServer>, AppServerError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(Client::new(self.open().await?)) })
    }
}
