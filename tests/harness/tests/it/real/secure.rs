//! Servers that let nobody in without TLS, a password and an ACL, and a backup that is restored: as docs/production_deployment.md has it.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::Value;
use trustcard_tests::{
    cluster::Cluster,
    servers::{KafkaServer, SecureCassandra, root, succeed},
};

const KAFKA_PASSWORD: &str = "trustcard-secret";
const CQL_PASSWORD: &str = "cassandra";

fn settings<const N: usize>(of: [(&str, String); N]) -> BTreeMap<String, String> {
    of.map(|(name, value)| (format!("TRUSTCARD__{name}"), value))
        .into()
}

fn path(folder: &Path, file: &str) -> String {
    let file = folder.join("tls").join(file);
    file.to_str().expect("a UTF-8 path").to_owned()
}

fn on_kafka(kafka: &KafkaServer, user: &str) -> BTreeMap<String, String> {
    settings([
        ("KAFKA__CLIENT__SECURITY_PROTOCOL", "SASL_SSL".to_owned()),
        ("KAFKA__CLIENT__SASL_MECHANISM", "SCRAM-SHA-512".to_owned()),
        ("KAFKA__CLIENT__SASL_USERNAME", user.to_owned()),
        ("KAFKA__CLIENT__SASL_PASSWORD", format!("{user}-secret")),
        (
            "KAFKA__CLIENT__SSL_CA_LOCATION",
            path(kafka.folder(), "ca.pem"),
        ),
    ])
}

fn on_cql(cql: &SecureCassandra) -> BTreeMap<String, String> {
    settings([
        ("DATABASE__NODES", cql.node()),
        ("DATABASE__USERNAME", "cassandra".to_owned()),
        ("DATABASE__PASSWORD", CQL_PASSWORD.to_owned()),
        ("DATABASE__TLS__CA", path(cql.folder(), "ca.pem")),
        ("DATABASE__TLS__CERT", path(cql.folder(), "client.pem")),
        ("DATABASE__TLS__KEY", path(cql.folder(), "client.key")),
    ])
}

/// Runs a command that must fail, with some settings otherwise: its exit code, and what it said.
async fn fails(
    cluster: &mut Cluster,
    arguments: &[&str],
    changed: &[(&str, &str)],
) -> (i32, String) {
    let before = cluster.settings.clone();
    for (name, value) in changed {
        let name = format!("TRUSTCARD__{name}");
        cluster.settings.insert(name, (*value).to_owned());
    }
    let output = cluster.run(arguments).await;
    cluster.settings = before;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or_default(), told)
}

/// Runs infra/backup/store.sh on the node.
async fn store_script(cql: &SecureCassandra, arguments: &[&str]) {
    let nodetool = root().join("infra/dev/cassandra.sh");
    let (nodetool, folder) = (nodetool.display(), cql.folder().display());
    let mut script = Command::new(root().join("infra/backup/store.sh"));
    script
        .args(arguments)
        .env("NODETOOL", format!("{nodetool} run {folder}"));
    succeed(script).await;
}

/// The rows come back from a backup, in a keyspace of another name: an API on it gives the same answer.
async fn restored(cluster: &mut Cluster, cql: &SecureCassandra, path: &str, before: &Value) {
    let archive = cluster.folder().join("rows.tar.gz");
    let (archive, data) = (archive.to_str().unwrap(), cql.folder().join("data"));
    let data = data.to_str().unwrap();
    store_script(cql, &["backup", &cluster.keyspace, data, archive]).await;
    let other = format!("{}_look", cluster.keyspace);
    let name = "TRUSTCARD__DATABASE__KEYSPACE".to_owned();
    cluster.settings.insert(name, other.clone());
    cluster.must(&["migrate"]).await;
    let [empty] = cluster.roles(["api"]).await;
    assert_eq!(empty.api.get(path).await.0, 404);
    store_script(cql, &["restore", &other, archive]).await;
    assert_eq!(empty.api.get(path).await, (200, before.clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_works_over_tls_with_passwords_and_acls_and_tells_none_of_its_secrets() {
    let (kafka, cql) = tokio::join!(KafkaServer::start_secure(), SecureCassandra::start());
    // Topics and tables are an admin's.
    let mut as_admin = on_kafka(&kafka, "admin");
    as_admin.extend(on_cql(&cql));
    let as_user = on_kafka(&kafka, "trustcard");
    let mut cluster = Cluster::on(kafka, as_admin, 2).await;
    cluster.settings.extend(as_user);
    let refused = cluster.run(&["topics", "check"]).await;
    assert!(!refused.status.success(), "nothing is allowed yet");
    let mut acls = Command::new(root().join("infra/kafka/acls.sh"));
    let tool = root().join("infra/dev/kafka.sh");
    acls.arg(cluster.kafka.bootstrap())
        .arg(cluster.kafka.folder().join("client.properties"))
        .env(
            "KAFKA_ACLS",
            format!(
                "{} run org.apache.kafka.tools.AclCommand",
                tool.to_str().unwrap()
            ),
        );
    succeed(acls).await;
    cluster.must(&["topics", "check"]).await;

    let names = ["api", "record", "scrape", "detect", "score", "monitor"];
    let mut roles = cluster.roles(names).await;
    let api = roles[0].api.clone();
    let codes: Vec<String> = (0..5).map(|n| format!("loadsecure{n:02}")).collect();
    let ids = api.submit(&codes).await;
    for id in &ids {
        assert_eq!(api.ended_analysis(id).await["status"], "completed", "{id}");
    }
    let result = format!("/api/results/{}", ids[0]);
    let (_, before) = api.get(&result).await;
    cluster.must(&["lag", "--json"]).await;
    for (role, name) in roles.iter_mut().zip(names) {
        assert!(role.stop().await.success(), "{name}: {}", role.logged());
    }

    // Told apart by what is wrong: a password, an authority, a file.
    let (code, kafka_told) = fails(
        &mut cluster,
        &["topics", "check"],
        &[("KAFKA__CLIENT__SASL_PASSWORD", "another-secret")],
    )
    .await;
    assert_eq!(code, 69, "{kafka_told}");
    let (code, cql_told) = fails(
        &mut cluster,
        &["migrate"],
        &[("DATABASE__PASSWORD", "another-secret")],
    )
    .await;
    assert_eq!(code, 69, "{cql_told}");
    assert!(
        cql_told.contains("and/or password are incorrect"),
        "{cql_told}"
    );
    let stranger = path(cluster.kafka.folder(), "ca.pem");
    let (code, told) = fails(
        &mut cluster,
        &["migrate"],
        &[("DATABASE__TLS__CA", &stranger)],
    )
    .await;
    assert_eq!(code, 69, "{told}");
    assert!(told.contains("certificate verify failed"), "{told}");
    let (code, told) = fails(
        &mut cluster,
        &["migrate"],
        &[("DATABASE__TLS__CA", "/nowhere")],
    )
    .await;
    assert_eq!(code, 78, "{told}");
    let named = told.contains("database.tls.ca = ") && told.contains("/nowhere: No such file");
    assert!(named, "{told}");

    let shown = cluster.must(&["check-config", "--json"]).await;
    assert!(shown.contains("client.pem"), "{shown}");
    let mut said = vec![shown, kafka_told, cql_told];
    said.extend(roles.iter().map(|role| role.logged()));
    for text in said {
        for secret in [KAFKA_PASSWORD, "admin-secret", "another-secret"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    restored(&mut cluster, &cql, &result, &before).await;
}
