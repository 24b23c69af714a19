//! One browser's WebSocket: pictures as binary messages, the state as text.

use super::{feed::Shared, guard::Guard};
use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use std::time::Duration;
use tokio::time::timeout;

/// Longest message of a browser, in bytes: it sends acknowledgements of a few characters.
const MAX_MESSAGE: usize = 1024;
/// A browser that accepts or acknowledges nothing for this long is disconnected.
const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Least time between two states to one browser.
const STATE_PERIOD: Duration = Duration::from_millis(100);

/// The acknowledgements: the last picture is shown, the last state is shown.
const FRAME_SHOWN: &str = "frame";
const STATE_SHOWN: &str = "state";

/// Upgrades a request to the WebSocket of one browser.
pub(super) async fn live(State(shared): State<Shared>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if !Guard::is_same_origin(&headers) {
        return (StatusCode::FORBIDDEN, "only a page of this server may open this socket").into_response();
    }
    let Ok(permit) = shared.clients.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "as many browsers as page_clients allows are connected")
            .into_response();
    };
    upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(async move |socket| {
        serve(socket, &shared).await;
        drop(permit);
    })
}

/// Ends when the browser disconnects, stalls, or sends something other than an acknowledgement.
async fn serve(mut socket: WebSocket, shared: &Shared) {
    let (mut frames, mut states) = (shared.feed.frame.subscribe(), shared.feed.state.subscribe());
    frames.mark_changed();
    states.mark_changed();
    // At most one of each is on its way.
    let (mut frame_acknowledged, mut state_acknowledged, mut history_sent) = (true, true, false);
    let mut next_state = tokio::time::Instant::now();
    loop {
        let message = tokio::select! {
            changed = frames.changed(), if frame_acknowledged => {
                let frame = frames.borrow_and_update().clone();
                match changed {
                    Err(_) => return,
                    Ok(()) if frame.is_empty() => continue,
                    Ok(()) => frame_acknowledged = false,
                }
                Message::Binary(frame)
            }
            changed = async { tokio::time::sleep_until(next_state).await; states.changed().await }, if state_acknowledged => {
                let state = states.borrow_and_update().clone();
                let Some(state) = state else { continue };
                // The first state carries the plot's history.
                let json = if history_sent { serde_json::to_string(&state.live) } else { serde_json::to_string(&*state) };
                let (Ok(()), Ok(json)) = (changed, json) else { return };
                (state_acknowledged, history_sent) = (false, true);
                next_state = tokio::time::Instant::now() + STATE_PERIOD;
                Message::Text(json.into())
            }
            received = timeout(STALL_TIMEOUT, socket.recv()) => {
                match received {
                    Ok(Some(Ok(Message::Text(text)))) if text.as_str() == FRAME_SHOWN => frame_acknowledged = true,
                    Ok(Some(Ok(Message::Text(text)))) if text.as_str() == STATE_SHOWN => state_acknowledged = true,
                    Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                    // Disconnected, stalled, or not an acknowledgement.
                    _ => return,
                }
                continue;
            }
        };
        if !matches!(timeout(STALL_TIMEOUT, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
}
