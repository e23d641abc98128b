//! The pages in a browser, as people use them: a post is submitted, watched, read, voted on twice and printed; everything can be
//! read by keyboard and screen reader (axe-core finds nothing), light and dark, on a phone and on a desk, without a complaint of the
//! browser. Pictures of what was seen are left in `target/pages`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use regex::Regex;
use serde_json::json;
use trustcard_tests::{answer::Answer, browser::Browser, process::Up};

/// A post with claims, warning signs, links and a picture.
const POST: &str = "https://www.instagram.com/p/DTCallatonc/";
/// A post that is not there.
const GONE: &str = "https://www.instagram.com/p/DTCdeleted1/";
const WIDTHS: [u32; 3] = [360, 768, 1280];
/// Most bytes of a page, its pictures apart.
const HEAVIEST: usize = 60 * 1024;

/// More than a page or an analysis should take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where pictures of what was seen are left.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn keep(name: &str, base64: &str) -> Vec<u8> {
    let bytes = BASE64_STANDARD.decode(base64).unwrap();
    std::fs::write(folder().join(name), &bytes).unwrap();
    bytes
}

/// axe-core's script; `None` where `make test` has said that it can't be had.
fn axe() -> Option<String> {
    let path = std::env::var("TRUSTCARD_TEST_AXE").ok();
    if path.as_deref() == Some("none") {
        eprintln!("SKIPPED axe-core: it could not be fetched");
        return None;
    }
    let path = path.map_or_else(
        || {
            let cache = std::env::var("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || PathBuf::from(std::env::var("HOME").unwrap()).join(".cache");
            cache
                .unwrap_or_else(|_| home())
                .join("trustcard/tools/axe-core-4.14.1/axe.min.js")
        },
        PathBuf::from,
    );
    let script = std::fs::read_to_string(&path);
    Some(script.unwrap_or_else(|_| panic!("{}: `infra/dev/axe.sh` fetches it", path.display())))
}

/// Asserts that axe-core finds nothing on the page that is open.
async fn accessible(browser: &mut Browser, axe: Option<&str>, name: &str) {
    let Some(axe) = axe else { return };
    browser.evaluate(axe).await;
    let found = browser
        .evaluate(
            "axe.run().then(found => ({ passes: found.passes.length, violations: found.violations.map(
                one => `${one.id}: ${one.help}: ${one.nodes.map(node => node.target.join(' ')).join(', ')}`) }))",
        )
        .await;
    assert_eq!(found["violations"], json!([]), "{name}");
    assert!(found["passes"].as_u64().unwrap() > 10, "{name}: {found}");
}

/// Opens a page in every width, light and dark, looks at it, and keeps a picture of each.
async fn see(browser: &mut Browser, url: &str, name: &str, axe: Option<&str>) {
    for scheme in ["light", "dark"] {
        for width in WIDTHS {
            browser.look(width, scheme).await;
            if width == WIDTHS[0] {
                browser.open(url).await;
            }
            // Pictures that lie below are fetched when they are scrolled to.
            browser
                .evaluate(
                    "Promise.all([...document.images].map(one => { one.loading = 'eager'; return one.decode() })).then(() => 0)",
                )
                .await;
            let wide = browser
                .evaluate("document.documentElement.scrollWidth")
                .await;
            assert!(
                wide.as_u64().unwrap() <= u64::from(width),
                "{name} at {width} is {wide} wide"
            );
            let picture = browser.screenshot().await;
            keep(&format!("{name}-{width}-{scheme}.png"), &picture);
        }
        accessible(browser, axe, &format!("{name}, {scheme}")).await;
    }
    assert_eq!(browser.complaints().await, [""; 0], "{name}");
}

/// Types an address into the home page's form and sends it.
async fn submit(browser: &mut Browser, home: &str, post: &str) {
    browser.open(home).await;
    let typed = format!(
        "const told = document.getElementById('told');
         sessionStorage.removeItem('seen');
         new MutationObserver(() => sessionStorage.setItem('seen', (sessionStorage.getItem('seen') ?? '') + told.textContent))
             .observe(told, {{ childList: true }});
         document.getElementById('url').value = {post:?};
         document.querySelector('#submit button').click()"
    );
    browser.evaluate(&typed).await;
    browser
        .until(
            "location.pathname.startsWith('/api/reports/') && document.readyState === 'complete'",
        )
        .await;
}

async fn text(browser: &mut Browser) -> String {
    let text = browser.evaluate("document.body.innerText").await;
    text.as_str().unwrap().to_owned()
}

/// Chooses an opinion, writes a comment and sends the form.
async fn vote(browser: &mut Browser, opinion: &str, comment: &str) {
    let chosen = format!(
        "document.querySelector('input[value={opinion}]').click();
         document.getElementById('comment').value = {comment:?};
         document.querySelector('form.vote button').click()"
    );
    browser.evaluate(&chosen).await;
}

