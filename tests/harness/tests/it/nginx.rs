//! infra/nginx/trustcard.conf before real APIs: who the client is, what is not public, what nginx itself refuses, and a restart that
//! nobody notices.

use std::{net::IpAddr, path::Path, process::Command, time::Duration};

use reqwest::{Client, Response, StatusCode, Version};
use serde_json::{Value, json};
use tempfile::TempDir;
use trustcard_tests::{
    process::Up,
    servers::{free_ports, root, succeed},
    wait::until,
};

const NAME: &str = "trustcard.example.com";

/// nginx before two APIs. Dropped, it ends.
struct Nginx {
    folder: TempDir,
    tls: u16,
}

impl Nginx {
    async fn before(apis: [u16; 2]) -> Self {
        let nginx = Self {
            folder: tempfile::tempdir().unwrap(),
            tls: free_ports(2),
        };
        let mut command = nginx.script("start");
        let ports = [nginx.tls + 1, nginx.tls, apis[0], apis[1]];
        command.args(ports.map(|port| port.to_string()));
        succeed(command).await;
        nginx
    }

    fn script(&self, verb: &str) -> Command {
        let mut command = Command::new(root().join("infra/dev/nginx.sh"));
        command.arg(verb).arg(self.folder.path());
        command
    }

    /// A client at one of this machine's addresses, which asks by the public name.
    fn client(&self, from: &str) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = std::fs::read(self.folder.path().join("tls/ca.pem")).unwrap();
        Client::builder()
            .no_proxy()
            .tls_certs_only([reqwest::Certificate::from_pem(&authority).unwrap()])
            .resolve(NAME, ([127, 0, 0, 1], self.tls).into())
            .local_address(from.parse::<IpAddr>().unwrap())
            .build()
            .unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.tls)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.script("stop").status();
    }
}

async fn start_api(data: &Path, port: u16) -> Up {
    let port = port.to_string();
    let variables = [
        ("API_PORT", port.as_str()),
        ("RATE_LIMIT_ENABLED", "true"),
        ("TRUSTCARD__API__TRUSTED_PROXIES", "127.0.0.1/32"),
        ("TRUSTCARD__API__PROXY_HEADERS", "x-forwarded-for"),
    ];
    let up = Up::start(data, &["--sample-site", "--no-ml"], &variables).await;
    until("the instance to be ready", async || {
        (up.get("/health/ready").await.0 == 200).then_some(())
    })
    .await;
    up
}

fn left(response: &Response) -> u32 {
    let header = &response.headers()["x-ratelimit-remaining-minute"];
    header.to_str().unwrap().parse().unwrap()
}

