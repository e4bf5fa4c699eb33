//! `holster serve`: the tools over HTTP, for programs on this machine or elsewhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use holster_callers::Callers;
use holster_connect::SharedServer;
use holster_core::broker::ConnectAddress;
use holster_core::{Config, Host};
use holster_mcp::{CallerSource, ConnectPages, McpService, Server as McpServer};
use holster_rest::{Events, Gate, GateSettings, Rest, Server};
use serde_json::json;
use tokio::runtime::Handle;

use crate::commands::{apart, open_host};
use crate::exit::Exit;
use crate::{Global, pages, print, revocations, traces};

/// Where it is unless the operator says otherwise.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4658);

/// Serve the tools over HTTP: MCP at `/mcp`, REST at `/v1`, a page for people at `/`; and the pages on which they connect
/// accounts.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Where to listen. Default: the configured address, or 127.0.0.1:4658.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(global: &Global, arguments: Arguments) -> Result<(), Exit> {
    let config = global.config()?;
    let address = arguments.listen.or(config.serve.address).unwrap_or(USUAL);
    let host = Arc::new(open_host(global).await?);
    host.watch().map_err(Exit::failed)?;
    let calls = Handle::current();
    let json = global.json;
    let record = Arc::clone(host.broker().audit_log());
    let served = apart(move || serve(config, address, host, calls, json)).await;
    record.written().await;
    served
}

async fn serve(
    config: Config,
    address: SocketAddr,
    host: Arc<Host>,
    calls: Handle,
    json: bool,
) -> Result<(), String> {
    let server = Server::bind(address).await.map_err(text)?;
    let listens_on = server.listens_on();
    let callers = Arc::new(Callers::new(&config.serve));
    let gate = Gate::new(GateSettings {
        listens_on,
        public_url: config.connect.public_url.clone(),
        allowed_origins: config.serve.allowed_origins.clone(),
        callers: Arc::clone(&callers),
        requests_per_second: config.serve.requests_per_second,
    })
    .map_err(text)?;
    let Pages {
        address,
        routes,
        mut shared,
    } = Pages::of(&config, &host, callers).await?;

    let mcp = McpServer::new(
        Arc::clone(&host),
        ConnectPages::at(address.clone()),
        CallerSource::OfRequest,
        calls.clone(),
        traces::go_on,
    );
    let mcp = McpService::new(mcp);
    let untold = Arc::clone(host.broker());
    let events = Events::default();
    let rest = Rest {
        host,
        pages: address,
        calls,
        events: events.clone(),
        go_on: traces::go_on,
    };
    let beside = Router::new().route_service("/mcp", mcp.clone());
    let site = holster_rest::router(rest, gate, beside, routes);
    let url = format!("http://{listens_on}/");
    if json {
        print::json(&json!({ "url": url })).map_err(|exit| said(&exit))?;
    } else {
        let places = format!("MCP at {url}mcp, REST at {url}v1, a page at {url}");
        print::line(&places).map_err(|exit| said(&exit))?;
    }
    let broken = async {
        match &mut shared {
            Some(shared) => shared.keep().await.to_string(),
            None => std::future::pending().await,
        }
    };
    let mut reason = None;
    let stopped = async {
        tokio::select! {
            () = asked_to_end() => {}
            error = broken => reason = Some(error),
            () = revocations::retry(&untold) => {}
        }
    };
    let ending = || {
        mcp.stop();
        events.stop();
    };
    server.serve(site, stopped, ending).await;
    if let Some(shared) = shared {
        shared.shutdown().await;
    }
    reason.map_or(Ok(()), Err)
}

/// The connect pages: at the public address behind the same listener, or else on this machine, shared with all other
/// processes of the user.
struct Pages {
    address: ConnectAddress,
    routes: Router,
    shared: Option<SharedServer>,
}

impl Pages {
    async fn of(config: &Config, host: &Host, callers: Arc<Callers>) -> Result<Self, String> {
        let broker = Arc::clone(host.broker());
        if let Some(url) = &config.connect.public_url {
            let (address, routes) = holster_connect::router(broker, url.clone(), callers);
            return Ok(Self {
                address,
                routes,
                shared: None,
            });
        }
        let shared = pages::here_for(config, &broker, callers)
            .await
            .map_err(|exit| said(&exit))?;
        Ok(Self {
            address: shared.address().clone(),
            routes: Router::new(),
            shared: Some(shared),
        })
    }
}

/// Until the person or the system wants it to end.
async fn asked_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn said(exit: &Exit) -> String {
    exit.text().unwrap_or_default().to_owned()
}
