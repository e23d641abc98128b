use super::*;
use serde::Deserialize;

#[derive(Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    api: Api,
}

#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Api {
    port: u16,
    debug: bool,
    name: String,
    origins: Vec<String>,
    #[serde(skip_serializing)]
    password: Option<String>,
    ratio: f64,
    #[serde(skip_serializing)]
    client: BTreeMap<String, String>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            port: 8000,
            debug: true,
            name: "TrustCard".to_owned(),
            origins: vec!["*".to_owned()],
            password: None,
            ratio: 0.0,
            client: BTreeMap::new(),
        }
    }
}

fn layers(directory: &std::path::Path, variables: &[(&str, &str)]) -> Layers {
    Layers {
        file: Some(directory.join("staging.toml")),
        file_required: false,
        variables: variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        plain_names: &[
            ("API_PORT", "api.port"),
            ("DEBUG", "api.debug"),
            ("CORS_ORIGINS", "api.origins"),
        ],
        lists: &["api.origins"],
        dotted: &["api.client"],
        secrets: &["api.password"],
        is_secret: |key| key.contains("password"),
    }
}

fn load_all(layers: &Layers) -> Result<Loaded<Settings>, Faults> {
    load(layers, |_: &Settings| Vec::new())
}

fn read(directory: &std::path::Path, variables: &[(&str, &str)]) -> Settings {
    load_all(&layers(directory, variables)).unwrap().settings
}

#[test]
fn later_layers_win_and_it_is_told_which_one_did() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("staging.toml");
    std::fs::write(&path, "[api]\nport = 1\nname = \"file\"\n").unwrap();
    let file = read(directory.path(), &[]);
    assert_eq!(
        (file.api.port, file.api.name.as_str(), file.api.debug),
        (1, "file", true)
    );
    let ours = read(directory.path(), &[("TRUSTCARD__API__PORT", "2")]);
    assert_eq!(ours.api.port, 2);
    let variables = [
        ("TRUSTCARD__API__PORT", "2"),
        ("API_PORT", "3"),
        ("DEBUG", "False"),
        ("CORS_ORIGINS", ""),
        ("TRUSTCARD__API__PASSWORD", "hunter2"),
        ("TRUSTCARD__API__CLIENT__SASL_PASSWORD", "hunter2"),
    ];
    let layers = layers(directory.path(), &variables);
    let loaded = load_all(&layers).unwrap();
    let api = &loaded.settings.api;
    assert_eq!((api.port, api.debug), (3, false));
    let shown = loaded.effective(&layers);
    let of = |key: &str| shown.iter().find(|one| one.key == key).unwrap();
    assert_eq!(of("api.port").origin, "API_PORT");
    assert_eq!(of("api.port").value, 3);
    assert_eq!(
        of("api.port").variables,
        ["API_PORT", "TRUSTCARD__API__PORT"]
    );
    assert_eq!(of("api.name").origin, path.display().to_string());
    assert_eq!(of("api.origins").origin, "default");
    assert_eq!(of("api.password").text(), HIDDEN);
    assert_eq!(of("api.client.sasl.password").text(), HIDDEN);
    assert!(!format!("{shown:?}").contains("hunter2"));
}

#[test]
fn lists_are_separated_by_commas_or_json() {
    let directory = tempfile::tempdir().unwrap();
    let json = r#"["https://a.example", "https://b.example"]"#;
    let commas = "https://a.example,https://b.example";
    for variable in [
        ("TRUSTCARD__API__ORIGINS", commas),
        ("CORS_ORIGINS", commas),
        ("CORS_ORIGINS", json),
    ] {
        let origins = read(directory.path(), &[variable]).api.origins;
        assert_eq!(
            origins,
            ["https://a.example", "https://b.example"],
            "{variable:?}"
        );
    }
    let none = read(directory.path(), &[("CORS_ORIGINS", "[]")]);
    assert!(none.api.origins.is_empty());
}

