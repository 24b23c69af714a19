//! One browser's WebSocket: pictures as binary messages, the state as text.

use super::{guard::Guard, server::Shared};
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

/// A browser only sends acknowledgements of a few letters.
const MAX_MESSAGE: usize = 1024;
/// A browser that takes nothing for this long is let go.
const STALLED: Duration = Duration::from_secs(10);
/// Least time between two states to one browser.
const STATE_EVERY: Duration = Duration::from_millis(100);

/// The acknowledgements: the last picture is on the screen, the last state is shown.
const FRAME_SHOWN: &str = "frame";
const STATE_SHOWN: &str = "state";

pub async fn live(State(shared): State<Shared>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if !Guard::is_same_origin(&headers) {
        return (StatusCode::FORBIDDEN, "only this machine's own page may open this socket").into_response();
    }
    let Ok(place) = shared.clients.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "as many browsers as page_clients allows are here").into_response();
    };
    upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(async move |socket| {
        serve(socket, &shared).await;
        drop(place);
    })
}

/// Ends when the browser leaves, stalls, or says what it should not.
async fn serve(mut socket: WebSocket, shared: &Shared) {
    let (mut frames, mut states) = (shared.page.frame.subscribe(), shared.page.state.subscribe());
    frames.mark_changed();
    states.mark_changed();
    // One of each may be on its way.
    let (mut frame_free, mut state_free, mut told_history) = (true, true, false);
    let mut state_at = tokio::time::Instant::now();
    loop {
        let message = tokio::select! {
            changed = frames.changed(), if frame_free => {
                let frame = frames.borrow_and_update().clone();
                match changed {
                    Err(_) => return,
                    Ok(()) if frame.is_empty() => continue,
                    Ok(()) => frame_free = false,
                }
                Message::Binary(frame)
            }
            changed = async { tokio::time::sleep_until(state_at).await; states.changed().await }, if state_free => {
                let state = states.borrow_and_update().clone();
                let Some(state) = state else { continue };
                // The first carries the plot's past.
                let json = if told_history { serde_json::to_string(&state.live) } else { serde_json::to_string(&*state) };
                let (Ok(()), Ok(json)) = (changed, json) else { return };
                (state_free, told_history) = (false, true);
                state_at = tokio::time::Instant::now() + STATE_EVERY;
                Message::Text(json.into())
            }
            heard = timeout(STALLED, socket.recv()) => {
                match heard {
                    Ok(Some(Ok(Message::Text(text)))) if text.as_str() == FRAME_SHOWN => frame_free = true,
                    Ok(Some(Ok(Message::Text(text)))) if text.as_str() == STATE_SHOWN => state_free = true,
                    Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => {}
                    // Gone, or nothing acknowledged for so long, or something else than an acknowledgement.
                    _ => return,
                }
                continue;
            }
        };
        if !matches!(timeout(STALLED, socket.send(message)).await, Ok(Ok(()))) {
            return;
        }
    }
}
