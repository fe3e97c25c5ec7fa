//! Exchanges one by one: those that were, or those that come.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use alaz_model::Exchange;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::mpsc;

use super::{ApiError, Parameters, Shared};
use crate::filter::ExchangeFilter;
use crate::follow::{Reader, Received};
use crate::live::Live;

/// How many exchanges are given, and how many may be asked for.
const LIMIT: usize = 100;
const MOST: usize = 1000;
/// Answers that wait for a reader; behind them the broadcast counts what it misses.
const WAITING: usize = 4;

pub(super) async fn exchanges(State(live): Shared, uri: Uri) -> Result<Response, ApiError> {
    let known = ["limit", "protocol", "pid", "port", "errors", "slower_than", "text", "follow"];
    let parameters = Parameters::of(&uri, &known)?;
    let filter = parameters.exchange_filter()?;
    let limit = parameters.count("limit", MOST)?;
    if parameters.flag("follow")? {
        if limit.is_some() {
            return Err(ApiError::bad_query(
                "'limit' does not go with 'follow': stop reading instead".to_owned(),
            ));
        }
        return follow(live, filter);
    }
    let found = live.newest(&filter, limit.unwrap_or(LIMIT));
    Ok(Json(found).into_response())
}

fn follow(live: Arc<Live>, filter: ExchangeFilter) -> Result<Response, ApiError> {
    let Some(reader) = live.follow.reader() else {
        return Err(ApiError::unavailable(
            "too many readers follow already: close one, or ask without 'follow'".to_owned(),
        ));
    };
    let (lines, body) = mpsc::channel(WAITING);
    tokio::spawn(send_lines(live, filter, reader, lines));
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, Body::new(Lines(body))).into_response())
}

/// Until the reader goes or the server ends.
async fn send_lines(
    live: Arc<Live>,
    filter: ExchangeFilter,
    mut reader: Reader,
    lines: mpsc::Sender<Bytes>,
) {
    loop {
        let received = tokio::select! {
            received = reader.receive() => received,
            () = lines.closed() => return,
            () = live.ended() => return,
        };
        let Some(received) = received else { return };
        live.lose_followed(received.lost);
        let text = as_lines(&received, &filter);
        if text.is_empty() {
            continue;
        }
        let sent = tokio::select! {
            sent = lines.send(text.into()) => sent.is_ok(),
            () = live.ended() => false,
        };
        if !sent {
            return;
        }
    }
}

fn as_lines(received: &Received, filter: &ExchangeFilter) -> Vec<u8> {
    let mut text = Vec::new();
    if received.lost > 0 {
        text.extend(format!("{{\"lost\":{}}}\n", received.lost).bytes());
    }
    let wanted = received.exchanges.iter().filter(|exchange| filter.takes(exchange));
    wanted.for_each(|exchange| add_line(&mut text, exchange));
    text
}

fn add_line(text: &mut Vec<u8>, exchange: &Exchange) {
    let start = text.len();
    // Writing to memory what has only string keys cannot fail; half a line would be worse.
    match serde_json::to_writer(&mut *text, exchange) {
        Ok(()) => text.push(b'\n'),
        Err(_) => text.truncate(start),
    }
}

/// A body that ends when the sender goes.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
