//! Which requests are served: those that name this machine by an address or a listed name, WebSockets of this server's
//! own pages, and no more connections than the limit.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
    serve::Listener,
};
use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// The host names under which the page is served.
pub(super) struct Guard {
    hosts: Vec<String>,
}

/// Sent with every response. The page loads nothing from other sites, and no other site may frame it.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Longest request target in bytes; the longest that is served has 13.
const MAX_TARGET: usize = 256;

impl Guard {
    pub fn new(hosts: &[String]) -> Self {
        Self { hosts: hosts.iter().map(|h| h.to_ascii_lowercase()).collect() }
    }

    /// Whether the request names this machine. Another name may be that of a foreign site made to point here (DNS
    /// rebinding).
    fn is_allowed_host(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<IpAddr>().is_ok() || self.hosts.contains(&host)
    }

    /// Whether the request comes from a page of this server. A request without origin is not from a browser.
    pub fn is_same_origin(headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let authority = |v: &HeaderValue| v.to_str().ok().map(str::to_ascii_lowercase);
        let of_origin = authority(origin).and_then(|o| Some(o.split_once("://")?.1.to_owned()));
        of_origin.is_some() && of_origin == headers.get(header::HOST).and_then(authority)
    }
}

/// The host of `host:port`, in lower case.
fn host_of(authority: &str) -> Option<String> {
    let uri: Uri = format!("http://{authority}/").parse().ok()?;
    Some(uri.host()?.to_ascii_lowercase())
}

/// Refuses what is not served, and adds the security headers to every response.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|h| h.to_str().ok());
    let mut response = if !host.is_some_and(|host| guard.is_allowed_host(host)) {
        let text = "this host name is not in page_hosts; use the address or localhost";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
        (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served").into_response()
    } else if request.uri().to_string().len() > MAX_TARGET {
        StatusCode::URI_TOO_LONG.into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A listener with a limit of open connections; more wait in the kernel's queue.
pub(super) struct LimitedListener {
    listener: TcpListener,
    permits: Arc<Semaphore>,
}

impl LimitedListener {
    pub fn new(listener: TcpListener, max_connections: usize) -> Self {
        Self { listener, permits: Arc::new(Semaphore::new(max_connections)) }
    }
}

impl Listener for LimitedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The semaphore is never closed.
        let permit = self.permits.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let idle = Box::pin(tokio::time::sleep(IDLE_TIMEOUT));
        (Connection { stream, idle, _permit: permit }, address)
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that sends nothing for this long is closed: a live page acknowledges all the time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection with its permit.
pub(super) struct Connection {
    stream: TcpStream,
    idle: Pin<Box<tokio::time::Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Pending => this.idle.as_mut().poll(cx).map(|()| Err(std::io::ErrorKind::TimedOut.into())),
            ready => {
                this.idle.as_mut().reset(Instant::now() + IDLE_TIMEOUT);
                ready
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, data)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_listed_names_are_allowed() {
        let guard = Guard::new(&["Car.Local".into()]);
        for allowed in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "192.168.0.7", "car.local:80", "CAR.local"] {
            assert!(guard.is_allowed_host(allowed), "{allowed}");
        }
        for foreign in ["evil.example:8080", "127.0.0.1.evil.example", "", "a b", "localhost.evil.example"] {
            assert!(!guard.is_allowed_host(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_websocket_is_opened_only_for_pages_of_the_same_origin() {
        let headers = |origin: Option<&'static str>| {
            let host = (header::HOST, HeaderValue::from_static("127.0.0.1:8080"));
            let origin = origin.map(|o| (header::ORIGIN, HeaderValue::from_static(o)));
            HeaderMap::from_iter([Some(host), origin].into_iter().flatten())
        };
        assert!(Guard::is_same_origin(&headers(None)));
        assert!(Guard::is_same_origin(&headers(Some("http://127.0.0.1:8080"))));
        for foreign in ["http://evil.example", "http://127.0.0.1:8081", "null", "http://127.0.0.1"] {
            assert!(!Guard::is_same_origin(&headers(Some(foreign))), "{foreign}");
        }
    }
}
