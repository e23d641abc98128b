//! Chromium, driven by its own protocol (DevTools) over a pipe: no driver program, no port, no library.
//!
//! A command is a JSON object with a number and a NUL behind it; its answer carries the number, everything else is an event.

use std::{collections::VecDeque, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// More than anything in a browser should take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at a page.
const AGAIN: Duration = Duration::from_millis(50);

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    /// The session of the page.
    session: Option<String>,
    commands: u64,
    events: VecDeque<Value>,
}

impl Browser {
    /// Starts one with a profile of its own.
    ///
    /// # Panics
    /// When Chromium is not there or does not answer.
    pub async fn start(profile: &Path) -> Self {
        // The protocol's pipes are the descriptors 3 and 4; a shell puts them there.
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "sh",
            ])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().expect("a shell");
        let to = process.stdin.take().expect("a pipe");
        let from = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut browser = Self {
            process,
            to,
            from,
            session: None,
            commands: 0,
            events: VecDeque::new(),
        };
        let page = json!({ "url": "about:blank" });
        let target = browser.call("Target.createTarget", page).await["targetId"].clone();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = browser.call("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Panics
    /// When it is refused, or not answered in time.
    pub async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.try_call(method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Like [`Browser::call`], for what may be refused: between two pages there is none.
    ///
    /// # Errors
    /// What the browser says.
    ///
    /// # Panics
    /// When it is not answered in time.
    pub async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.commands += 1;
        let id = self.commands;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        let mut text = command.to_string().into_bytes();
        text.push(0);
        self.to.write_all(&text).await.expect("a running browser");
        loop {
            let message = self.read().await;
            if message["id"] == id {
                return match &message["error"] {
                    Value::Null => Ok(message["result"].clone()),
                    error => Err(error.clone()),
                };
            }
            self.events.push_back(message);
        }
    }

    async fn read(&mut self) -> Value {
        let mut text = Vec::new();
        let read = timeout(PATIENCE, self.from.read_until(0, &mut text)).await;
        let length = read.expect("an answer in time").expect("a pipe");
        assert!(length > 0, "chromium ended: apt-get install chromium");
        text.pop();
        serde_json::from_slice(&text).expect("the protocol is JSON")
    }

    /// Opens an address and waits until it is loaded.
    ///
    /// # Panics
    /// When it can't be.
    pub async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
            .await;
    }

    /// What an expression, a promise too, comes to in the page. The page's policy does not bind it.
    ///
    /// # Panics
    /// When it throws.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({
            "expression": expression,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let answer = self.call("Runtime.evaluate", parameters).await;
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression:.200}: {thrown}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true, across pages.
    ///
    /// # Panics
    /// When it does not come true in time.
    pub async fn until(&mut self, expression: &str) {
        let looking = async {
            loop {
                let parameters = json!({ "expression": expression, "returnByValue": true });
                // Refused while one page goes and the next comes.
                let answer = self.try_call("Runtime.evaluate", parameters).await;
                if answer.is_ok_and(|answer| answer["result"]["value"] == true) {
                    return;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let came = timeout(PATIENCE, looking).await;
        assert!(came.is_ok(), "this did not come true: {expression}");
    }

    /// Waits until the page's address holds this; the address.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until_at(&mut self, part: &str) -> String {
        let looking = async {
            loop {
                // Refused while one page goes and the next comes.
                let asked = self.try_call("Page.getNavigationHistory", json!({})).await;
                let history = asked.unwrap_or_default();
                let current = history["currentIndex"].as_u64().unwrap_or_default();
                let entry = usize::try_from(current)
                    .ok()
                    .map(|at| &history["entries"][at]);
                let url = entry.and_then(|entry| entry["url"].as_str());
                if let Some(url) = url.filter(|url| url.contains(part)) {
                    return url.to_owned();
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let found = timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("the page never was at {part}"))
    }

    /// The page as it is, without a script of it or of ours; nothing while one page goes and the next comes.
    pub async fn source(&mut self) -> String {
        let asked = self.try_call("DOM.getDocument", json!({})).await;
        let root = json!({ "nodeId": asked.unwrap_or_default()["root"]["nodeId"] });
        let html = self.try_call("DOM.getOuterHTML", root).await;
        let html = html.unwrap_or_default();
        html["outerHTML"].as_str().unwrap_or_default().to_owned()
    }

    /// Makes the page as wide as this, in pixels, and light or dark.
    pub async fn look(&mut self, width: u32, scheme: &str) {
        let size =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": scheme }))
            .await;
    }

    /// A PNG of the whole page, in base64.
    ///
    /// # Panics
    /// When it can't be taken.
    pub async fn screenshot(&mut self) -> String {
        let parameters = json!({ "captureBeyondViewport": true });
        let answer = self.call("Page.captureScreenshot", parameters).await;
        answer["data"].as_str().expect("a picture").to_owned()
    }

    /// A PDF of the page, in base64.
    ///
    /// # Panics
    /// When it can't be made.
    pub async fn pdf(&mut self) -> String {
        let parameters = json!({ "printBackground": true, "preferCSSPageSize": true });
        let answer = self.call("Page.printToPDF", parameters).await;
        answer["data"].as_str().expect("a PDF").to_owned()
    }

    /// Everything the page logged or threw, and what its policy kept from working, since the last time this was asked.
    pub async fn complaints(&mut self) -> Vec<String> {
        // Whatever was told before this is answered has arrived.
        self.evaluate("0").await;
        let events = self.events.drain(..);
        let told = events.filter_map(|event| {
            let told = match event["method"].as_str()? {
                "Runtime.exceptionThrown" => &event["params"]["exceptionDetails"],
                "Runtime.consoleAPICalled" => &event["params"]["args"],
                "Log.entryAdded" => &event["params"]["entry"]["text"],
                _ => return None,
            };
            Some(told.to_string())
        });
        told.collect()
    }

    /// Ends it.
    pub async fn close(mut self) {
        self.session = None;
        self.call("Browser.close", json!({})).await;
        let _ = timeout(PATIENCE, self.process.wait()).await;
    }
}
