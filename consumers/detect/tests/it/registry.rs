//! What the registry refuses, and that every refusal says what to do next.

use std::fs;

use trustcard_detect::{
    DetectConfig, Detector, Registry, StartError,
    registry::{FileError, RegistryError},
};

use crate::common::{Installed, Setup, field, number, sha256};

fn start_error(config: &DetectConfig) -> StartError {
    match Detector::start(config) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

fn edited(edit: impl Fn(String) -> String) -> Installed {
    let installed = Setup::default().install();
    let path = installed.config.registry.clone().unwrap();
    fs::write(&path, edit(fs::read_to_string(&path).unwrap())).unwrap();
    installed
}

#[test]
fn the_built_in_registry_is_valid_and_complete() {
    let registry = Registry::load(None).unwrap();
    let head = registry.head("ai-generated").unwrap();
    let model = registry.model(&head.model).unwrap();
    assert!(registry.weights(head).is_ok());
    assert!(registry.runtime_for("x86_64", "linux").is_some());
    assert!(!model.verified.is_empty());
}

#[test]
fn a_missing_model_file_stops_the_start_and_names_the_remedy() {
    let installed = Setup::default().install();
    fs::remove_file(installed.folder.path().join("means-1/means.onnx")).unwrap();
    let error = start_error(&installed.config);
    assert!(
        matches!(
            error,
            StartError::Registry(RegistryError::File(FileError::Missing { .. }))
        ),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("trustcard models pull"),
        "{error}"
    );
}

#[test]
fn a_model_file_with_another_hash_stops_the_start() {
    let installed = Setup::default().install();
    let path = installed.folder.path().join("means-1/means.onnx");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = start_error(&installed.config);
    assert!(
        matches!(
            error,
            StartError::Registry(RegistryError::File(FileError::WrongHash { .. }))
        ),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains(&sha256(&bytes)) && message.contains("trustcard models pull"));
}

#[test]
fn a_model_with_weights_in_another_file_stops_the_start() {
    let location = [field(1, b"location"), field(2, b"../../etc/passwd")].concat();
    let tensor = [number(2, 1), field(13, &location), number(14, 1)].concat();
    let model = [number(1, 8), field(7, &field(5, &tensor))].concat();
    let installed = Setup {
        model,
        ..Setup::default()
    }
    .install();
    let error = start_error(&installed.config);
    assert!(
        matches!(&error, StartError::Registry(RegistryError::File(FileError::ExternalData { location, .. }))
            if location == "../../etc/passwd"),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("trustcard models pull"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_no_model_stops_the_start() {
    let installed = Setup {
        model: b"<html>".to_vec(),
        ..Setup::default()
    }
    .install();
    let error = start_error(&installed.config);
    assert!(
        matches!(
            error,
            StartError::Registry(RegistryError::File(FileError::NotOnnx { .. }))
        ),
        "{error:?}"
    );
}

#[test]
fn weights_with_another_hash_or_of_another_model_stop_the_start() {
    let installed = Setup::default().install();
    let path = installed.folder.path().join("head.json");
    fs::write(&path, fs::read_to_string(&path).unwrap() + " ").unwrap();
    let error = start_error(&installed.config);
    assert!(
        matches!(
            error,
            StartError::Registry(RegistryError::File(FileError::WrongWeights { .. }))
        ),
        "{error:?}"
    );

    let weights = fs::read_to_string(&path)
        .unwrap()
        .replace("means@1", "means@2");
    let installed = edited(|text| {
        let (before, _) = text.split_once("weights = \"head.json\"").unwrap();
        let hash = sha256(weights.as_bytes());
        format!(
            "{before}weights = \"head.json\"\nsha256 = \"{hash}\"\nthresholds = {{ low = 0.2, high = 0.8 }}"
        )
    });
    fs::write(installed.folder.path().join("head.json"), &weights).unwrap();
    let error = start_error(&installed.config);
    assert!(matches!(error, StartError::Head { .. }), "{error:?}");
}

#[test]
fn what_can_not_be_right_is_refused() {
    let replacements = [
        ("low = 0.2", "low = 0.9"),
        ("high = 0.8", "high = 1.0"),
        ("high = 0.8", "high = nan"),
        ("low = 0.2", "low = 0.2, middle = 0.5"),
        ("layout = \"nchw\"", "layout = \"nhwc\""),
        ("shape = [1, 3, 8, 8]", "shape = [2, 3, 8, 8]"),
        ("std = [1, 1, 1]", "std = [1, 0, 1]"),
        ("tolerance = 0.01", "tolerance = 0"),
        ("golden = [", "golden = [nan, "),
        ("member = \"means.onnx\"", "member = \"../means.onnx\""),
        ("package = \"means\"", "package = \"--index-url=x\""),
        ("weights = \"head.json\"", "weights = \"/etc/passwd\""),
        ("model = \"means@1\"", "model = \"means@2\""),
        (
            "licence = \"Apache-2.0\"",
            "licence = \"Apache-2.0\"\nsurprise = 1",
        ),
        ("version = \"1\"\n", "version = \"..\"\n"),
    ];
    for (from, to) in replacements {
        let installed = edited(|text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let error = start_error(&installed.config);
        assert!(
            matches!(
                error,
                StartError::Registry(RegistryError::Invalid { .. } | RegistryError::Parse { .. })
            ),
            "{from} -> {to}: {error:?}"
        );
    }
}

#[test]
fn unknown_settings_are_refused() {
    assert!(toml::from_str::<DetectConfig>("workers = 2").is_ok());
    assert!(toml::from_str::<DetectConfig>("threads = 2").is_err());
    assert!(toml::from_str::<DetectConfig>("picture = { max_pixels = 1, pixels = 2 }").is_err());
}

#[test]
fn a_native_library_with_another_hash_is_never_loaded() {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        eprintln!("SKIPPED, NOT TESTED: the cached library, because ORT_DYLIB_PATH names another");
        return;
    }
    let installed = edited(|text| {
        let entry = format!(
            r#"
            [[runtime]]
            name = "onnxruntime"
            version = "1.32.0"
            arch = "{arch}"
            os = "{os}"
            source = "these tests"
            licence = "Apache-2.0"
            file = {{ package = "onnxruntime", version = "1.32.0", wheel_bytes = 0, member = "lib/libonnxruntime.so", bytes = 1, sha256 = "{hash}" }}
            "#,
            arch = std::env::consts::ARCH,
            os = std::env::consts::OS,
            hash = sha256(b"the right library"),
        );
        text + &entry
    });
    let config = DetectConfig {
        onnxruntime_library: None,
        ..installed.config.clone()
    };
    let registry = Registry::load(config.registry.as_deref()).unwrap();
    let path = registry.runtimes[0].path(&config.models_dir);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"another library").unwrap();
    let error = start_error(&config);
    assert!(
        matches!(
            error,
            StartError::Registry(RegistryError::File(FileError::WrongHash { .. }))
        ),
        "{error:?}"
    );
}