/// The API's shape of an error, whoever wrote it.
async fn error(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status().as_u16(), status);
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"], code, "{body}");
    assert_eq!(body["status_code"], status, "{body}");
    assert_eq!(body["request_id"], id.as_str(), "{body}");
    assert!(
        body["message"].is_string() && body["details"].is_object(),
        "{body}"
    );
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_apart_by_their_own_address_and_monitoring_is_not_public() {
    let data = tempfile::tempdir().unwrap();
    let port = free_ports(2);
    // Nobody listens at the second port: clients that belong there are passed on.
    let _api = start_api(data.path(), port).await;
    let nginx = Nginx::before([port, port + 1]).await;
    let public = nginx.client("127.0.0.2");
    let get = async |client: &Client, path: &str| client.get(nginx.url(path)).send().await.unwrap();

    let first = get(&public, "/api/results").await;
    assert_eq!(
        (first.status(), first.version()),
        (StatusCode::OK, Version::HTTP_2)
    );
    assert_eq!(first.headers().get_all("x-frame-options").iter().count(), 1);
    let lying = public
        .get(nginx.url("/api/results"))
        .header("x-forwarded-for", "198.51.100.7")
        .header("x-real-ip", "198.51.100.7")
        .header("forwarded", "for=198.51.100.7");
    assert_eq!(
        left(&lying.send().await.unwrap()),
        left(&first) - 1,
        "counted as the same client"
    );
    let other = get(&nginx.client("127.0.0.3"), "/api/results").await;
    assert_eq!(
        left(&other),
        left(&first),
        "another client has a window of its own"
    );

    for path in [
        "/metrics",
        "/status",
        "/health",
        "/health/live",
        "/health/ready",
    ] {
        error(get(&public, path).await, 404, "RESOURCE_NOT_FOUND").await;
        assert_eq!(
            get(&nginx.client("127.0.0.1"), path).await.status(),
            200,
            "{path}"
        );
    }

    let post = async |path: &str, bytes: usize| {
        let body = json!({ "url": "x".repeat(bytes) }).to_string();
        let request = public
            .post(nginx.url(path))
            .header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    };
    // Below nginx's limit and above the API's, which has more to say; then above both.
    let told = error(
        post("/api/analyze", 100_000).await,
        413,
        "PAYLOAD_TOO_LARGE",
    )
    .await;
    let refused = error(
        post("/api/analyze", 200_000).await,
        413,
        "PAYLOAD_TOO_LARGE",
    )
    .await;
    assert_ne!(told["message"], refused["message"]);
    assert_eq!(post("/api/analyze/batch", 200_000).await.status(), 422);

    let stranger = Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap();
    let nameless = stranger
        .get(format!("https://127.0.0.1:{}/", nginx.tls))
        .send()
        .await;
    assert!(
        nameless.is_err(),
        "a name that is not ours gets no certificate"
    );
    let flood = public.clone();
    let url = nginx.url("/nothing/here");
    let asked = (0..400).map(|_| flood.get(&url).send());
    let answers = futures::future::join_all(asked).await;
    let by_nginx = answers.into_iter().map(Result::unwrap).find(|answer| {
        answer.status() == 429
            && answer
                .headers()
                .get("x-ratelimit-remaining-minute")
                .is_none()
    });
    let by_nginx = by_nginx.expect("400 at once are too many");
    assert_eq!(by_nginx.headers()["retry-after"], "1");
    error(by_nginx, 429, "RATE_LIMIT_EXCEEDED").await;
}

/// Asks for what is refused; once more where nginx closed an idle connection, as a worker does when it goes, before the request was on
/// it: the client says then that it sent nothing (RFC 9113, section 6.8).
async fn ask(client: &Client, url: &str) -> Response {
    let body = json!({ "url": "no link" });
    let first = client.post(url).json(&body).send().await;
    let Err(error) = first else {
        return first.unwrap();
    };
    let told = format!("{error:?}");
    assert!(told.contains("Canceled"), "{told}");
    client.post(url).json(&body).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_taken_out_and_restarted_costs_no_request() {
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let ports = [free_ports(1), free_ports(1)];
    let mut apis = Vec::new();
    for (folder, port) in data.iter().zip(ports) {
        apis.push(start_api(folder.path(), port).await);
    }
    let nginx = Nginx::before(ports).await;
    let conf = nginx.folder.path().join("trustcard.conf");
    let whole = std::fs::read_to_string(&conf).unwrap();

    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let asking = {
        // Eight clients, each with an address and so an instance of its own.
        let clients: Vec<Client> = (2..10)
            .map(|n| nginx.client(&format!("127.0.0.{n}")))
            .collect();
        let url = nginx.url("/api/analyze");
        tokio::spawn(async move {
            let mut asked = 0_u32;
            while !*stopped.borrow_and_update() {
                for client in &clients {
                    let answer = ask(client, &url).await;
                    // Refused by the API, for what it holds or for how many came.
                    assert!([422, 429].contains(&answer.status().as_u16()), "{answer:?}");
                    assert!(
                        answer.headers().contains_key("x-ratelimit-limit-minute"),
                        "{answer:?}"
                    );
                    asked += 1;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            asked
        })
    };
    for (index, port) in ports.into_iter().enumerate() {
        let server = format!("127.0.0.1:{port}");
        std::fs::write(&conf, whole.replace(&server, &format!("{server} down"))).unwrap();
        succeed(nginx.script("reload")).await;
        let old = apis.remove(0);
        // Workers of before the reload have ended, so the instance has no connection of nginx left.
        old.signal("TERM").await;
        assert!(old.ended().await.success());
        apis.push(start_api(data[index].path(), port).await);
        std::fs::write(&conf, &whole).unwrap();
        succeed(nginx.script("reload")).await;
    }
    stop.send(true).unwrap();
    assert!(asking.await.unwrap() > 100);
}
