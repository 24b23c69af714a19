//! The routes, on the configured address.

use super::{
    client,
    feed::{PageFeed, Shared},
    guard::{self, Guard},
};
use crate::config::Config;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
};
use tokio::sync::Semaphore;

const JSON: &str = "application/json; charset=utf-8";

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// `page_bind` is not an address.
    #[error("page_bind = {bind:?}: expected address:port, such as \"127.0.0.1:8080\", or \"\" for no page")]
    Address {
        /// The value found.
        bind: String,
    },
    /// The address cannot be used.
    #[error(
        "the page cannot be served on {bind}: {source}; stop the program that has the port, or set page_bind to another"
    )]
    Bind {
        /// The address.
        bind: String,
        /// What the operating system reported.
        source: std::io::Error,
    },
}

/// Serves the page on the configured address until `runtime` ends. Returns the address in use.
///
/// # Errors
/// When `page_bind` is not an address or the address cannot be used.
pub fn serve(feed: &PageFeed, config: &Config, runtime: &tokio::runtime::Handle) -> Result<SocketAddr, PageError> {
    let bind = &config.page_bind;
    let address = bind.to_socket_addrs().ok().and_then(|mut a| a.next());
    let address = address.ok_or_else(|| PageError::Address { bind: bind.clone() })?;
    let failed = |source| PageError::Bind { bind: bind.clone(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let shared = Shared {
        feed: feed.clone(),
        guard: Arc::new(Guard::new(&config.page_hosts)),
        clients: Arc::new(Semaphore::new(config.page_clients)),
    };
    let _entered = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let listener = guard::LimitedListener::new(listener, 4 * config.page_clients + 8);
    runtime.spawn(async move { axum::serve(listener, router(shared)).await });
    Ok(address)
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
    let jpeg = shared.feed.frame.borrow().clone();
    if jpeg.is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no picture has been drawn yet").into_response();
    }
    ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response()
}

async fn state(State(shared): State<Shared>) -> Response {
    let state = shared.feed.state.borrow().clone();
    match state.as_deref().map(serde_json::to_vec) {
        Some(Ok(json)) => {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, header::HeaderValue::from_static(JSON))]);
            (headers, json).into_response()
        }
        Some(Err(e)) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no state has been made yet").into_response(),
    }
}
