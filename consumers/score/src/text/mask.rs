//! What is no prose in a text: URLs, @mentions, the # of hashtags. Their words must not be read as the author's.

use std::ops::Range;

use crate::links::url_spans;

/// What a span stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mask {
    /// A URL, with or without its scheme.
    Url,
    /// An account: `@someone`.
    Mention,
    /// The # of a hashtag; the tag itself is prose.
    Hash,
}

/// The masked spans of a text, bytes, in order and apart from each other.
pub(super) fn masks(text: &str) -> Vec<(Range<usize>, Mask)> {
    let mut masks: Vec<_> = url_spans(text)
        .map(|(start, end)| (start..end, Mask::Url))
        .collect();
    let urls = masks.len();
    let mut url = 0;
    let mut before = ' ';
    let mut next = 0;
    for (at, c) in text.char_indices() {
        while url < urls && masks[url].0.end <= at {
            url += 1;
        }
        let in_url = masks[..urls]
            .get(url)
            .is_some_and(|(span, _)| span.start <= at);
        if at >= next && !in_url {
            let found = match c {
                '@' if !is_word(before) && before != '@' => mention(text, at),
                'w' | 'W' if !is_word(before) => bare_url(text, at),
                '#' | '＃' => hash(text, at, c),
                _ => None,
            };
            if let Some((span, mask)) = found {
                next = span.end;
                masks.push((span, mask));
            }
        }
        before = c;
    }
    masks.sort_by_key(|(span, _)| span.start);
    masks
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `@some.one`, without the stop that ends a sentence.
fn mention(text: &str, at: usize) -> Option<(Range<usize>, Mask)> {
    let name = &text[at + 1..];
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let name = &name[..name.find(|c| !letter(c)).unwrap_or(name.len())];
    let name = name.trim_end_matches('.');
    let begins = name.starts_with(|c: char| c != '.');
    begins.then(|| (at..at + 1 + name.len(), Mask::Mention))
}

/// `www.example.org/path`, which people write without a scheme.
fn bare_url(text: &str, at: usize) -> Option<(Range<usize>, Mask)> {
    const PREFIX: &str = "www.";
    let rest = &text[at..];
    let begins = rest.get(..PREFIX.len())?.eq_ignore_ascii_case(PREFIX);
    if !begins {
        return None;
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let url = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'']);
    (url.len() > PREFIX.len()).then(|| (at..at + url.len(), Mask::Url))
}

fn hash(text: &str, at: usize, c: char) -> Option<(Range<usize>, Mask)> {
    let end = at + c.len_utf8();
    let tag = text[end..].starts_with(is_word);
    tag.then_some((at..end, Mask::Hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> Vec<(&str, Mask)> {
        masks(text)
            .into_iter()
            .map(|(span, mask)| (&text[span], mask))
            .collect()
    }

    #[test]
    fn urls_mentions_and_hashes_are_found_and_nothing_else() {
        use Mask::{Hash, Mention, Url};
        assert_eq!(
            masked(
                "See https://cures.example/detox?x=1! now, www.heal.example/a. Thanks @dr.cure. #detox#now # 1"
            ),
            [
                ("https://cures.example/detox?x=1", Url),
                ("www.heal.example/a", Url),
                ("@dr.cure", Mention),
                ("#", Hash),
                ("#", Hash)
            ]
        );
        assert_eq!(masked("me@x.example, a @ b, @, @@x, www. wwwwhat"), []);
        assert_eq!(
            masked("https://x.example/@me#top"),
            [("https://x.example/@me#top", Url)]
        );
        assert_eq!(masked("＃wake"), [("＃", Hash)]);
        assert_eq!(masked("ŵww.x @é"), []);
    }
}
