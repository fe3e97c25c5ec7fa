//! A stream: a request and its response under one number, and the view that becomes of both.

use std::sync::Arc;

use alaz_model::{Attributes, CloseReason, Message, Outcome, Position, Protocol};
use compact_str::{CompactString, format_compact};

use super::Upgraded;
use super::grpc::{self, Messages};
use super::hpack::Field;
use crate::dialogue::{Context, Side, Told};
use crate::http::target::Target;

/// What the header blocks of one message say.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) method: Option<CompactString>,
    pub(super) target: Option<Arc<Target>>,
    pub(super) host: Option<CompactString>,
    pub(super) status: Option<u16>,
    pub(super) is_grpc: Option<bool>,
    pub(super) grpc_status: Option<u16>,
    /// Only requests have such fields.
    pub(super) is_request: bool,
    /// There are fields that nobody knows.
    pub(super) is_partial: bool,
}

impl Fields {
    pub(super) fn add(&mut self, field: &Field) {
        self.is_request |= matches!(
            field,
            Field::Method(_) | Field::Path(_) | Field::Authority(_) | Field::Scheme
        );
        match field {
            Field::Method(method) => self.method = Some(method.clone()),
            Field::Path(target) => self.target = Some(Arc::clone(target)),
            Field::Authority(host) => self.host = Some(host.clone()),
            Field::Status(status) => self.status = Some(*status),
            Field::ContentType { is_grpc } => self.is_grpc = Some(*is_grpc),
            Field::GrpcStatus(status) => self.grpc_status = Some(*status),
            Field::Unknown => self.is_partial = true,
            Field::Scheme | Field::Other => {}
        }
    }
}

/// One direction of a stream.
#[derive(Default)]
pub(super) struct Way {
    /// Of its frames that carry headers and content.
    pub(super) bytes: u64,
    pub(super) messages: Option<Messages>,
    /// Its last frame was seen.
    pub(super) is_done: bool,
    /// Some of its frames may not have been seen.
    pub(super) has_gap: bool,
}

/// Where a response begins.
pub(super) struct Answer {
    /// `None` when it stands in a part of the header table that was not seen.
    pub(super) status: Option<u16>,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    /// It is known not to be an interim one.
    pub(super) is_final: bool,
}

/// How a stream was ended before its time.
#[derive(Clone, Copy)]
pub(super) struct Reset {
    pub(super) by: Side,
    pub(super) code: &'static str,
    pub(super) at_ns: u64,
}

/// A request, and as much of its response as was seen.
pub(super) struct Stream {
    pub(super) fields: Fields,
    pub(super) position: Position,
    pub(super) started_ns: u64,
    pub(super) pid: u32,
    pub(super) request: Way,
    pub(super) response: Way,
    pub(super) answer: Option<Answer>,
    pub(super) reset: Option<Reset>,
    /// When the last byte of the response moved that was seen.
    pub(super) ended_ns: u64,
    /// When anything last happened.
    pub(super) active_ns: u64,
}

impl Stream {
    /// A request that came in HTTP/1 and is answered here.
    pub(super) fn upgraded(request: Upgraded) -> Stream {
        Stream {
            fields: Fields {
                method: Some(request.method),
                target: Some(Arc::new(request.target)),
                host: Some(request.host),
                is_request: true,
                ..Fields::default()
            },
            position: request.position,
            started_ns: request.started_ns,
            pid: request.pid,
            request: Way { bytes: request.bytes, is_done: true, ..Way::default() },
            response: Way::default(),
            answer: None,
            reset: None,
            ended_ns: 0,
            active_ns: request.started_ns,
        }
    }

    /// The server has agreed to pass on what the client says, whatever it is: a tunnel, or with RFC
    /// 8441 another protocol, such as WebSocket.
    pub(super) fn is_tunnel(&self) -> bool {
        let is_agreed = self.http_status().is_some_and(|status| (200..300).contains(&status));
        is_agreed && self.fields.method.as_deref() == Some("CONNECT")
    }