#[test]
fn every_fault_of_every_layer_is_told_at_once_with_key_value_and_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("staging.toml");
    let text = "[api]\nratio = \"much\"\nname = \"odd\"\npassword = [1]\n[apu]\n";
    std::fs::write(&path, text).unwrap();
    let variables = [
        ("API_PORT", "many"),
        ("TRUSTCARD__API__PROT", "1"),
        ("TRUSTCARD__API__PASWORD", "hunter2"),
        ("TRUSTCARD__KAFKA__BOOTSTRAP", "here"),
    ];
    let layers = layers(directory.path(), &variables);
    let check = |settings: &Settings| {
        assert_eq!(settings.api.port, 8000, "what is at fault has its default");
        vec!["api.name must be even".to_owned()]
    };
    let Faults(faults) = load(&layers, check).unwrap_err();
    let of = |key: &str| {
        let found = faults.iter().find(|fault| fault.key == key);
        found.unwrap_or_else(|| panic!("{key} is not among {faults:#?}"))
    };
    assert_eq!(faults.len(), 8, "{faults:#?}");
    let file = path.display().to_string();
    assert_eq!(of("api.port").value.as_deref(), Some("\"many\""));
    assert_eq!(of("api.port").remedy, "change API_PORT");
    assert_eq!(of("api.prot").problem, "is no setting");
    assert!(of("api.prot").remedy.contains("api.port"), "{faults:#?}");
    assert_eq!(of("api.pasword").value.as_deref(), Some(HIDDEN));
    assert_eq!(of("api.password").value.as_deref(), Some(HIDDEN));
    assert_eq!(of("kafka.bootstrap").origin, "TRUSTCARD__KAFKA__BOOTSTRAP");
    assert_eq!(of("apu").origin, file);
    assert!(of("api.ratio").remedy.contains("TRUSTCARD__API__RATIO"));
    assert_eq!(of("api.name").value.as_deref(), Some("\"odd\""));
    assert_eq!(of("api.name").problem, "must be even");
    let told = Faults(faults).to_string();
    assert!(told.starts_with("CONFIGURATION_ERROR"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_file_that_is_none_is_a_fault_and_so_is_a_missing_one_that_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut layers = layers(directory.path(), &[("API_PORT", "many")]);
    layers.file_required = true;
    let missing = load_all(&layers).unwrap_err();
    assert_eq!(missing.0.len(), 2, "{missing}");
    std::fs::write(directory.path().join("staging.toml"), "[api\nport=").unwrap();
    let broken = load_all(&layers).unwrap_err().to_string();
    assert!(broken.contains("staging.toml"), "{broken}");
    assert!(broken.contains("api.port"), "{broken}");
}

#[test]
fn text_stays_as_it_is_and_numbers_and_booleans_are_what_their_keys_say() {
    let directory = tempfile::tempdir().unwrap();
    let variables = [
        ("TRUSTCARD__API__NAME", "True"),
        ("TRUSTCARD__API__PASSWORD", "0123"),
        ("TRUSTCARD__API__CLIENT__SASL_PASSWORD", "1e3"),
        ("TRUSTCARD__API__PORT", "2"),
        ("TRUSTCARD__API__DEBUG", "FALSE"),
        ("TRUSTCARD__API__RATIO", "0.5"),
    ];
    let api = read(directory.path(), &variables).api;
    assert_eq!(api.name, "True");
    assert_eq!(api.password.as_deref(), Some("0123"));
    assert_eq!(api.client["sasl.password"], "1e3");
    assert_eq!((api.port, api.debug, api.ratio), (2, false, 0.5));
}

#[test]
fn keys_with_dots_are_written_with_underscores_and_join_those_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("staging.toml"),
        "[api.client]\n\"linger.ms\" = \"5\"\n\"security.protocol\" = \"plaintext\"\n",
    )
    .unwrap();
    let variables = [
        ("TRUSTCARD__API__CLIENT__SECURITY_PROTOCOL", "ssl"),
        ("TRUSTCARD__API__CLIENT__SSL_CA_LOCATION", "/ca.pem"),
    ];
    let api = read(directory.path(), &variables).api;
    let pairs: Vec<_> = api
        .client
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("linger.ms", "5"),
            ("security.protocol", "ssl"),
            ("ssl.ca.location", "/ca.pem"),
        ]
    );
}
