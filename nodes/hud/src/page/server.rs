//! The live page's server: one static bundle, the newest picture and state, and a WebSocket that carries both.
//!
//! The node's thread only puts the newest picture and state in place ([`Page::ship`]) and never waits for a browser. A
//! browser gets the next picture when it has said that the last one is on its screen, so at most one is ever on its
//! way to it; the same for the state. A slow browser skips pictures and slows down nobody.

use super::{client, guard};
use crate::{Config, Effect, PageState};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use guard::Guard;
use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
};
use tokio::sync::{Semaphore, watch};

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("page_bind = {bind:?}: expected address:port, such as \"127.0.0.1:8080\", or \"\" for no page")]
    Address { bind: String },
    #[error(
        "the page cannot be served on {bind}: {source}; stop the program that has the port, or set page_bind to another"
    )]
    Bind { bind: String, source: std::io::Error },
}

/// What all browsers see. Cheap to clone.
#[derive(Clone)]
pub struct Page {
    pub(super) frame: watch::Sender<Bytes>,
    pub(super) state: watch::Sender<Option<Arc<PageState>>>,
}

/// What a request handler holds.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) page: Page,
    guard: Arc<Guard>,
    pub(super) clients: Arc<Semaphore>,
}

impl Default for Page {
    fn default() -> Self {
        Self { frame: watch::Sender::new(Bytes::new()), state: watch::Sender::new(None) }
    }
}

impl Page {
    /// Puts the newest picture or state in the place of the last; never waits.
    pub fn ship(&self, effect: Effect) {
        match effect {
            Effect::Frame(jpeg) => drop(self.frame.send_replace(jpeg)),
            Effect::State(state) => drop(self.state.send_replace(Some(state))),
        }
    }

    /// Serves on the configured address until `runtime` ends. Returns the address in use.
    pub fn serve(&self, config: &Config, runtime: &tokio::runtime::Handle) -> Result<SocketAddr, PageError> {
        let bind = &config.page_bind;
        let address = bind.to_socket_addrs().ok().and_then(|mut a| a.next());
        let address = address.ok_or_else(|| PageError::Address { bind: bind.clone() })?;
        let failed = |source| PageError::Bind { bind: bind.clone(), source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Shared {
            page: self.clone(),
            guard: Arc::new(Guard::new(&config.page_hosts)),
            clients: Arc::new(Semaphore::new(config.page_clients)),
        };
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let listener = guard::Limited::new(listener, 4 * config.page_clients + 8);
        runtime.spawn(async move { axum::serve(listener, router(shared)).await });
        Ok(address)
    }
}

fn router(shared: Shared) -> Router {
    let file = |kind: &'static str, bytes: &'static [u8]| {
        get(async move || ([(header::CONTENT_TYPE, kind)], Body::from(bytes)))
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_bytes!("../../page/index.html")))
        .route("/style.css", file("text/css; charset=utf-8", include_bytes!("../../page/style.css")))
        .route("/app.js", file("text/javascript; charset=utf-8", include_bytes!("../../page/app.js")))
        .route("/plot.js", file("text/javascript; charset=utf-8", include_bytes!("../../page/plot.js")))
        .route("/icon.svg", file("image/svg+xml", include_bytes!("../../page/icon.svg")))
        .route("/regular.ttf", file("font/ttf", include_bytes!("../../fonts/B612-Regular.ttf")))
        .route("/bold.ttf", file("font/ttf", include_bytes!("../../fonts/B612-Bold.ttf")))
        .route("/snapshot.jpg", get(snapshot))
        .route("/state.json", get(state))
        .route("/live", get(client::live))
        // No request has a body.
        .layer(DefaultBodyLimit::max(0))
        .layer(middleware::from_fn_with_state(shared.guard.clone(), guard::check))
        .with_state(shared)
}

async fn snapshot(State(shared): State<Shared>) -> Response {
    let jpeg = shared.page.frame.borrow().clone();
    if jpeg.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no picture has been drawn yet").into_response();
    }
    ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response()
}

async fn state(State(shared): State<Shared>) -> Response {
    let state = shared.page.state.borrow().clone();
    match state.as_deref().map(serde_json::to_vec) {
        Some(Ok(json)) => {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON))]);
            (headers, json).into_response()
        }
        Some(Err(e)) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no state has been made yet").into_response(),
    }
}

const JSON: &str = "application/json; charset=utf-8";
