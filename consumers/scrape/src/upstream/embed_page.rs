//! Takes caption, author and first picture out of the embed page. Not a general HTML reader: one pass over the tags, which skips
//! what it does not know, never looks back, and ends quietly wherever the page does.

/// What the page shows. Empty where nothing was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EmbedPage {
    /// `data-media-type` of the frame: GraphImage, GraphVideo or GraphSidecar.
    pub media_type: Option<String>,
    /// User name of the author.
    pub username: Option<String>,
    /// The caption, lines as shown.
    pub caption: Option<String>,
    /// Address of the first picture.
    pub picture: Option<String>,
}

/// Elements without an end tag (HTML Living Standard, 13.1.2).
const VOID: [&str; 13] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// Elements whose content is text whatever it looks like.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

/// Reads a page.
pub fn read(html: &str) -> EmbedPage {
    let mut page = EmbedPage::default();
    let mut caption = Caption::default();
    let mut awaits_username = false;
    let mut rest = html;
    while let Some(token) = next_token(&mut rest) {
        match &token {
            Token::Open { name, attributes } => {
                let class = attribute(attributes, "class").unwrap_or_default();
                let has_class = |wanted: &str| class.split_ascii_whitespace().any(|c| c == wanted);
                if has_class("Embed") && page.media_type.is_none() {
                    page.media_type = attribute(attributes, "data-media-type");
                }
                if has_class("EmbeddedMediaImage") && page.picture.is_none() {
                    page.picture = attribute(attributes, "src");
                }
                awaits_username = page.username.is_none()
                    && (has_class("UsernameText") || has_class("CaptionUsername"));
                let aside = has_class("CaptionUsername") || has_class("CaptionComments");
                caption.open(name, has_class("Caption"), aside);
            }
            Token::Close { name } => caption.close(name),
            Token::Text(text) => {
                let name = decode(text).trim().to_owned();
                if awaits_username && !name.is_empty() {
                    page.username = Some(name);
                    awaits_username = false;
                }
                caption.text(text);
            }
        }
    }
    page.caption = caption.finish();
    page
}

/// The caption as it is put together. Depth counts the open elements within it.
#[derive(Default)]
struct Caption {
    depth: usize,
    /// Depth of the author's name or the link to the comments, whose text is no caption.
    aside: Option<usize>,
    found: bool,
    text: String,
}

impl Caption {
    fn open(&mut self, name: &str, is_caption: bool, is_aside: bool) {
        if self.depth == 0 {
            if is_caption && !self.found {
                self.depth = 1;
                self.found = true;
            }
        } else if name == "br" {
            self.push("\n");
        } else if !VOID.contains(&name) {
            self.depth += 1;
            if is_aside && self.aside.is_none() {
                self.aside = Some(self.depth);
            }
        }
    }

    fn close(&mut self, name: &str) {
        if self.depth > 0 && !VOID.contains(&name) {
            if self.aside == Some(self.depth) {
                self.aside = None;
            }
            self.depth -= 1;
        }
    }

    fn text(&mut self, text: &str) {
        if self.depth > 0 {
            let blank = |c: char| c.is_ascii_whitespace();
            let mut shown = String::new();
            for word in text.split_inclusive(blank) {
                let bare = word.trim_end_matches(blank);
                shown.push_str(bare);
                if bare.len() < word.len() && !shown.ends_with(' ') {
                    shown.push(' ');
                }
            }
            self.push(&decode(&shown));
        }
    }

    fn push(&mut self, text: &str) {
        if self.aside.is_none() {
            self.text.push_str(text);
        }
    }

    fn finish(self) -> Option<String> {
        let text = self.text.trim();
        (self.found && !text.is_empty()).then(|| text.to_owned())
    }
}

enum Token<'a> {
    Open { name: String, attributes: &'a str },
    Close { name: String },
    Text(&'a str),
}

fn next_token<'a>(rest: &mut &'a str) -> Option<Token<'a>> {
    while !rest.is_empty() {
        let tag = rest.find('<').unwrap_or(rest.len());
        if tag > 0 {
            let (text, after) = rest.split_at(tag);
            *rest = after;
            return Some(Token::Text(text));
        }
        let inside = &rest[1..];
        if let Some(comment) = inside.strip_prefix("!--") {
            *rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if inside.starts_with(['!', '?']) {
            *rest = inside.find('>').map_or("", |end| &inside[end + 1..]);
        } else if inside.starts_with('/') || inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let end = tag_end(inside)?;
            let (tag, after) = (&inside[..end], &inside[end + 1..]);
            *rest = after;
            return Some(read_tag(tag, rest));
        } else {
            *rest = inside;
            return Some(Token::Text("<"));
        }
    }
    None
}

/// Where the `>` of a tag is, not counting those in quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut quote = None;
    tag.bytes().position(|byte| {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None => return byte == b'>',
        }
        false
    })
}

fn read_tag<'a>(tag: &'a str, rest: &mut &'a str) -> Token<'a> {
    let (closes, tag) = match tag.strip_prefix('/') {
        Some(tag) => (true, tag),
        None => (false, tag),
    };
    let end = tag
        .find(|c: char| c.is_ascii_whitespace() || c == '/')
        .unwrap_or(tag.len());
    let (name, attributes) = tag.split_at(end);
    let name = name.to_ascii_lowercase();
    if closes {
        return Token::Close { name };
    }
    if RAW.contains(&name.as_str()) {
        *rest = after_raw(rest, &name);
    }
    Token::Open { name, attributes }
}

/// What follows the content of a raw element: its end tag, or nothing.
fn after_raw<'a>(rest: &'a str, name: &str) -> &'a str {
    let bytes = rest.as_bytes();
    let ends = |at: &usize| {
        bytes[*at] == b'<'
            && bytes.get(at + 1) == Some(&b'/')
            && bytes
                .get(at + 2..at + 2 + name.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    };
    (0..bytes.len()).find(ends).map_or("", |at| &rest[at..])
}

/// The value of an attribute, decoded.
fn attribute(attributes: &str, wanted: &str) -> Option<String> {
    let mut rest = attributes.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/')
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_ascii_start();
        let (value, after) = match after.strip_prefix('=') {
            Some(value) => split_value(value.trim_ascii_start()),
            None => ("", after),
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(decode(value));
        }
        let next = after.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        // A stray sign that is no name: step over it.
        rest = if next.len() == rest.len() {
            let mut chars = rest.chars();
            chars.next();
            chars.as_str()
        } else {
            next
        };
    }
    None
}

fn split_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(value) = text.strip_prefix(quote) {
            return value.split_once(quote).unwrap_or((value, ""));
        }
    }
    text.split_at(
        text.find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(text.len()),
    )
}

/// Decodes character references; what is none stays as it is.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        // The longest reference known here has 8 characters before its semicolon.
        let end = rest.bytes().take(10).position(|byte| byte == b';');
        match end.and_then(|end| Some((reference(&rest[1..end])?, end))) {
            Some((character, end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

#[cfg(test)]
mod tests;
