use std::net::SocketAddr;

use serde_json::Value;
use tokio::net::TcpStream;
use trustcard_sample_site::{Fault, Route, SampleSite, SiteConfig, SiteError};

use crate::client::{http, start};

#[tokio::test]
async fn the_upstream_can_be_down_throttled_or_retired_and_well_again() {
    let client = start().await;
    let embed = "/p/DTCtideline/embed/captioned/";
    let pk = client.item("DTCtideline").await["pk"]
        .as_str()
        .unwrap()
        .to_owned();

    client.site.set_fault(Fault::Down(503));
    assert_eq!(client.query("DTCtideline").await.status(), 503);
    assert_eq!(client.query("load1").await.status(), 503);
    assert_eq!(client.session(&pk, "good").await.status(), 503);
    assert_eq!(client.get(embed).await.status(), 503);
    assert_eq!(client.get("/").await.status(), 503);
    client.site.set_fault(Fault::Down(7));
    assert_eq!(client.get("/").await.status(), 500);

    client.site.set_fault(Fault::Throttle);
    for response in [
        client.query("load1").await,
        client.session(&pk, "good").await,
        client.get(embed).await,
    ] {
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
    }

    client.site.set_fault(Fault::Retired);
    let answer: Value = client.query("load1").await.json().await.unwrap();
    assert_eq!(
        (&answer["data"], &answer["errors"][0]["message"]),
        (&Value::Null, &"execution error".into())
    );
    assert_eq!(
        client
            .session(&pk, "good")
            .await
            .json::<Value>()
            .await
            .unwrap()
            .get("items"),
        None
    );
    assert!(
        !client
            .get(embed)
            .await
            .text()
            .await
            .unwrap()
            .contains("EmbeddedMediaImage")
    );
    assert_eq!(client.get("/").await.status(), 200);

    client.site.set_fault(Fault::None);
    assert_eq!(client.item("DTCtideline").await["code"], "DTCtideline");
}

#[tokio::test]
async fn a_hanging_upstream_answers_nobody_and_still_shuts_down() {
    let client = start().await;
    client.site.set_fault(Fault::Hang);
    let request = client.query_request("DTCtideline", crate::client::DOC_ID);
    let hanging = tokio::spawn(async move { request.send().await });
    while client.site.requests(Route::Query, "DTCtideline") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!hanging.is_finished());
    client.site.shutdown().await;
    // Cut off or told that the service ends, but not answered.
    assert!(
        hanging
            .await
            .unwrap()
            .map_or(true, |response| response.status() == 503)
    );
}

#[tokio::test]
async fn a_site_that_is_dropped_gives_its_port_back() {
    let client = start().await;
    let addr: SocketAddr = client
        .site
        .base_url()
        .strip_prefix("http://")
        .unwrap()
        .parse()
        .unwrap();
    client.get("/").await;
    let config = SiteConfig {
        addr,
        ..SiteConfig::default()
    };
    assert!(
        matches!(SampleSite::start(config.clone()).await, Err(SiteError::Bind(taken, _)) if taken == addr)
    );
    drop(client);
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let again = SampleSite::start(config).await.unwrap();
    assert_eq!(
        http().get(again.base_url()).send().await.unwrap().status(),
        200
    );
    again.shutdown().await;
}

#[tokio::test]
async fn other_machines_are_never_served() {
    let config = SiteConfig {
        addr: "0.0.0.0:0".parse().unwrap(),
        ..SiteConfig::default()
    };
    assert!(matches!(
        SampleSite::start(config).await,
        Err(SiteError::NotLoopback(_))
    ));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_key() {
    let client = start().await;
    client.query("DTCtideline").await;
    client.query("DTCtideline").await;
    client.query("DTCdeleted1").await;
    client.get("/p/DTCtideline/").await;
    client.get("/p/DTCtideline/embed/captioned/").await;
    client.session("2431981653214438425", "good").await;
    let site = &client.site;
    assert_eq!(site.requests(Route::Query, "DTCtideline"), 2);
    assert_eq!(site.requests(Route::Query, "DTCdeleted1"), 1);
    assert_eq!(site.total(Route::Query), 3);
    assert_eq!(site.requests(Route::Page, "DTCtideline"), 1);
    assert_eq!(site.requests(Route::Embed, "DTCtideline"), 1);
    assert_eq!(site.requests(Route::Session, "CHAIm2sHSQZ"), 1);
    assert_eq!(
        (
            site.requests(Route::Media, "coast.jpg"),
            site.total(Route::Media)
        ),
        (0, 0)
    );
}
