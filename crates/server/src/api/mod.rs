//! The pages of the API. docs/api.md describes them for people, `openapi.json` for machines.

mod connections;
mod edge;
mod exchanges;
mod map;
mod metrics;
mod node;
mod operations;
mod query;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use alaz_model::{GuardState, Ledger, UnixNanos};
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::Serialize;

use crate::guard::{self, Hosts};
use crate::live::Live;
use crate::serve::Pages;
use crate::store::{EdgeId, NodeId};
use crate::ui;
pub use connections::MapConnections;
use edge::{EdgeDetail, Series};
pub use map::{Map, MapEdge, MapFilter, MapNode, MapOverflow};
use node::NodeDetail;
use query::Parameters;

const OPENAPI: &str = include_str!("openapi.json");

type Shared = State<Arc<Live>>;

/// Everything that can be asked for, and the guard before it.
pub(crate) fn router(live: Arc<Live>, hosts: Hosts, pages: Pages) -> Router {
    let refreshed = middleware::from_fn_with_state(Arc::clone(&live), refresh);
    let pages = match pages {
        Pages::All => of_map()
            .merge(of_traffic())
            .route_layer(refreshed)
            .merge(of_program())
            .fallback(ui::file),
        // What an agent tells is no fresher for being waited for.
        Pages::Agent => of_traffic().merge(of_program()).fallback(no_map),
    };
    pages
        .method_not_allowed_fallback(not_allowed)
        .layer(middleware::from_fn_with_state(Arc::new(hosts), guard::check))
        .with_state(live)
}

fn of_map() -> Router<Arc<Live>> {
    Router::new()
        .route("/api/v1/map", get(map))
        .route("/api/v1/edges/{id}", get(edge))
        .route("/api/v1/edges/{id}/series", get(series))
        .route("/api/v1/nodes/{id}", get(node))
        .route("/api/v1/operations", get(operations::operations))
}

fn of_traffic() -> Router<Arc<Live>> {
    Router::new()
        .route("/api/v1/exchanges", get(exchanges::exchanges))
        .route("/api/v1/ledger", get(ledger))
        .route("/metrics", get(metrics::metrics))
}

fn of_program() -> Router<Arc<Live>> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
}

async fn no_map() -> ApiError {
    ApiError::not_found(
        "this is an agent, which keeps no map: it is where the agent sends what it sees".to_owned(),
    )
}

/// What was seen before the request is in its answer.
async fn refresh(State(live): Shared, request: Request, next: Next) -> Response {
    live.refresh().await;
    next.run(request).await
}

/// An answer that is no answer: `{"error":"what is wrong and what to do"}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    pub(crate) fn bad_query(message: String) -> ApiError {
        ApiError { status: StatusCode::BAD_REQUEST, message }
    }

    pub(crate) fn forbidden(message: String) -> ApiError {
        ApiError { status: StatusCode::FORBIDDEN, message }
    }

    pub(crate) fn not_found(message: String) -> ApiError {
        ApiError { status: StatusCode::NOT_FOUND, message }
    }

    pub(crate) fn unavailable(message: String) -> ApiError {
        ApiError { status: StatusCode::SERVICE_UNAVAILABLE, message }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.message }))).into_response()
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

async fn map(State(live): Shared, uri: Uri) -> Result<Json<Map>, ApiError> {
    let parameters = Parameters::of(&uri, &["from", "to", "protocol", "namespace"])?;
    let period = parameters.period(now_ns())?;
    let filter = MapFilter {
        protocols: parameters.edge_protocols()?,
        namespace: parameters.get("namespace").map(Into::into),
    };
    Ok(Json(Map::of(&live.store(), period, &filter)))
}

/// What stands in a path for one edge or node.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, ApiError> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Id(id)).map_err(|_| {
            ApiError::bad_query("the id is no text in UTF-8: /api/v1/map lists the ids".to_owned())
        })
    }
}

async fn edge(State(live): Shared, Id(id): Id, uri: Uri) -> Result<Json<EdgeDetail>, ApiError> {
    let period = Parameters::of(&uri, &["from", "to"])?.period(now_ns())?;
    let found = EdgeId::parse(&id).and_then(|id| EdgeDetail::of(&live.store(), id, period));
    found.map(Json).ok_or_else(|| unknown("edge", &id))
}

async fn series(State(live): Shared, Id(id): Id, uri: Uri) -> Result<Json<Series>, ApiError> {
    let period = Parameters::of(&uri, &["from", "to"])?.period(now_ns())?;
    let found = EdgeId::parse(&id).and_then(|id| Series::of(&live.store(), id, period));
    found.map(Json).ok_or_else(|| unknown("edge", &id))
}

async fn node(State(live): Shared, Id(id): Id, uri: Uri) -> Result<Json<NodeDetail>, ApiError> {
    let period = Parameters::of(&uri, &["from", "to"])?.period(now_ns())?;
    let found = NodeId::parse(&id).and_then(|id| NodeDetail::of(&live.store(), id, period));
    found.map(Json).ok_or_else(|| unknown("node", &id))
}

fn unknown(what: &str, id: &str) -> ApiError {
    ApiError::not_found(format!(
        "no {what} of the last hour has the id '{id}': /api/v1/map lists them"
    ))
}

async fn ledger(State(live): Shared, uri: Uri) -> Result<Json<Ledger>, ApiError> {
    Parameters::of(&uri, &[])?;
    Ok(Json(live.capture().ledger))
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    host: String,
    uptime_seconds: f64,
    /// From when on there is data; null before there is any.
    since: Option<UnixNanos>,
    /// Null in the first second.
    guard: Option<GuardState>,
}

async fn status(State(live): Shared, uri: Uri) -> Result<Json<Status>, ApiError> {
    Parameters::of(&uri, &[])?;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        host: live.host.clone(),
        uptime_seconds: live.started.elapsed().as_millis() as f64 / 1e3,
        since: live.store().since_ns().map(UnixNanos),
        guard: live.capture().guard,
    }))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn readyz(State(live): Shared) -> Response {
    match live.capture().not_ready {
        None => "ok\n".into_response(),
        Some(reason) => ApiError::unavailable(reason.to_owned()).into_response(),
    }
}

async fn not_allowed() -> ApiError {
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: "everything here is read with GET".to_owned(),
    }
}
