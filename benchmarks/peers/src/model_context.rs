//! rmcp: its server with lines at the other end of the pipe, so that its client costs nothing; with its client there;
//! and its router alone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rmcp::handler::server::router::tool::{ToolRoute, ToolRouter};
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolRequestParams, NumberOrString};
use rmcp::service::{RequestContext, RunningService};
use rmcp::{
    RoleClient, RoleServer, ServerHandler, ServiceExt as _, tool, tool_handler, tool_router,
};
use subject::codex::{Lines, PIPE};
use subject::skills::{ARGUMENTS, Lookup, answer};

/// A server whose router is made once.
#[derive(Clone)]
pub struct Kept(ToolRouter<Self>);

/// A server as `#[tool_handler]` makes it: its router is made for each call.
#[derive(Clone)]
pub struct Default;

/// How many tools [`Default`] has: its router is made by a function without parameters.
static TOOLS: AtomicUsize = AtomicUsize::new(1);

/// The names of all tools but the one that is called.
fn names(tools: usize) -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&str>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        (1..2000)
            .map(|i| &*format!("other_{i:04}").leak())
            .collect()
    });
    &names[..tools - 1]
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
            tool.name = (*name).into();
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
        for name in names(TOOLS.load(Ordering::Relaxed)) {
            let mut tool = Self::lookup_tool_attr();
            tool.name = (*name).into();
            router.add_route(ToolRoute::new(tool, Self::lookup));
        }
        router
    }
}

#[tool_handler]
impl ServerHandler for Default {}

/// Two hundred tools, each a function with arguments of a type of its own.
mod many {
    use rmcp::handler::server::router::tool::ToolRouter;
    use rmcp::handler::server::wrapper::Parameters;
    use rmcp::{tool, tool_router};
    use subject::skills::answer;

    #[allow(non_camel_case_types)]
    mod arguments {
        macro_rules! declare {
            ($($name:ident)*) => {$(
                #[derive(serde::Deserialize, schemars::JsonSchema)]
                #[serde(deny_unknown_fields)]
                pub struct $name {
                    /// Stable ticket identifier, for example `ABC-123`.
                    pub ticket_id: String,
                    /// How many comments to include.
                    pub comments: u32,
                    /// Whether to tell everything.
                    pub verbose: bool,
                }
            )*};
        }
        subject::two_hundred!(declare);
    }

    pub struct Many;

    macro_rules! declare {
        ($($name:ident)*) => {
            #[tool_router]
            impl Many {
                $(
                    /// Look up a ticket by its stable id.
                    #[tool]
                    async fn $name(&self, Parameters(lookup): Parameters<arguments::$name>) -> String {
                        answer(&lookup.ticket_id, lookup.comments, lookup.verbose)
                    }
                )*

                pub fn router() -> ToolRouter<Self> {
                    Self::tool_router()
                }
            }
        };
    }
    subject::two_hundred!(declare);
}

/// The two hundred tools, made and listed.
pub fn catalog() -> usize {
    many::Many::router().list_all().len()
}

/// Client and server on the two ends of a pipe.
pub struct Pair {
    client: RunningService<RoleClient, ()>,
    server: RunningService<RoleServer, Kept>,
    call: CallToolRequestParams,
}

impl Pair {
    pub async fn new(tools: usize) -> crate::Result<Self> {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let (server, client) = tokio::join!(Kept::with_tools(tools).serve(ours), ().serve(theirs));
        let call =
            CallToolRequestParams::new("lookup").with_arguments(serde_json::from_str(ARGUMENTS)?);
        Ok(Self {
            client: client?,
            server: server?,
            call,
        })
    }

    /// One call by the client.
    pub async fn call(&self) -> crate::Result<()> {
        self.client.call_tool(self.call.clone()).await?;
        Ok(())
    }

    /// So many calls by the client, of which at most so many are outstanding at the same time.
    pub async fn pipelined(&self, calls: usize, outstanding: usize) -> crate::Result<()> {
        let mut waiting = FuturesUnordered::new();
        for _ in 0..calls {
            if waiting.len() == outstanding {
                waiting.next().await.transpose()?;
            }
            waiting.push(self.client.call_tool(self.call.clone()));
        }
        while waiting.next().await.transpose()?.is_some() {}
        Ok(())
    }

    /// One call of the router, without client, pipe and JSON text.
    pub async fn route(&self) -> crate::Result<()> {
        let server = self.server.service();
        let context = RequestContext::new(NumberOrString::Number(1), self.server.peer().clone());
        let call = ToolCallContext::new(server, self.call.clone(), context);
        std::hint::black_box(server.0.call(call).await?);
        Ok(())
    }
}

/// The server with the kept router.
pub async fn kept(tools: usize) -> std::io::Result<Lines> {
    serve(Kept::with_tools(tools)).await
}

/// The default server. The last number of tools that was asked for holds for the whole program.
pub async fn default(tools: usize) -> std::io::Result<Lines> {
    TOOLS.store(tools, Ordering::Relaxed);
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
