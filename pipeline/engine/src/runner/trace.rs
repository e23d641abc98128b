//! The trace a message belongs to, and how what comes of it stays part of it.

use bytes::Bytes;
use schemas::{Header, Record, envelope::Headers};
use tracing::Span;

use crate::{stage::Meta, telemetry::propagation};

/// The trace of one message.
pub(super) enum Trace {
    /// The message has a span of its own in it.
    Own(Span),
    /// Nobody looks at spans of this message: what comes of it says the same as it does.
    Passed(Header),
}

impl Trace {
    /// The trace that the headers of a message name. `alone`: no other message is worked on with it, so that the log may name
    /// it too. A span costs as much as reading and writing the message, so that of a message among others, which no line of
    /// the log is within, exists only where spans are sent.
    pub(super) fn of(
        stage: &'static str,
        meta: &Meta,
        headers: &impl Headers,
        alone: bool,
    ) -> Self {
        let named = propagation::traceparent(headers);
        let span = match named {
            Some(_) if !alone => tracing::info_span!(
                target: propagation::TARGET, "message", otel.name = stage, stage, topic = &*meta.topic,
                partition = meta.partition, offset = meta.offset, event_id = &*meta.event_id,
            ),
            _ => tracing::error_span!(
                "message",
                otel.name = stage,
                stage,
                topic = &*meta.topic,
                partition = meta.partition,
                offset = meta.offset,
                event_id = &*meta.event_id,
                trace_id = tracing::field::Empty,
            ),
        };
        match named {
            // Not a share of the input's memory, which would have to stay until the output is committed.
            Some(trace) if span.is_disabled() => {
                Self::Passed(propagation::header(Bytes::copy_from_slice(trace)))
            }
            _ => {
                if !span.is_disabled() {
                    propagation::continue_trace(&span, propagation::extract(headers));
                    if alone {
                        propagation::name_trace(&span);
                    }
                }
                Self::Own(span)
            }
        }
    }

    /// What the work on the message happens within.
    pub(super) fn span(&self) -> Span {
        match self {
            Self::Own(span) => span.clone(),
            Self::Passed(_) => Span::none(),
        }
    }

    /// Makes records that come of the message part of its trace.
    pub(super) fn go_on(self, records: &mut [Record]) {
        // Nearly always there is one, which takes the header as it is.
        let Some((last, others)) = records.split_last_mut() else {
            return;
        };
        let header = match self {
            Self::Own(span) if span.is_disabled() => None,
            Self::Own(span) => propagation::header_of(&span),
            Self::Passed(header) => Some(header),
        };
        for record in others {
            propagation::join(header.clone(), &mut record.headers);
        }
        propagation::join(header, &mut last.headers);
    }
}
