//! Just enough of the ONNX format (onnx.proto3, protocol buffers) to find weights that are kept in another file, and to ask for
//! what a model has inside.
//!
//! A model may name any path for its weights, and its own SHA-256 says nothing about that file, so such models are refused.

/// Field numbers of the messages that can lead to a tensor, from onnx.proto3.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Function,
    SparseTensor,
    Training,
    Tensor,
}

impl Message {
    /// The message in field `number` of this one, where it can lead to a tensor.
    const fn child(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Training, 1 | 2) => Self::Graph,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) => Self::Tensor,
            (Self::Graph, 15) => Self::SparseTensor,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Attribute, 5 | 10) => Self::Tensor,
            (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::SparseTensor, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }
}

/// `TensorProto.external_data`, a list of key and value.
const EXTERNAL_DATA: u64 = 13;
/// `TensorProto.data_location`; 1 is EXTERNAL.
const DATA_LOCATION: u64 = 14;
/// Graphs within graphs go this deep; real models reach 4.
const MAX_DEPTH: u8 = 64;

/// The path of weights that `model` keeps in another file, if it does. Empty when it names none.
pub(crate) fn external_data(model: &[u8]) -> Result<Option<String>, &'static str> {
    let mut has_graph = false;
    for field in Fields(model) {
        let (number, value) = field?;
        has_graph |= number == 7 && matches!(value, Value::Bytes(_));
    }
    if !has_graph {
        return Err("it has no graph");
    }
    search(Message::Model, model, 0)
}

/// Makes values of a model's graph outputs too. A message of protocol buffers that stands in another twice is read as one
/// with the fields of both, so a second `ModelProto.graph` (7) with nothing but `GraphProto.output` (12) is enough; what type they are is
/// inferred from the graph.
pub(crate) fn add_outputs(model: &mut Vec<u8>, names: &[String]) {
    let outputs = names
        .iter()
        .flat_map(|name| field(12, &field(1, name.as_bytes())));
    let outputs: Vec<u8> = outputs.collect();
    model.extend(field(7, &outputs));
}

/// A field of bytes: its tag, their count as a base-128 number, they themselves.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut written = vec![number << 3 | 2];
    let mut left = bytes.len();
    while left > 0x7F {
        written.push((left & 0x7F) as u8 | 0x80);
        left >>= 7;
    }
    written.push(left as u8);
    written.extend_from_slice(bytes);
    written
}

fn search(message: Message, bytes: &[u8], depth: u8) -> Result<Option<String>, &'static str> {
    if depth > MAX_DEPTH {
        return Err("its graphs are nested too deep");
    }
    if matches!(message, Message::Tensor) {
        return tensor(bytes);
    }
    for field in Fields(bytes) {
        let (number, value) = field?;
        if let (Some(child), Value::Bytes(bytes)) = (message.child(number), value)
            && let Some(location) = search(child, bytes, depth + 1)?
        {
            return Ok(Some(location));
        }
    }
    Ok(None)
}

fn tensor(bytes: &[u8]) -> Result<Option<String>, &'static str> {
    let (mut external, mut location) = (false, String::new());
    for field in Fields(bytes) {
        match field? {
            (DATA_LOCATION, Value::Number(1)) => external = true,
            (EXTERNAL_DATA, Value::Bytes(entry)) => {
                external = true;
                if let Some(path) = location_in(entry)? {
                    location = path;
                }
            }
            _ => {}
        }
    }
    Ok(external.then_some(location))
}

/// The value of a `StringStringEntryProto` whose key is `location`.
fn location_in(entry: &[u8]) -> Result<Option<String>, &'static str> {
    let (mut is_location, mut value) = (false, None);
    for field in Fields(entry) {
        match field? {
            (1, Value::Bytes(key)) => is_location = key == b"location",
            (2, Value::Bytes(text)) => value = Some(String::from_utf8_lossy(text).into_owned()),
            _ => {}
        }
    }
    Ok(value.filter(|_| is_location))
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of one message, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field().ok_or("it is cut or no protocol buffer");
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, body.len() as u8];
        bytes.extend(body);
        bytes
    }

    fn external_tensor() -> Vec<u8> {
        let entry = [message(1, b"location"), message(2, b"../weights.bin")].concat();
        [message(13, &entry), vec![14 << 3, 1]].concat()
    }

    #[test]
    fn weights_in_another_file_are_found_wherever_they_hide() {
        let tensor = external_tensor();
        let in_initializer = message(7, &message(5, &tensor));
        let in_constant = message(7, &message(1, &message(5, &message(5, &tensor))));
        let in_subgraph = message(
            7,
            &message(1, &message(5, &message(6, &message(5, &tensor)))),
        );
        for model in [in_initializer, in_constant, in_subgraph] {
            assert_eq!(external_data(&model), Ok(Some("../weights.bin".to_owned())));
        }
    }

    #[test]
    fn a_model_complete_in_itself_has_none() {
        assert_eq!(
            external_data(&message(7, &message(5, &message(9, b"raw")))),
            Ok(None)
        );
    }

    #[test]
    fn what_is_no_model_is_refused() {
        assert!(external_data(b"").is_err());
        assert!(external_data(b"PK\x03\x04 something else").is_err());
        let model = message(7, &message(5, &external_tensor()));
        for cut in 1..model.len() {
            assert!(external_data(&model[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn further_outputs_are_a_second_graph_behind_the_first() {
        let model = message(7, &message(5, &message(9, b"raw")));
        let names = ["state".to_owned(), "s".repeat(200)];
        let mut more = model.clone();
        add_outputs(&mut more, &names);
        let graphs: Vec<_> = Fields(&more).map(Result::unwrap).collect();
        let [(7, Value::Bytes(first)), (7, Value::Bytes(second))] = graphs[..] else {
            panic!("two graphs");
        };
        assert_eq!(first, &model[2..]);
        let outputs = Fields(second).map(Result::unwrap).map(|(number, value)| {
            assert_eq!(number, 12);
            let Value::Bytes(output) = value else {
                panic!("a message");
            };
            let (1, Value::Bytes(name)) = Fields(output).next().unwrap().unwrap() else {
                panic!("a name");
            };
            String::from_utf8(name.to_vec()).unwrap()
        });
        assert_eq!(outputs.collect::<Vec<_>>(), names);
    }

    #[test]
    fn nesting_is_bounded() {
        // A tag byte and a two-byte length per level.
        let mut model = Vec::new();
        for level in 0..400 {
            // From the outside: node 1, attribute 5, graph 6, node 1 and so on.
            let tag = [1, 6, 5][level % 3];
            let length = model.len() as u16;
            let head = [
                tag << 3 | 2,
                (length & 0x7F) as u8 | 0x80,
                (length >> 7) as u8,
            ];
            model = [&head[..], &model].concat();
        }
        let length = model.len() as u16;
        let head = [
            7 << 3 | 2,
            (length & 0x7F) as u8 | 0x80,
            (length >> 7) as u8,
        ];
        let model = [&head[..], &model].concat();
        assert_eq!(external_data(&model), Err("its graphs are nested too deep"));
    }
}
