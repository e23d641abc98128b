//! The API's description against a running `trustcard up`: every example of a request is sent, and every answer has the status,
//! the type and the shape that the document gives it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use trustcard_tests::{answer::Answer, process::Up};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";
/// In this order, so that what is read is there, and what is deleted was read.
const METHODS: [&str; 5] = ["post", "get", "put", "patch", "delete"];

/// A document with what its examples brought about.
struct Described {
    document: Value,
    up: Up,
    /// What stands for a parameter of a path, by its name.
    ids: BTreeMap<String, String>,
    _data: tempfile::TempDir,
}

/// One operation.
#[derive(Clone)]
struct Operation {
    method: &'static str,
    path: String,
    about: Value,
}

impl Operation {
    /// The status of its usual answer.
    fn success(&self) -> u16 {
        let statuses = object(&self.about["responses"]).keys();
        statuses.map(|text| text.parse().unwrap()).min().unwrap()
    }

    /// Whether nobody without a key gets in.
    fn needs_key(&self) -> bool {
        let ways = self.about["security"].as_array();
        ways.is_some_and(|ways| !ways.is_empty() && !ways.contains(&json!({})))
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value
        .as_object()
        .unwrap_or_else(|| panic!("no object: {value}"))
}

/// The address of a post as a part of a path.
const POST: &str = "https%3A%2F%2Fwww.instagram.com%2Fp%2FDTCsatire01%2F";

impl Described {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let up = Up::start(data.path(), &["--sample-site", "--no-ml"], &[]).await;
        let answer = Answer::to(up.request("GET", "/openapi.json")).await;
        Self {
            document: answer.json(),
            up,
            ids: BTreeMap::from([("url".to_owned(), POST.to_owned())]),
            _data: data,
        }
    }

