//! One trace over all topics: W3C `traceparent` read from a consumed record and written into a produced one.

use bytes::Bytes;
use opentelemetry::{
    Context,
    propagation::{Extractor, Injector, TextMapPropagator},
    trace::TraceContextExt as _,
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use schemas::{
    Header,
    envelope::{self, Headers},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// Target of spans that only traces need: where none are sent they are not made.
pub const TARGET: &str = "trustcard_traces";

struct Read<'a, H: ?Sized>(&'a H);

impl<H: Headers + ?Sized> Extractor for Read<'_, H> {
    fn get(&self, key: &str) -> Option<&str> {
        envelope::text(self.0, key)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Written(Option<Header>);

impl Injector for Written {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = Some(header(value.into()));
        }
    }
}

/// What names the trace of a record.
#[must_use]
pub fn traceparent(headers: &(impl Headers + ?Sized)) -> Option<&[u8]> {
    headers.value(TRACEPARENT)
}

/// The header that says so.
#[must_use]
pub fn header(traceparent: Bytes) -> Header {
    Header::new(TRACEPARENT, traceparent)
}

/// The trace a record belongs to; an empty context when it names none.
#[must_use]
pub fn extract(headers: &(impl Headers + ?Sized)) -> Context {
    TraceContextPropagator::new().extract(&Read(headers))
}

/// Makes `span` a child of the trace that `context` names.
pub fn continue_trace(span: &Span, context: Context) {
    if let Err(error) = span.set_parent(context) {
        tracing::debug!(%error, "the span joins no trace");
    }
}

/// Records the trace of `span` in its field `trace_id`, which must have been declared, so that lines of the log within it carry
/// it.
pub fn name_trace(span: &Span) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let current = context.span();
    let trace = current.span_context();
    if trace.is_valid() {
        span.record("trace_id", tracing::field::display(trace.trace_id()));
    }
}

/// The header that names the trace of `span`; none when tracing is off.
#[must_use]
pub fn header_of(span: &Span) -> Option<Header> {
    let mut written = Written(None);
    TraceContextPropagator::new().inject_context(&span.context(), &mut written);
    written.0
}

/// Writes a trace into headers that have none yet.
pub fn join(trace: Option<Header>, headers: &mut Vec<Header>) {
    if traceparent(headers).is_none() {
        headers.extend(trace);
    }
}
