//! The live page over real sockets.

mod common;

use auriga_hud::{Config, Effect, page::Page};
use auriga_runtime::Nanos;
use common::Bed;
use futures_util::{SinkExt, StreamExt};
use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
    time::timeout,
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite};
use tungstenite::{Message, client::IntoClientRequest};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(10);

fn served(clients: usize) -> (Page, SocketAddr) {
    let page = Page::default();
    let config = Config { page_bind: "127.0.0.1:0".into(), page_clients: clients, ..Config::default() };
    let address = page.serve(&config, &Handle::current()).unwrap();
    (page, address)
}

/// What a node asks to be shown around one frame: a picture and a state.
fn effects(ms: u64) -> Vec<Effect> {
    let now = Nanos::from_millis(ms);
    let mut bed = Bed::default();
    bed.feed(common::inputs(640, 360, now, true, 2), now);
    bed.frame(common::road(640, 360, now), now);
    bed.tick(now);
    bed.out.take_effects()
}

async fn ask(address: SocketAddr, request: String) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..split]).to_lowercase(), answer[split + 4..].to_vec())
}

async fn get(address: SocketAddr, path: &str) -> (String, Vec<u8>) {
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

async fn open(address: SocketAddr) -> Socket {
    timeout(PATIENCE, connect_async(format!("ws://{address}/live"))).await.unwrap().unwrap().0
}

async fn hear(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.expect("a message comes").unwrap().unwrap()
}

#[tokio::test]
async fn the_bundle_is_served_with_its_types_and_security_headers() {
    let (_page, address) = served(2);
    for (path, kind) in [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/app.js", "text/javascript"),
        ("/plot.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
        ("/regular.ttf", "font/ttf"),
    ] {
        let (head, body) = get(address, path).await;
        assert!(head.starts_with("http/1.1 200") && head.contains(&format!("content-type: {kind}")), "{path}: {head}");
        assert!(head.contains("content-security-policy: default-src 'none'") && head.contains("nosniff"), "{head}");
        assert!(body.len() > 100, "{path}");
    }
    assert!(get(address, "/etc/passwd").await.0.starts_with("http/1.1 404"));
}

#[tokio::test]
async fn what_the_page_does_not_serve_is_refused() {
    let (_page, address) = served(2);
    let refused = [
        (format!("GET / HTTP/1.1\r\nHost: evil.example:{}\r\nConnection: close\r\n\r\n", address.port()), "421"),
        (format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), "405"),
        (format!("GET /{} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n", "a".repeat(1000)), "414"),
    ];
    for (request, status) in refused {
        let (head, _) = ask(address, request).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}");
    }
}

#[tokio::test]
async fn snapshot_and_state_are_there_once_something_was_shown() {
    let (page, address) = served(2);
    assert!(get(address, "/snapshot.jpg").await.0.starts_with("http/1.1 503"));
    assert!(get(address, "/state.json").await.0.starts_with("http/1.1 503"));
    effects(4000).into_iter().for_each(|e| page.ship(e));
    let (head, jpeg) = get(address, "/snapshot.jpg").await;
    assert!(head.contains("image/jpeg") && jpeg.starts_with(&[0xff, 0xd8]), "{head}");
    let (_, json) = get(address, "/state.json").await;
    let state: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(state["compute"]["mode"], "nominal");
    assert_eq!(state["warnings"][0]["topic"], "forward-collision");
    assert_eq!(state["dialogue"]["exchanges"][0]["transcript_track"], true);
    assert_eq!(state["driving"]["unit"], "km/h");
    assert!((state["driving"]["speed"].as_f64().unwrap() - 50.04).abs() < 0.01);
    assert_eq!(state["chains"].as_array().unwrap().len(), auriga_msgs::CHAINS.len());
    assert_eq!(state["history"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_browser_gets_pictures_and_states_and_the_next_only_after_it_has_shown_the_last() {
    let (page, address) = served(2);
    effects(4000).into_iter().for_each(|e| page.ship(e));
    let mut socket = open(address).await;
    let (mut pictures, mut states) = (0, 0);
    for _ in 0..2 {
        match hear(&mut socket).await {
            Message::Binary(jpeg) => {
                assert!(jpeg.starts_with(&[0xff, 0xd8]));
                pictures += 1;
            }
            Message::Text(json) => {
                let state: serde_json::Value = serde_json::from_str(&json).unwrap();
                assert!(state["history"].is_array(), "the first state carries the plot's past");
                states += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((pictures, states), (1, 1));
    // Nothing is acknowledged: however much is drawn, nothing is sent.
    for i in 0..50 {
        page.ship(Effect::Frame(vec![i; 1000].into()));
    }
    assert!(timeout(Duration::from_millis(300), socket.next()).await.is_err(), "one picture is on its way at most");
    socket.send(Message::Text("frame".into())).await.unwrap();
    // And then the newest, not the ones in between.
    assert_eq!(hear(&mut socket).await, Message::Binary(vec![49; 1000].into()));
    effects(4100).into_iter().filter(|e| matches!(e, Effect::State(_))).for_each(|e| page.ship(e));
    socket.send(Message::Text("state".into())).await.unwrap();
    let Message::Text(json) = hear(&mut socket).await else { panic!("a state comes") };
    let state: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(state["history"].is_null() && state["sample"]["shares"].is_array());
}

#[tokio::test]
async fn a_browser_that_reads_nothing_holds_up_neither_the_node_nor_another_browser() {
    let (page, address) = served(4);
    let stuck = open(address).await;
    let mut other = open(address).await;
    let begin = std::time::Instant::now();
    for i in 0..10_000u32 {
        page.ship(Effect::Frame(i.to_be_bytes().repeat(10_000).into()));
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "shipping never waits: {:?}", begin.elapsed());
    let newest = Message::Binary(9_999u32.to_be_bytes().repeat(10_000).into());
    loop {
        let heard = hear(&mut other).await;
        other.send(Message::Text("frame".into())).await.unwrap();
        if heard == newest {
            break;
        }
    }
    drop(stuck);
}

#[tokio::test]
async fn no_more_browsers_than_configured_and_no_foreign_page() {
    let (_page, address) = served(1);
    let first = open(address).await;
    let url = format!("ws://{address}/live");
    let Err(tungstenite::Error::Http(answer)) = connect_async(&url).await else { panic!("the second is refused") };
    assert_eq!(answer.status(), 503);
    drop(first);
    // The place is free again as soon as the server has seen the first one go.
    let again = async {
        while connect_async(&url).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, again).await.unwrap();
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    let Err(tungstenite::Error::Http(answer)) = connect_async(request).await else { panic!("it is refused") };
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_browser_that_talks_too_much_is_let_go() {
    let (_page, address) = served(1);
    let mut socket = open(address).await;
    socket.send(Message::Text("x".repeat(100_000).into())).await.unwrap();
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(PATIENCE, end).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let config = Config { page_bind: bind.clone(), ..Config::default() };
    let error = Page::default().serve(&config, &Handle::current()).unwrap_err().to_string();
    assert!(error.contains(&bind) && error.contains("page_bind"), "{error}");
    let config = Config { page_bind: "nonsense".into(), ..Config::default() };
    assert!(Page::default().serve(&config, &Handle::current()).unwrap_err().to_string().contains("nonsense"));
}
