//! Media from origins that drip, never end, or lie about their length.

use std::{io::Cursor, sync::Arc, time::Duration};

use image::{DynamicImage, ImageFormat, RgbImage};
use outbound::SystemLookup;
use schemas::{Reason, events::scraped::MediaKind};
use trustcard_scrape::{
    ScrapeConfig,
    config::MediaConfig,
    media::{Download, Downloader},
    metrics::Metrics,
};
use url::Url;

use crate::{
    addresses::client,
    origin::{Origin, Step, moved, ok, sized, status, unsized_head},
};

pub fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(RgbImage::from_pixel(64, 48, image::Rgb([90, 120, 30])))
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg)
        .unwrap();
    bytes
}

/// A JPEG followed by zeros, so many bytes in all.
fn padded(length: usize) -> Vec<u8> {
    let mut bytes = jpeg();
    bytes.resize(length, 0);
    bytes
}

fn downloader(media: MediaConfig) -> (Downloader, prometheus::Registry) {
    let mut config = ScrapeConfig {
        media,
        ..ScrapeConfig::default()
    };
    config.network.allow_loopback = true;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let http = client(true, Arc::new(SystemLookup));
    (Downloader::new(&config, http, metrics).unwrap(), registry)
}

async fn fetch(origin: &Origin, media: MediaConfig) -> Result<Download, Reason> {
    let url = Url::parse(&origin.url("/x")).unwrap();
    downloader(media).0.fetch(&url, MediaKind::Image).await
}

fn cap(bytes: u64) -> MediaConfig {
    MediaConfig {
        max_image_bytes: bytes,
        ..MediaConfig::default()
    }
}

fn deadline(timeout_ms: u64) -> MediaConfig {
    MediaConfig {
        timeout_ms,
        ..MediaConfig::default()
    }
}

#[tokio::test]
async fn a_picture_arrives_whole_with_its_type() {
    let bytes = jpeg();
    let origin = {
        let bytes = bytes.clone();
        Origin::start(move |_| ok(&bytes)).await
    };
    let download = fetch(&origin, MediaConfig::default()).await.unwrap();
    assert_eq!(download.bytes, bytes);
    assert_eq!(download.content_type, "image/jpeg");
}

#[tokio::test]
async fn the_size_cap_is_exact_with_and_without_a_length() {
    const CAP: usize = 100_000;
    for (length, fits) in [
        (CAP - 1, true),
        (CAP, true),
        (CAP + 1, false),
        (CAP * 10, false),
    ] {
        let with_length = Origin::start(move |_| ok(&padded(length))).await;
        let without =
            Origin::start(move |_| vec![unsized_head(), Step::Send(padded(length))]).await;
        for origin in [with_length, without] {
            match fetch(&origin, cap(CAP as u64)).await {
                Ok(download) => assert!(fits && download.bytes.len() == length, "{length}"),
                Err(reason) => assert!(
                    !fits && reason == Reason::MediaTooLarge,
                    "{length}: {reason}"
                ),
            }
            assert_eq!(origin.connections(), 1, "too large is not tried again");
        }
    }
}

#[tokio::test]
async fn a_length_over_the_cap_is_refused_before_the_body() {
    let origin = Origin::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n";
        vec![
            Step::Send(head.into()),
            Step::Drip(vec![0], Duration::from_secs(3600)),
        ]
    })
    .await;
    assert_eq!(
        fetch(&origin, cap(100_000)).await.unwrap_err(),
        Reason::MediaTooLarge
    );
}

#[tokio::test]
async fn a_length_that_is_not_kept_is_an_incomplete_file_and_tried_once_more() {
    let origin = Origin::start(|_| sized(jpeg().len() + 1, &jpeg())).await;
    let refused = fetch(&origin, MediaConfig::default()).await.unwrap_err();
    assert_eq!(refused, Reason::MediaUndecodable);
    assert_eq!(origin.connections(), 2);
    // More than was promised is not read: the file ends where the length says, here within its header.
    let origin = Origin::start(|_| sized(10, &jpeg())).await;
    let refused = fetch(&origin, MediaConfig::default()).await.unwrap_err();
    assert_eq!(refused, Reason::MediaUndecodable);
}

#[tokio::test]
async fn contradicting_lengths_are_refused() {
    let origin = Origin::start(|_| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: {}\r\n\r\n",
            jpeg().len()
        );
        vec![Step::Send([head.as_bytes(), &jpeg()].concat())]
    })
    .await;
    assert_eq!(
        fetch(&origin, MediaConfig::default()).await.unwrap_err(),
        Reason::MediaUnavailable
    );
}

