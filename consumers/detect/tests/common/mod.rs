//! What the integration tests share: small ONNX models made on the spot, and a registry that names them.

#![allow(dead_code)] // Each test binary uses its part.

use std::{fs, path::Path};

use image::{ImageFormat, Rgb, RgbImage};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use trustcard_detect::DetectConfig;

/// A protocol buffer field of bytes.
pub fn field(number: u64, body: &[u8]) -> Vec<u8> {
    [
        varint(number << 3 | 2),
        varint(body.len() as u64),
        body.to_vec(),
    ]
    .concat()
}

/// A protocol buffer field of a number.
pub fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A node of the graph.
fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut body: Vec<u8> = inputs
        .iter()
        .flat_map(|input| field(1, input.as_bytes()))
        .collect();
    body.extend(field(2, output.as_bytes()));
    body.extend(field(3, output.as_bytes()));
    body.extend(field(4, operator.as_bytes()));
    body.extend(attributes.iter().flat_map(|attribute| field(5, attribute)));
    field(1, &body)
}

/// An integer attribute.
fn integer(name: &str, value: u64) -> Vec<u8> {
    [field(1, name.as_bytes()), number(3, value), number(20, 2)].concat()
}

/// A scalar constant of the graph.
fn scalar(name: &str, value: f32) -> Vec<u8> {
    let body = [
        number(2, 1),
        field(8, name.as_bytes()),
        field(9, &value.to_le_bytes()),
    ];
    field(5, &body.concat())
}

/// A tensor among the inputs (field 11) or outputs (field 12) of the graph.
fn tensor(place: u64, name: &str, element: u64, shape: &[u64]) -> Vec<u8> {
    let dimensions: Vec<u8> = shape
        .iter()
        .flat_map(|&side| field(1, &number(1, side)))
        .collect();
    let of = field(1, &[number(1, element), field(2, &dimensions)].concat());
    field(place, &[field(1, name.as_bytes()), field(2, &of)].concat())
}

/// What a test model does with the mean of each colour channel, which is its three features.
#[derive(Clone, Copy)]
pub enum Then {
    /// Nothing more.
    Nothing,
    /// Logarithm of the mean less 0.1: NaN for dark pictures.
    Log,
    /// One over the mean: infinite for black pictures.
    Reciprocal,
    /// A cast to 64-bit integers.
    Integers,
}

/// A model with input `picture` `[1, 3, 8, 8]` and output `features` `[1, 3]`.
pub fn model(then: Then) -> Vec<u8> {
    let mut graph = vec![
        node("GlobalAveragePool", &["picture"], "pooled", &[]),
        node("Flatten", &["pooled"], "means", &[integer("axis", 1)]),
    ];
    match then {
        Then::Nothing => graph.push(node("Identity", &["means"], "features", &[])),
        Then::Reciprocal => graph.push(node("Reciprocal", &["means"], "features", &[])),
        Then::Integers => graph.push(node("Cast", &["means"], "features", &[integer("to", 7)])),
        Then::Log => {
            graph.push(node("Sub", &["means", "tenth"], "less", &[]));
            graph.push(node("Log", &["less"], "features", &[]));
            graph.push(scalar("tenth", 0.1));
        }
    }
    let element = if matches!(then, Then::Integers) { 7 } else { 1 };
    graph.push(field(2, b"test"));
    graph.push(tensor(11, "picture", 1, &[1, 3, 8, 8]));
    graph.push(tensor(12, "features", element, &[1, 3]));
    [
        number(1, 8),
        field(7, &graph.concat()),
        field(8, &number(2, 13)),
    ]
    .concat()
}

/// A folder with one test model, a head on it and the registry of both.
pub struct Installed {
    pub folder: TempDir,
    pub config: DetectConfig,
}

/// What a test changes in the registry.
pub struct Setup<'a> {
    pub model: Vec<u8>,
    /// Name of the runtime it is verified on.
    pub runtime: &'a str,
    /// First features of the golden picture, scaled to length 1.
    pub golden: &'a str,
    pub output: &'a str,
    pub features: usize,
}

/// Means of the golden picture's channels, scaled to length 1, by [`Then::Nothing`].
pub const GOLDEN: &str = "[0.5732, 0.6275, 0.527]";

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            model: model(Then::Nothing),
            runtime: "tract",
            golden: GOLDEN,
            output: "features",
            features: 3,
        }
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Setup<'_> {
    /// Writes it all and returns settings that lead there. The native library named does not exist.
    pub fn install(self) -> Installed {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let weights = format!(
            r#"{{"model": "means@1", "normalisation": "unit_length", "coefficients": {:?},
                "intercept": 0.0, "calibration": {{"slope": 4.0, "offset": 0.0}}}}"#,
            [1.0, 0.0, -1.0, 0.0]
                .iter()
                .cycle()
                .take(self.features)
                .collect::<Vec<_>>()
        );
        fs::write(at("head.json"), &weights).unwrap();
        fs::create_dir_all(at("means-1")).unwrap();
        fs::write(at("means-1/means.onnx"), &self.model).unwrap();
        let registry = format!(
            r#"
            [[model]]
            name = "means"
            version = "1"
            source = "these tests"
            licence = "Apache-2.0"
            file = {{ package = "means", version = "1", wheel_bytes = 0, member = "means.onnx", bytes = {bytes}, sha256 = "{model}" }}
            input = {{ name = "picture", shape = [1, 3, 8, 8], layout = "nchw", fit = "centre-square", filter = "catmull-rom", mean = [0, 0, 0], std = [1, 1, 1] }}
            output = {{ name = "{output}", shape = [1, {features}] }}
            verified = [{{ runtime = "{runtime}", golden = {golden}, tolerance = 0.01 }}]

            [[head]]
            name = "ai-generated"
            version = "7"
            model = "means@1"
            labels = ["human", "generated"]
            weights = "head.json"
            sha256 = "{head}"
            thresholds = {{ low = 0.2, high = 0.8 }}
            "#,
            bytes = self.model.len(),
            model = sha256(&self.model),
            output = self.output,
            features = self.features,
            runtime = self.runtime,
            golden = self.golden,
            head = sha256(weights.as_bytes()),
        );
        fs::write(at("models.toml"), registry).unwrap();
        let config = DetectConfig {
            models_dir: folder.path().to_path_buf(),
            registry: Some(at("models.toml")),
            onnxruntime_library: Some(at("no-such-library.so")),
            ..DetectConfig::default()
        };
        Installed { folder, config }
    }
}

/// A picture of one colour as a PNG.
pub fn plain(colour: [u8; 3]) -> Vec<u8> {
    png(&RgbImage::from_pixel(64, 48, Rgb(colour)))
}

pub fn png(picture: &RgbImage) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).unwrap();
    file.into_inner()
}

/// A picture of the fixtures folder.
pub fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(name)).unwrap()
}