    pub(super) fn way(&mut self, side: Side) -> &mut Way {
        match side {
            Side::Client => &mut self.request,
            Side::Server => &mut self.response,
        }
    }

    /// A header block of the response, which begins it unless it began before.
    pub(super) fn hear(&mut self, fields: &Fields, answer: Answer, size: u64, ends: bool) {
        if fields.status.is_some_and(|status| status < 200) {
            return;
        }
        self.fields.is_partial |= fields.is_partial;
        self.fields.grpc_status = fields.grpc_status.or(self.fields.grpc_status);
        let begins = match &self.answer {
            None => fields.status.is_some() || !self.response.has_gap,
            // The one before was an interim one: only trailers may follow, and they end.
            Some(before) if before.status.is_none() && !before.is_final => {
                let begins = fields.status.is_some() || !ends;
                self.response.has_gap |= !begins;
                begins
            }
            Some(_) => false,
        };
        if begins {
            self.answer = Some(answer);
            self.response.bytes = 0;
            self.response.has_gap = false;
            self.fields.is_grpc = self.fields.is_grpc.or(fields.is_grpc);
            if fields.is_grpc == Some(false) {
                self.response.messages = None;
            }
        }
        self.response.bytes += size;
    }

    /// Whether nothing more is to be expected that could change what is told of it.
    pub(super) fn is_over(&self) -> bool {
        let by_server = self.reset.is_some_and(|reset| reset.by == Side::Server);
        (self.response.is_done || by_server) && (self.request.is_done || self.request.has_gap)
    }

    /// Whether waiting for more of it is the least promising.
    pub(super) fn may_be_over(&self) -> bool {
        self.response.is_done
            || self.response.has_gap
            || self.request.has_gap
            || self.reset.is_some()
    }

    /// How it ended, where both sides have had their say.
    pub(super) fn outcome(&self) -> Outcome {
        let has_gap = self.request.has_gap || self.response.has_gap;
        match self.reset {
            _ if has_gap => Outcome::Partial,
            // It crossed the end of the response.
            Some(reset) if self.response.is_done && self.ended_ns <= reset.at_ns => {
                Outcome::Complete
            }
            Some(_) => Outcome::Reset,
            None => Outcome::Complete,
        }
    }

    /// What the end of the connection makes of it; `None` where nobody can say.
    pub(super) fn outcome_at_close(&self, reason: CloseReason) -> Option<Outcome> {
        if self.reset.is_some() || self.response.is_done {
            return Some(self.outcome());
        }
        match (&self.answer, self.request.has_gap || self.response.has_gap) {
            (Some(_), true) => Some(Outcome::Partial),
            (None, true) => None,
            (Some(_), false) => Some(Outcome::Reset),
            (None, false) if reason == CloseReason::Reset => Some(Outcome::Reset),
            (None, false) => Some(Outcome::NoResponse),
        }
    }

    /// Hands on what is known.
    pub(super) fn report(self, outcome: Outcome, context: &mut Context<'_>) {
        let answer = self.answer.as_ref();
        let (method, target, route) = self.names();
        // Where parts were not seen, the size is not known either.
        let size = |way: &Way| if way.has_gap { 0 } else { way.bytes };
        let reset_ns = self.reset.map_or(0, |reset| reset.at_ns);
        let ended_ns = match outcome {
            Outcome::Reset => self.ended_ns.max(reset_ns),
            _ => self.ended_ns,
        };
        context.tell(Told {
            request_position: self.position,
            response_position: answer.map(|answer| answer.position),
            started_ns: self.started_ns,
            response_ns: answer.map(|answer| answer.started_ns),
            ended_ns: ended_ns.max(self.started_ns),
            client_pid: self.pid,
            server_pid: answer.map_or(self.pid, |answer| answer.pid),
            message: Message {
                protocol: if self.is_grpc() { Protocol::Grpc } else { Protocol::Http2 },
                method,
                target,
                route,
                status: self.status(),
                error: self.is_failure(outcome) || outcome.is_error(),
                outcome,
                request_bytes: size(&self.request),
                response_bytes: size(&self.response),
                attributes: self.attributes(outcome),
            },
        });
    }

