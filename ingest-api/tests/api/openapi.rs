//! The document that describes the API: beside the code, beside OpenAPI's own rules, and as it is served.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use trustcard_ingest_api::{openapi, router};

use crate::support::{Api, config};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    let text = openapi::text(&router::document(true)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
}

/// Path, method and operation of each.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = object(&document["paths"]).iter();
    paths
        .flat_map(|(path, item)| {
            let operations = object(item).iter();
            operations.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(target) if name == "$ref" => drop(found.insert(target.clone())),
                    _ => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn the_committed_document_is_what_the_code_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == openapi::text(&router::document(true)).unwrap(),
        "openapi.json is stale: run `make openapi` and commit the result"
    );
}

#[test]
fn it_says_what_openapi_3_1_asks_for() {
    let document = document();
    let version = document["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1."), "{version}");
    let info = &document["info"];
    for member in ["title", "version", "description"] {
        assert!(
            info[member].as_str().is_some_and(|text| !text.is_empty()),
            "{member}"
        );
    }
    assert_eq!(info["contact"]["name"], "TrustCard");
    assert_eq!(info["license"]["identifier"], "Apache-2.0");
    assert_eq!(info["license"].get("url"), None, "either of the two");
    for heading in [
        "## Getting started",
        "## Rate limits",
        "## Errors",
        "## Support",
    ] {
        assert!(
            info["description"].as_str().unwrap().contains(heading),
            "{heading}"
        );
    }
    assert_eq!(
        document["components"]["securitySchemes"]["key"]["scheme"],
        "bearer"
    );

    let tags = document["tags"].as_array().unwrap();
    let tags: Vec<&Value> = tags.iter().map(|tag| &tag["name"]).collect();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(METHODS.contains(&method), "{name}");
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name}"
        );
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
        let used = operation["tags"].as_array().unwrap();
        assert!(used.len() == 1 && tags.contains(&&used[0]), "{name}");

        let none = Vec::new();
        let parameters = operation["parameters"].as_array().unwrap_or(&none);
        let in_path: BTreeSet<&str> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        let wanted: BTreeSet<&str> = path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        assert_eq!(in_path, wanted, "{name}");
        for parameter in parameters {
            assert_eq!(
                parameter["required"],
                parameter["in"] == "path",
                "{name}: {parameter}"
            );
            assert!(parameter["schema"].is_object(), "{name}: {parameter}");
            assert!(parameter["description"].is_string(), "{name}: {parameter}");
        }
        let responses = object(&operation["responses"]);
        for (status, response) in responses {
            let status: u16 = status.parse().unwrap();
            assert!((200..600).contains(&status), "{name}");
            assert!(
                response.get("$ref").is_some() || response["description"].is_string(),
                "{name}: {response}"
            );
        }
        assert!(responses.contains_key("500"), "{name}");
        assert_eq!(
            operation.get("requestBody").is_some(),
            responses.contains_key("415"),
            "{name}"
        );
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_one() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20, "{found:?}");
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    for kind in ["schemas", "responses"] {
        for name in object(&document["components"][kind]).keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(found.contains(&reference), "{reference} is used nowhere");
        }
    }
    for (name, schema) in object(&document["components"]["schemas"]) {
        assert!(
            jsonschema::draft202012::meta::is_valid(schema),
            "{name}: {schema}"
        );
        assert!(
            schema["description"].is_string() || name == "ErrorCode",
            "{name}"
        );
    }
}

#[test]
fn every_error_has_the_one_shape_in_both_forms() {
    let document = document();
    for (name, response) in object(&document["components"]["responses"]) {
        for (media_type, schema) in [
            ("application/json", "Error"),
            ("application/problem+json", "Problem"),
        ] {
            let content = &response["content"][media_type];
            let reference = format!("#/components/schemas/{schema}");
            assert_eq!(content["schema"]["$ref"], reference.as_str(), "{name}");
            let schema =
                serde_json::json!({ "$ref": reference, "components": document["components"] });
            let validator = jsonschema::validator_for(&schema).unwrap();
            let faults: Vec<String> = validator
                .iter_errors(&content["example"])
                .map(|fault| fault.to_string())
                .collect();
            assert!(faults.is_empty(), "{name}: {faults:?}");
        }
    }
    for (path, method, operation) in operations(&document) {
        for (status, response) in object(&operation["responses"]) {
            let error = status.parse::<u16>().unwrap() >= 400;
            let probe = ["/health", "/health/ready"].contains(&path) && status == "503";
            assert_eq!(
                response.get("$ref").is_some(),
                error && !probe,
                "{status} of {method} {path}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_path_takes_the_methods_that_are_described() {
    // These two take a form of their own page too, which is no part of the API.
    const FORMS: [&str; 2] = ["/", "/api/reports/analysis_id"];
    let api = Api::start().await;
    for (path, item) in object(&document()["paths"]) {
        let path = path.replace(['{', '}'], "");
        let answer = api.send("PROPFIND", &path, &[], b"").await;
        answer.error(405, "METHOD_NOT_ALLOWED");
        let allowed = answer.header("allow").unwrap().split(',').map(str::trim);
        let allowed: BTreeSet<String> = allowed
            .filter(|method| *method != "HEAD" && !(*method == "POST" && FORMS.contains(&&*path)))
            .map(str::to_lowercase)
            .collect();
        let described: BTreeSet<String> = object(item).keys().cloned().collect();
        assert_eq!(allowed, described, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_served_with_the_page_that_shows_it() {
    let api = Api::start().await;
    let answer = api.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), document());
    for path in ["/docs", "/redoc"] {
        let answer = api.get(path).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some("/docs/")),
            "{path}"
        );
    }
    let page = api.get("/docs/").await;
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let text = page.text().to_lowercase();
    for inline in ["<script>", "<style", " style=", " onload=", "javascript:"] {
        assert!(!text.contains(inline), "{inline} in {text}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self'; "), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let links = text
        .split(['"', '\''])
        .filter(|part| part.ends_with(".js") || part.ends_with(".css") || part.ends_with(".png"));
    let links: Vec<&str> = links.collect();
    assert!(links.len() > 4, "{text}");
    for link in links {
        let path = format!("/docs/{}", link.trim_start_matches("./"));
        assert_eq!(api.get(&path).await.status, 200, "{path}");
    }
    api.get("/docs/nothing")
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    api.get("/docs/..%2f..%2fetc%2fpasswd")
        .await
        .error(404, "RESOURCE_NOT_FOUND");
    let script = api.get("/docs/swagger-initializer.js").await.text();
    assert!(script.contains("/openapi.json"), "{script}");
    assert!(
        !script.contains("http://") && !script.contains("https://"),
        "{script}"
    );

    let mut without = config();
    without.enable_metrics = false;
    let api = Api::with(without).await;
    assert_eq!(
        api.get_json("/openapi.json").await["paths"].get("/metrics"),
        None
    );
}
