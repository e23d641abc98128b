//! What depends on the environment of the process runs in a process of its own: this test binary again, with one test chosen.

use std::{
    net::Ipv4Addr,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use outbound::SystemLookup;
use url::Url;

use crate::{
    addresses::{LIMITS, client, policy},
    origin::{Origin, ok},
};

const TARGET: &str = "TRUSTCARD_TEST_TARGET";

/// Runs one test of this binary with a cleared environment plus `variables`.
async fn run(test: &'static str, variables: Vec<(&'static str, String)>) -> Output {
    let run = move || {
        Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--ignored", "--nocapture"])
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxy_variables_are_ignored() {
    let origin = Origin::start(|_| ok(b"direct")).await;
    let proxy = Origin::trap(Ipv4Addr::LOCALHOST.into(), 0).await;
    let mut variables = vec![(TARGET, origin.url("/"))];
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        variables.push((name, proxy.url("")));
    }
    let child = run("child::child_gets_its_target", variables).await;
    assert!(child.status.success(), "{child:?}");
    assert_eq!((origin.connections(), proxy.connections()), (1, 0));
}

/// A machine without CA certificates: the demo works, over plain loopback, and nothing is trusted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_without_certificates_still_reaches_loopback() {
    let origin = Origin::start(|_| ok(b"direct")).await;
    let empty = tempfile::NamedTempFile::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let variables = vec![
        (TARGET, origin.url("/")),
        ("SSL_CERT_FILE", empty.path().display().to_string()),
        ("SSL_CERT_DIR", folder.path().display().to_string()),
    ];
    let child = run("child::child_gets_its_target", variables.clone()).await;
    assert!(child.status.success(), "{child:?}");
    assert_eq!(origin.connections(), 1);
    let child = run("child::child_needs_certificates", variables).await;
    assert!(child.status.success(), "{child:?}");
}

#[tokio::test]
#[ignore = "run by the tests above, with an environment of their own"]
async fn child_gets_its_target() {
    let url = Url::parse(&std::env::var(TARGET).unwrap()).unwrap();
    let client = client(true, Arc::new(SystemLookup));
    let answer = client.get(url, &policy(true), LIMITS).await.unwrap();
    assert_eq!(answer.body, "direct");
}

#[tokio::test]
#[ignore = "run by the tests above, with an environment of their own"]
async fn child_needs_certificates() {
    let network = trustcard_scrape::config::NetworkConfig::default();
    let error = outbound::HttpClient::new(&network.client(), Arc::new(SystemLookup)).unwrap_err();
    assert!(
        error.to_string().contains("install ca-certificates"),
        "{error}"
    );
}