    fn is_grpc(&self) -> bool {
        self.fields.is_grpc == Some(true)
    }

    fn path(&self) -> &str {
        self.fields.target.as_ref().map_or("", |target| target.path.as_str())
    }

    fn http_status(&self) -> Option<u16> {
        self.answer.as_ref().and_then(|answer| answer.status)
    }

    /// Method, target and route.
    fn names(&self) -> (CompactString, CompactString, CompactString) {
        if self.is_grpc() {
            let (service, method) = grpc::service_and_method(self.path());
            return (method.into(), service.into(), service.into());
        }
        let method = self.fields.method.clone().unwrap_or_default();
        match (&self.fields.target, &self.fields.host) {
            (Some(target), _) => (method, target.shown.clone(), target.route.clone()),
            // A tunnel has no path (RFC 9113 §8.5).
            (None, Some(host)) if method == "CONNECT" => (method, host.clone(), host.clone()),
            (None, _) => (method, CompactString::default(), CompactString::default()),
        }
    }

    fn status(&self) -> CompactString {
        let status = if self.is_grpc() { self.fields.grpc_status } else { self.http_status() };
        status.map_or_else(CompactString::default, |status| format_compact!("{status}"))
    }

    fn is_failure(&self, outcome: Outcome) -> bool {
        let is_http_failure = self.http_status().is_some_and(|status| status >= 500);
        if !self.is_grpc() {
            return is_http_failure;
        }
        match self.fields.grpc_status {
            Some(status) => grpc::is_failure(status),
            // A call that ends without a status has failed, unless the status was only not seen.
            None => {
                let has_none = outcome == Outcome::Complete && !self.fields.is_partial;
                is_http_failure || has_none && self.http_status() == Some(200)
            }
        }
    }

    /// OpenTelemetry semantic conventions where they have a word for it.
    fn attributes(&self, outcome: Outcome) -> Attributes {
        let mut attributes = Attributes::new();
        if self.is_grpc() {
            self.grpc_attributes(&mut attributes);
        } else {
            if let Some(method) = &self.fields.method {
                attributes.push(("http.request.method", method.clone()));
            }
            if !self.path().is_empty() {
                attributes.push(("url.path", self.path().into()));
            }
        }
        if let Some(host) = self.fields.host.as_ref().filter(|host| !host.is_empty()) {
            attributes.push(("server.address", host.clone()));
        }
        if let Some(reset) = self.reset.filter(|_| outcome == Outcome::Reset) {
            attributes.push(("error.type", CompactString::const_new(reset.code)));
        }
        attributes
    }

    fn grpc_attributes(&self, attributes: &mut Attributes) {
        if let Some(name) = self.path().strip_prefix('/') {
            attributes.push(("rpc.method", name.into()));
        }
        if let Some(status) = self.fields.grpc_status {
            attributes.push(("rpc.response.status_code", grpc::status_name(status)));
        }
        if let Some(status) = self.http_status().filter(|status| *status != 200) {
            attributes.push(("http.response.status_code", format_compact!("{status}")));
        }
        for (name, way) in
            [("alaz.request.messages", &self.request), ("alaz.response.messages", &self.response)]
        {
            let count = way.messages.as_ref().filter(|_| way.is_done && !way.has_gap);
            if let Some(count) = count.and_then(Messages::count) {
                attributes.push((name, format_compact!("{count}")));
            }
        }
    }
}

/// RFC 9113 §7.
pub(super) fn error_name(code: u32) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    NAMES.get(code as usize).copied().unwrap_or("UNKNOWN")
}
