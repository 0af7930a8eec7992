//! rmcp: its server at one end of a pipe, lines at the other, so that its client costs nothing here.

use std::sync::OnceLock;

use rmcp::handler::server::router::tool::{ToolRoute, ToolRouter};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::{ServerHandler, ServiceExt as _, tool, tool_handler, tool_router};
use subject::codex::{Lines, PIPE};
use subject::skills::{ARGUMENTS, Lookup, answer};

/// A server whose router is made once.
#[derive(Clone)]
pub struct Kept(ToolRouter<Self>);

/// A server as `#[tool_handler]` makes it: its router is made for each call.
#[derive(Clone)]
pub struct Default;

/// How many tools [`Default`] has: its router is made by a function without parameters.
static TOOLS: OnceLock<Vec<&'static str>> = OnceLock::new();

fn names(tools: usize) -> Vec<&'static str> {
    (1..tools)
        .map(|i| &*format!("other_{i:04}").leak())
        .collect()
}

#[tool_router(router = one)]
impl Kept {
    /// Look up a ticket by its stable id.
    #[tool]
    async fn lookup(&self, Parameters(lookup): Parameters<Lookup>) -> String {
        answer(&lookup.ticket_id, lookup.comments, lookup.verbose)
    }
}

impl Kept {
    pub fn with_tools(tools: usize) -> Self {
        let mut router = Self::one();
        for name in names(tools) {
            let mut tool = Self::lookup_tool_attr();
            tool.name = name.into();
            router.add_route(ToolRoute::new(tool, Self::lookup));
        }
        Self(router)
    }
}

#[tool_handler(router = self.0)]
impl ServerHandler for Kept {}

#[tool_router(router = one)]
impl Default {
    /// Look up a ticket by its stable id.
    #[tool]
    async fn lookup(&self, Parameters(lookup): Parameters<Lookup>) -> String {
        answer(&lookup.ticket_id, lookup.comments, lookup.verbose)
    }
}

impl Default {
    /// As `#[tool_router]` writes it for so many tools.
    fn tool_router() -> ToolRouter<Self> {
        let mut router = Self::one();
        for name in TOOLS.get().into_iter().flatten() {
            let mut tool = Self::lookup_tool_attr();
            tool.name = (*name).into();
            router.add_route(ToolRoute::new(tool, Self::lookup));
        }
        router
    }
}

#[tool_handler]
impl ServerHandler for Default {}

/// A catalog of so many tools, made and listed.
pub fn catalog(tools: usize) -> usize {
    Kept::with_tools(tools).0.list_all().len()
}

/// The server with the kept router.
pub async fn kept(tools: usize) -> std::io::Result<Lines> {
    serve(Kept::with_tools(tools)).await
}

/// The default server. The first number of tools that is asked for holds for the whole program.
pub async fn default(tools: usize) -> std::io::Result<Lines> {
    TOOLS.get_or_init(|| names(tools));
    serve(Default).await
}

async fn serve<S: ServerHandler>(server: S) -> std::io::Result<Lines> {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    tokio::spawn(async move {
        if let Ok(running) = server.serve(ours).await {
            // It ends with the pipe.
            let _ = running.waiting().await;
        }
    });
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":#########,"method":"tools/call","params":{{"name":"lookup","arguments":{ARGUMENTS}}}}}"#
    );
    let mut lines = Lines::new(theirs, &call);
    lines
        .write(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"lines","version":"1"}}}"#)
        .await?;
    lines.read().await?;
    lines
        .write(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
        .await?;
    Ok(lines)
}