    fn operations(&self) -> Vec<Operation> {
        let of = |method: &'static str| {
            let paths = object(&self.document["paths"]).iter();
            paths.filter_map(move |(path, item)| {
                Some(Operation {
                    method,
                    path: path.clone(),
                    about: item.get(method)?.clone(),
                })
            })
        };
        METHODS.into_iter().flat_map(of).collect()
    }

    /// A request whose path has its parameters filled in.
    fn request(&self, operation: &Operation) -> reqwest::RequestBuilder {
        self.request_with(operation, "")
    }

    /// The same, with this query.
    fn request_with(&self, operation: &Operation, query: &str) -> reqwest::RequestBuilder {
        let mut path = operation.path.clone();
        for (name, id) in &self.ids {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        assert!(!path.contains('{'), "nothing stands for a part of {path}");
        path.push_str(query);
        self.up.request(&operation.method.to_uppercase(), &path)
    }

    /// Asserts that an answer is one that the document tells of.
    fn check(&self, operation: &Operation, answer: &Answer) {
        let name = format!("{} {}: {}", operation.method, operation.path, answer.status);
        let text = String::from_utf8_lossy(&answer.body);
        let told = &operation.about["responses"][answer.status.to_string()];
        assert!(told.is_object(), "{name} is not described: {text}");
        let told = match told["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => told,
        };
        for header in object(&told["headers"]).keys() {
            let always = header == "X-Request-ID" || header == "Location";
            assert!(
                !always || answer.header(header).is_some(),
                "{name} has no {header}"
            );
        }
        let Some(content) = told.get("content") else {
            assert!(answer.body.is_empty(), "{name} has a body: {text}");
            return;
        };
        let media_type = answer.header("content-type").unwrap();
        let media_type = media_type.split(';').next().unwrap();
        let content = &content[media_type];
        assert!(
            content.is_object(),
            "{name} is {media_type}, which is not described"
        );
        if media_type.ends_with("json") {
            // Lines are documents each.
            let lines = media_type == "application/x-ndjson";
            let mut schema = content["schema"].clone();
            schema["components"] = self.document["components"].clone();
            let validator = jsonschema::draft202012::new(&schema).unwrap();
            let documents: Vec<Value> = match lines {
                true => text
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect(),
                false => vec![answer.json()],
            };
            for json in documents {
                let faults: Vec<String> = validator
                    .iter_errors(&json)
                    .map(|fault| format!("{} {fault}", fault.instance_path()))
                    .collect();
                assert!(faults.is_empty(), "{name}: {faults:#?} in {text}");
            }
        }
    }

    /// Sends a request and asserts that the answer is the usual one.
    async fn succeeds(&self, operation: &Operation, request: reqwest::RequestBuilder) -> Value {
        let answer = Answer::to(request).await;
        self.check(operation, &answer);
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(
            answer.status,
            operation.success(),
            "{} {}: {text}",
            operation.method,
            operation.path
        );
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Sends every example of an operation's body.
    async fn send_bodies(&mut self, operation: &Operation) -> usize {
        let content = object(&operation.about["requestBody"]["content"]).clone();
        let mut sent = 0;
        for (media_type, content) in &content {
            for example in object(&content["examples"]).values() {
                let value = &example["value"];
                let body = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                let request = self.request(operation).header("content-type", media_type);
                sent += 1;
                let answer = self.succeeds(operation, request.body(body)).await;
                for name in ["analysis_id", "batch_id"] {
                    if let Some(id) = answer[name].as_str() {
                        self.ids.insert(name.to_owned(), id.to_owned());
                    }
                }
            }
        }
        sent
    }

    /// Asks without parameters, with all that have an example, and for every type of answer.
    async fn ask(&self, operation: &Operation) -> usize {
        let none = Vec::new();
        let parameters = operation.about["parameters"].as_array().unwrap_or(&none);
        let examples: Vec<(&str, String)> = parameters
            .iter()
            .filter(|parameter| parameter["in"] == "query")
            .filter_map(|parameter| {
                let example = parameter.get("example")?;
                let text = example
                    .as_str()
                    .map_or_else(|| example.to_string(), str::to_owned);
                Some((parameter["name"].as_str()?, text))
            })
            .collect();
        self.succeeds(operation, self.request(operation)).await;
        // Examples are words and numbers, so nothing is to be encoded.
        let query = examples
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let query = format!("?{}", query.collect::<Vec<_>>().join("&"));
        let asked = self.request_with(operation, &query);
        self.succeeds(operation, asked).await;
        let success = &operation.about["responses"][operation.success().to_string()];
        let types = success["content"].as_object().cloned().unwrap_or_default();
        for media_type in types.keys() {
            let request = self.request(operation).header("accept", media_type);
            let answer = Answer::to(request).await;
            self.check(operation, &answer);
            let answered = answer.header("content-type").unwrap();
            assert!(answered.starts_with(media_type.as_str()), "{answered}");
        }
        examples.len()
    }
}

#[tokio::test]
async fn every_example_is_answered_as_described() {
    let mut described = Described::start().await;
    let mut sent = 0;
    for operation in described.operations() {
        if operation.needs_key() {
            continue;
        }
        if operation.about.get("requestBody").is_some() {
            sent += described.send_bodies(&operation).await;
            if let Some(id) = described.ids.get("analysis_id") {
                described.up.ended_analysis(id).await;
            }
        } else {
            sent += described.ask(&operation).await;
        }
    }
    assert!(sent >= 6, "{sent} examples");
}

#[tokio::test]
async fn what_is_refused_is_refused_as_described() {
    let mut described = Described::start().await;
    for operation in described.operations() {
        let in_path = operation.path.contains('{');
        for (id, status) in [("x", 422), (UNKNOWN, 404)] {
            for name in ["analysis_id", "batch_id", "webhook_id"] {
                described.ids.insert(name.to_owned(), id.to_owned());
            }
            if in_path && !operation.needs_key() && operation.about.get("requestBody").is_none() {
                for accept in ["application/json", "application/problem+json"] {
                    let request = described.request(&operation).header("accept", accept);
                    let answer = Answer::to(request).await;
                    assert_eq!(answer.status, status, "{}", operation.path);
                    assert_eq!(answer.header("content-type"), Some(accept));
                    described.check(&operation, &answer);
                }
            }
        }
        if operation.needs_key() {
            let answer = Answer::to(described.request(&operation)).await;
            assert_eq!(answer.status, 401, "{} has no key", operation.path);
            described.check(&operation, &answer);
        } else if operation.about.get("requestBody").is_some() {
            let text = described.request(&operation).body("text");
            let answer = Answer::to(text).await;
            assert_eq!(answer.status, 415);
            described.check(&operation, &answer);
            let empty = described.request(&operation).json(&json!([]));
            let answer = Answer::to(empty).await;
            assert_eq!(answer.status, 422);
            described.check(&operation, &answer);
        }
    }
}
