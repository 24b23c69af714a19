//! The live page over real sockets.

use crate::common;
use crate::common::TestNode;
use auriga_hud::{
    Config, Effect,
    page::{self, PageFeed},
};
use auriga_runtime::Nanos;
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

const TIMEOUT: Duration = Duration::from_secs(10);

fn served(clients: usize) -> (PageFeed, SocketAddr) {
    let feed = PageFeed::default();
    let config = Config { page_bind: "127.0.0.1:0".into(), page_clients: clients, ..Config::default() };
    let address = page::serve(&feed, &config, &Handle::current()).unwrap();
    (feed, address)
}

/// The effects of one frame: a picture and a state.
fn effects(ms: u64) -> Vec<Effect> {
    let now = Nanos::from_millis(ms);
    let mut node = TestNode::default();
    node.feed(common::inputs(640, 360, now, true, 2), now);
    node.frame(common::road(640, 360, now), now);
    node.tick(now);
    node.out.take_effects()
}

async fn ask(address: SocketAddr, request: String) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(TIMEOUT, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..split]).to_lowercase(), answer[split + 4..].to_vec())
}

async fn get(address: SocketAddr, path: &str) -> (String, Vec<u8>) {
    ask(address, format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")).await
}

async fn open(address: SocketAddr) -> Socket {
    timeout(TIMEOUT, connect_async(format!("ws://{address}/live"))).await.unwrap().unwrap().0
}

async fn receive(socket: &mut Socket) -> Message {
    timeout(TIMEOUT, socket.next()).await.expect("a message within the timeout").unwrap().unwrap()
}

#[tokio::test]
async fn static_files_are_served_with_their_content_type_and_security_headers() {
    let (_feed, address) = served(2);
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
async fn foreign_hosts_other_methods_and_long_targets_are_refused() {
    let (_feed, address) = served(2);
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
async fn snapshot_and_state_are_available_after_the_first_picture() {
    let (feed, address) = served(2);
    assert!(get(address, "/snapshot.jpg").await.0.starts_with("http/1.1 503"));
    assert!(get(address, "/state.json").await.0.starts_with("http/1.1 503"));
    effects(4000).into_iter().for_each(|e| feed.publish(e));
    let (head, jpeg) = get(address, "/snapshot.jpg").await;
    assert!(head.contains("image/jpeg") && jpeg.starts_with(&[0xff, 0xd8]), "{head}");
    let (_, json) = get(address, "/state.json").await;
    let state: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(state["compute"]["mode"], "nominal");
    assert_eq!(state["warnings"][0]["kind"], "forward-collision");
    assert_eq!(state["dialogue"]["exchanges"][0]["transcript_track"], true);
    assert_eq!(state["driving"]["unit"], "km/h");
    assert!((state["driving"]["speed"].as_f64().unwrap() - 50.04).abs() < 0.01);
    assert_eq!(state["chains"].as_array().unwrap().len(), auriga_msgs::CHAINS.len());
    assert_eq!(state["history"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_next_picture_and_state_are_sent_after_the_last_is_acknowledged() {
    let (feed, address) = served(2);
    effects(4000).into_iter().for_each(|e| feed.publish(e));
    let mut socket = open(address).await;
    let (mut pictures, mut states) = (0, 0);
    for _ in 0..2 {
        match receive(&mut socket).await {
            Message::Binary(jpeg) => {
                assert!(jpeg.starts_with(&[0xff, 0xd8]));
                pictures += 1;
            }
            Message::Text(json) => {
                let state: serde_json::Value = serde_json::from_str(&json).unwrap();
                assert!(state["history"].is_array(), "the first state carries the plot's history");
                states += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((pictures, states), (1, 1));
    // Nothing is acknowledged, so nothing is sent.
    for i in 0..50 {
        feed.publish(Effect::Frame(vec![i; 1000].into()));
    }
    assert!(timeout(Duration::from_millis(300), socket.next()).await.is_err(), "at most one picture is on its way");
    socket.send(Message::Text("frame".into())).await.unwrap();
    // Then the newest is sent, not the ones in between.
    assert_eq!(receive(&mut socket).await, Message::Binary(vec![49; 1000].into()));
    effects(4100).into_iter().filter(|e| matches!(e, Effect::State(_))).for_each(|e| feed.publish(e));
    socket.send(Message::Text("state".into())).await.unwrap();
    let Message::Text(json) = receive(&mut socket).await else { panic!("a state comes") };
    let state: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(state["history"].is_null() && state["sample"]["shares"].is_array());
}

#[tokio::test]
async fn a_stalled_browser_delays_neither_the_node_nor_another_browser() {
    let (feed, address) = served(4);
    let stalled = open(address).await;
    let mut other = open(address).await;
    let begin = std::time::Instant::now();
    for i in 0..10_000u32 {
        feed.publish(Effect::Frame(i.to_be_bytes().repeat(10_000).into()));
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "publishing never waits: {:?}", begin.elapsed());
    let newest = Message::Binary(9_999u32.to_be_bytes().repeat(10_000).into());
    loop {
        let received = receive(&mut other).await;
        other.send(Message::Text("frame".into())).await.unwrap();
        if received == newest {
            break;
        }
    }
    drop(stalled);
}

#[tokio::test]
async fn too_many_browsers_and_foreign_origins_are_refused() {
    let (_feed, address) = served(1);
    let first = open(address).await;
    let url = format!("ws://{address}/live");
    let Err(tungstenite::Error::Http(answer)) = connect_async(&url).await else { panic!("the second is refused") };
    assert_eq!(answer.status(), 503);
    drop(first);
    // The permit is free again when the server has noticed the disconnection of the first.
    let again = async {
        while connect_async(&url).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(TIMEOUT, again).await.unwrap();
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    let Err(tungstenite::Error::Http(answer)) = connect_async(request).await else { panic!("it is refused") };
    assert_eq!(answer.status(), 403);
}

#[tokio::test]
async fn a_browser_that_sends_a_long_message_is_disconnected() {
    let (_feed, address) = served(1);
    let mut socket = open(address).await;
    socket.send(Message::Text("x".repeat(100_000).into())).await.unwrap();
    let end = async { while let Some(Ok(_)) = socket.next().await {} };
    timeout(TIMEOUT, end).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_page_bind() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let config = Config { page_bind: bind.clone(), ..Config::default() };
    let error = page::serve(&PageFeed::default(), &config, &Handle::current()).unwrap_err().to_string();
    assert!(error.contains(&bind) && error.contains("page_bind"), "{error}");
    let config = Config { page_bind: "nonsense".into(), ..Config::default() };
    assert!(
        page::serve(&PageFeed::default(), &config, &Handle::current()).unwrap_err().to_string().contains("nonsense")
    );
}