#[tokio::test]
async fn endless_bodies_end_at_the_cap_chunked_or_not() {
    let plain = Origin::start(|_| {
        vec![
            unsized_head(),
            Step::Send(jpeg()),
            Step::Repeat(vec![0; 8192]),
        ]
    })
    .await;
    let chunked = Origin::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        vec![
            Step::Send(head.into()),
            Step::Repeat(b"4\r\n\xFF\xD8\xFF\xE0\r\n".to_vec()),
        ]
    })
    .await;
    for origin in [plain, chunked] {
        assert_eq!(
            fetch(&origin, cap(100_000)).await.unwrap_err(),
            Reason::MediaTooLarge
        );
    }
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let origin = Origin::start(|_| {
        vec![
            Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec()),
            Step::Repeat(b"X-Filler: yes\r\n".to_vec()),
        ]
    })
    .await;
    assert_eq!(
        fetch(&origin, deadline(20_000)).await.unwrap_err(),
        Reason::MediaUnavailable
    );
}

#[tokio::test]
async fn drips_are_cut_at_the_deadline_wherever_they_begin() {
    let wait = Duration::from_millis(20);
    let body = Origin::start(move |_| vec![unsized_head(), Step::Drip(vec![0xFF], wait)]).await;
    let header = Origin::start(move |_| {
        vec![
            Step::Send(b"HTTP/1.1 200 OK\r\nX: ".to_vec()),
            Step::Drip(vec![b'x'], wait),
        ]
    })
    .await;
    let silent = Origin::start(|_| vec![Step::Drip(vec![], Duration::from_secs(3600))]).await;
    for origin in [body, header, silent] {
        let start = tokio::time::Instant::now();
        assert_eq!(
            fetch(&origin, deadline(300)).await.unwrap_err(),
            Reason::MediaTimeout
        );
        assert!(start.elapsed() >= Duration::from_millis(300));
        assert_eq!(
            origin.connections(),
            1,
            "a deadline leaves no time for another attempt"
        );
    }
}

#[tokio::test]
async fn the_deadline_covers_all_redirects_together() {
    let origin = Origin::start(|path| match path {
        "/x" => moved("/y"),
        _ => vec![Step::Drip(vec![], Duration::from_secs(3600))],
    })
    .await;
    assert_eq!(
        fetch(&origin, deadline(300)).await.unwrap_err(),
        Reason::MediaTimeout
    );
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn statuses_have_their_reasons_and_passing_ones_a_second_attempt() {
    for (code, reason, attempts) in [
        (403, Reason::MediaExpired, 1),
        (404, Reason::MediaUnavailable, 1),
        (410, Reason::MediaUnavailable, 1),
        (204, Reason::MediaUnavailable, 1),
        (206, Reason::MediaUnavailable, 1),
        (429, Reason::MediaUnavailable, 2),
        (500, Reason::MediaUnavailable, 2),
        (503, Reason::MediaUnavailable, 2),
    ] {
        let origin = Origin::start(move |_| status(code)).await;
        assert_eq!(
            fetch(&origin, MediaConfig::default()).await.unwrap_err(),
            reason,
            "{code}"
        );
        assert_eq!(origin.connections(), attempts, "{code}");
    }
}

#[tokio::test]
async fn what_is_no_picture_is_refused_whatever_it_is_called() {
    let origin = Origin::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n";
        vec![
            Step::Send(head.into()),
            Step::Send(b"<!DOCTYPE html><title>Not a picture</title>".to_vec()),
        ]
    })
    .await;
    assert_eq!(
        fetch(&origin, MediaConfig::default()).await.unwrap_err(),
        Reason::MediaUnsupported
    );
}

#[tokio::test]
async fn a_forbidden_address_gets_no_connection_and_is_counted() {
    let (downloader, registry) = downloader(MediaConfig::default());
    // The own machine first: should the filter ever break, the test ends here and no foreign address is asked.
    for url in [
        "http://0.0.0.0/",
        "http://169.254.169.254/latest/",
        "https://elsewhere.example/x.jpg",
    ] {
        let refused = downloader
            .fetch(&Url::parse(url).unwrap(), MediaKind::Image)
            .await;
        assert_eq!(refused.unwrap_err(), Reason::AddressNotAllowed, "{url}");
    }
    let text = prometheus::TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    assert!(
        text.contains("trustcard_media_files_total{outcome=\"address_not_allowed\"} 3"),
        "{text}"
    );
}

/// The memory of all downloads holds one picture at a time here: the second begins when the first was dropped.
#[tokio::test]
async fn downloads_wait_for_memory() {
    let origin = Origin::start(|_| ok(&jpeg())).await;
    let (downloader, _) = downloader(MediaConfig {
        max_image_bytes: 1_000_000,
        max_video_bytes: 1_000_000,
        memory_bytes: 1_000_000,
        ..MediaConfig::default()
    });
    let url = Url::parse(&origin.url("/x")).unwrap();
    let first = downloader.fetch(&url, MediaKind::Image).await.unwrap();
    let mut second = std::pin::pin!(downloader.fetch(&url, MediaKind::Image));
    assert!(futures::poll!(&mut second).is_pending());
    tokio::task::yield_now().await;
    assert!(futures::poll!(&mut second).is_pending());
    assert_eq!(origin.connections(), 1);
    drop(first);
    assert!(second.await.is_ok());
}
