//! Bodies that may be compressed: undone as they arrive, piece by piece, with the limit on what comes out of them. So a body is
//! in memory once, and one that is made to burst costs no more than the largest that is allowed.

use std::{io, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures::StreamExt;
use io::Write;
use zstd::stream::{
    raw::{self, DParameter},
    zio::Writer,
};

use super::declared_length;
use crate::error::ApiError;

/// Largest window of zstd that is kept for a body, as a power of two: 8 MiB, as RFC 8878 asks of every decoder.
const WINDOW_LOG: u32 = 23;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Identity,
    /// gzip, of one member or several.
    Gzip,
    /// zstd, of one frame or several.
    Zstd,
}

impl Coding {
    /// That of a request.
    ///
    /// # Errors
    /// 415 for one that is not read here, and for several at once.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut all = headers.get_all(header::CONTENT_ENCODING).iter();
        let coding = match all.next().map(|value| value.to_str()) {
            None => Some(Self::Identity),
            Some(Ok(name)) => match name.trim().to_ascii_lowercase().as_str() {
                "identity" => Some(Self::Identity),
                "gzip" => Some(Self::Gzip),
                "zstd" => Some(Self::Zstd),
                _ => None,
            },
            Some(Err(_)) => None,
        };
        coding.filter(|_| all.next().is_none()).ok_or_else(|| {
            ApiError::unsupported(
                "Send the body uncompressed, or as Content-Encoding gzip or zstd.",
            )
        })
    }
}

/// Reads the whole body of a request and undoes its coding.
///
/// # Errors
/// 413 beyond `limit` bytes, as sent or as they come out; 422 when it is not compressed as it says; 400 when it does not arrive
/// within `deadline`.
pub async fn read(
    request: Request,
    coding: Coding,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, ApiError> {
    let declared = declared_length(request.headers());
    if declared > limit {
        return Err(ApiError::too_large(limit, "bytes"));
    }
    tokio::time::timeout(deadline, collect(request, coding, declared, limit))
        .await
        .unwrap_or_else(|_| Err(ApiError::body_incomplete("did not arrive in time")))
}

async fn collect(
    request: Request,
    coding: Coding,
    declared: usize,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let mut decoder = Decoder::new(coding, Bounded::new(declared, limit))?;
    let mut arrived = 0;
    let mut chunks = request.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| ApiError::body_incomplete("ended too early"))?;
        arrived += chunk.len();
        if arrived > limit {
            return Err(ApiError::too_large(limit, "bytes"));
        }
        decoder.take(&chunk)?;
    }
    Ok(decoder.finish()?.into())
}

/// What has come out, and how much may.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Bounded {
    fn new(expected: usize, limit: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(expected),
            limit,
            full: false,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            self.full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Decoder {
    Identity(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
    Zstd(Box<Writer<Bounded, raw::Decoder<'static>>>),
}

impl Decoder {
    fn new(coding: Coding, out: Bounded) -> Result<Self, ApiError> {
        let broken = |error: io::Error| {
            tracing::error!(%error, "no decoder of zstd can be made");
            ApiError::internal()
        };
        Ok(match coding {
            Coding::Identity => Self::Identity(out),
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(out))),
            Coding::Zstd => {
                let mut decoder = raw::Decoder::new().map_err(broken)?;
                let window = DParameter::WindowLogMax(WINDOW_LOG);
                decoder.set_parameter(window).map_err(broken)?;
                Self::Zstd(Box::new(Writer::new(out, decoder)))
            }
        })
    }

    fn take(&mut self, chunk: &[u8]) -> Result<(), ApiError> {
        let taken = match self {
            Self::Identity(out) => out.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
            Self::Zstd(decoder) => decoder.write_all(chunk),
        };
        taken.map_err(|_| self.refusal())
    }

    /// What came out, when all of it has.
    fn finish(mut self) -> Result<Vec<u8>, ApiError> {
        let ended = match &mut self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        match (ended, self) {
            (Ok(()), Self::Identity(out)) => Ok(out.bytes),
            (Ok(()), Self::Gzip(decoder)) => {
                let out = decoder.finish().map_err(|_| malformed())?;
                Ok(out.bytes)
            }
            (Ok(()), Self::Zstd(decoder)) => Ok(decoder.into_inner().0.bytes),
            (Err(_), this) => Err(this.refusal()),
        }
    }

    /// Why nothing more is taken.
    fn refusal(&self) -> ApiError {
        let out = match self {
            Self::Identity(out) => out,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.writer(),
        };
        match out.full {
            true => ApiError::too_large(out.limit, "bytes"),
            false => malformed(),
        }
    }
}

fn malformed() -> ApiError {
    ApiError::invalid_field(
        "body",
        serde_json::Value::Null,
        "is not compressed as Content-Encoding says",
    )
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::error::Code;

    const LIMIT: usize = 100_000;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    /// What comes out of a body that arrives `step` bytes at a time.
    fn decode(coding: Coding, body: &[u8], step: usize) -> Result<Vec<u8>, ApiError> {
        let mut decoder = Decoder::new(coding, Bounded::new(0, LIMIT))?;
        for chunk in body.chunks(step) {
            decoder.take(chunk)?;
        }
        decoder.finish()
    }

    #[test]
    fn what_was_compressed_comes_out_however_it_arrives() {
        let text: Vec<u8> = (0..90_000_u32).map(|n| (n % 251) as u8).collect();
        let two = [gzip(&text[..50_000]), gzip(&text[50_000..])].concat();
        let frames = [zstd(&text[..50_000]), zstd(&text[50_000..])].concat();
        for (coding, body) in [
            (Coding::Identity, text.clone()),
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, two),
            (Coding::Zstd, zstd(&text)),
            (Coding::Zstd, frames),
        ] {
            for step in [1, 1000, usize::MAX] {
                let out = decode(coding, &body, step).unwrap();
                assert!(out == text, "{coding:?} by {step}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![0; 50_000_000];
        for (coding, body) in [(Coding::Gzip, gzip(&bomb)), (Coding::Zstd, zstd(&bomb))] {
            assert!(body.len() < LIMIT, "{}", body.len());
            let error = decode(coding, &body, 4096).unwrap_err();
            assert_eq!(error.code(), Code::PayloadTooLarge, "{coding:?}");
        }
        assert_eq!(
            decode(Coding::Gzip, &gzip(&bomb[..LIMIT]), 4096)
                .unwrap()
                .len(),
            LIMIT
        );
    }

    #[test]
    fn what_is_no_such_thing_is_malformed() {
        let whole = gzip(b"whole");
        let frame = zstd(b"whole");
        let mut wrong_sum = whole.clone();
        let last = wrong_sum.len() - 5;
        wrong_sum[last] ^= 1;
        for (coding, body) in [
            (Coding::Gzip, b"text".to_vec()),
            (Coding::Gzip, whole[..whole.len() - 4].to_vec()),
            (Coding::Gzip, wrong_sum),
            (Coding::Zstd, b"text and more of it".to_vec()),
            (Coding::Zstd, frame[..frame.len() - 4].to_vec()),
        ] {
            let error = decode(coding, &body, 3).unwrap_err();
            assert_eq!(error.code(), Code::InvalidInput, "{coding:?} {body:?}");
        }
    }

    #[test]
    fn a_window_beyond_eight_mebibytes_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(&[1; 1000]).unwrap();
        let body = encoder.finish().unwrap();
        assert!(decode(Coding::Zstd, &body, usize::MAX).is_err());
    }
}