#[tokio::test]
async fn a_post_is_submitted_watched_read_voted_on_and_printed() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let mut browser = Browser::start(&data.path().join("browser")).await;
    let axe = axe();
    let axe = axe.as_deref();

    let home = format!("{}/", up.url);
    see(&mut browser, &home, "home", axe).await;
    submit(&mut browser, &home, POST).await;
    let seen = browser.evaluate("sessionStorage.getItem('seen')").await;
    assert!(
        seen.as_str().is_some_and(|seen| seen.contains("complete")),
        "{seen}"
    );
    let card = browser.evaluate("location.href").await;
    let card = card.as_str().unwrap().to_owned();
    see(&mut browser, &card, "card", axe).await;
    let read = text(&mut browser).await;
    for part in [
        "of 100",
        "What was checked",
        "not checked",
        "Every post",
        "Warning signs",
        "no truth engine",
        "Scoring",
    ] {
        assert!(read.contains(part), "{part} missing in {read}");
    }
    let shown = browser
        .evaluate("[document.querySelectorAll('mark.flag').length, [...document.images].filter(one => one.naturalWidth > 0).length]")
        .await;
    assert!(
        shown[0].as_u64() > Some(2) && shown[1].as_u64() > Some(0),
        "{shown}"
    );

    vote(
        &mut browser,
        "misleading",
        "<script>document.title = 'x'</script>",
    )
    .await;
    browser
        .until("location.search === '?vote=counted' && document.readyState === 'complete'")
        .await;
    let read = text(&mut browser).await;
    for part in [
        "your vote was counted",
        "1 vote on this post",
        "<script>document.title",
    ] {
        assert!(read.contains(part), "{part} missing in {read}");
    }
    vote(&mut browser, "accurate", "again").await;
    browser
        .until(
            "document.querySelector('.notice.bad') !== null && document.readyState === 'complete'",
        )
        .await;
    let refused = browser
        .evaluate("[performance.getEntriesByType('navigation')[0].responseStatus, document.getElementById('comment').value]")
        .await;
    assert_eq!(refused, json!([409, "again"]));
    assert!(
        text(&mut browser).await.contains("1 vote on this post"),
        "it changed nothing"
    );
    accessible(&mut browser, axe, "the card after a second vote").await;
    let again = browser.screenshot().await;
    keep("card-voted-again.png", &again);
    // The browser logs that the answer was a 409: that is all.
    let complaints = browser.complaints().await;
    assert!(
        complaints.iter().all(|one| one.contains("409")),
        "{complaints:?}"
    );

    browser.look(1280, "dark").await;
    browser.open(&card).await;
    let pdf = browser.pdf().await;
    let pdf = keep("card.pdf", &pdf);
    let pages = Regex::new(r"/Type\s*/Page\b").unwrap();
    let pages = pages.find_iter(&String::from_utf8_lossy(&pdf)).count();
    assert!((1..=2).contains(&pages), "{pages} printed pages");

    submit(&mut browser, &home, GONE).await;
    let failed = browser.evaluate("location.href").await;
    see(&mut browser, failed.as_str().unwrap(), "failed", axe).await;
    see(
        &mut browser,
        &format!("{}/pipeline", up.url),
        "pipeline",
        axe,
    )
    .await;
    browser
        .until("document.querySelector('#stage-score dd[data-key=members]').textContent === '1'")
        .await;
    browser.complaints().await;
    let unknown = format!(
        "{}/api/reports/00000000-0000-4000-8000-000000000000",
        up.url
    );
    browser.look(768, "light").await;
    browser.open(&unknown).await;
    assert!(
        text(&mut browser)
            .await
            .contains("There is no such analysis")
    );
    accessible(&mut browser, axe, "an unknown card").await;
    let picture = browser.screenshot().await;
    keep("unknown.png", &picture);
    browser.close().await;

    let path = card.strip_prefix(&up.url).unwrap();
    let preview = Answer::to(up.request("GET", &format!("{path}/preview.png"))).await;
    assert_eq!(preview.header("content-type"), Some("image/png"));
    std::fs::write(folder().join("preview.png"), &preview.body).unwrap();
    let weight = Answer::to(up.request("GET", path)).await.body.len();
    assert!(weight < HEAVIEST, "{weight} bytes");
}

/// While nothing reads its topic an analysis waits; its card says so and looks again by itself.
#[tokio::test]
async fn forms_work_without_a_script_and_a_waiting_card_refreshes_itself() {
    let data = tempfile::tempdir().unwrap();
    let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
    let mut browser = Browser::start(&data.path().join("browser")).await;
    browser
        .call(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": true }),
        )
        .await;
    browser.look(768, "light").await;
    browser.open(&format!("{}/", up.url)).await;
    // The keyboard alone: the address, then Enter.
    let document = browser.call("DOM.getDocument", json!({})).await;
    let root = document["root"]["nodeId"].clone();
    let find = json!({ "nodeId": root, "selector": "#url" });
    let field = browser.call("DOM.querySelector", find).await["nodeId"].clone();
    browser.call("DOM.focus", json!({ "nodeId": field })).await;
    browser
        .call("Input.insertText", json!({ "text": POST }))
        .await;
    let enter = json!({ "type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
    browser.call("Input.dispatchKeyEvent", enter).await;
    let card = browser.until_at("/api/reports/").await;
    let ended = async {
        while !browser.source().await.contains("Trust score") {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended)
        .await
        .unwrap_or_else(|_| panic!("{card} never showed a score"));
    browser.close().await;
}
