//! Names of topics.

use std::{
    borrow::Cow,
    cmp::Ordering,
    collections::HashSet,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::{LazyLock, Mutex, PoisonError},
};

/// The name of a topic. Topics are few, and every record names one: each name is kept once, for as long as the process lives.
/// A count of references would be written by all threads for every record, several times.
#[derive(Clone, Copy, Eq)]
pub struct TopicName(&'static str);

static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);

impl From<&str> for TopicName {
    fn from(name: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let kept: &'static str = name.to_owned().leak();
        names.insert(kept);
        Self(kept)
    }
}

impl From<String> for TopicName {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl From<TopicName> for Cow<'static, str> {
    fn from(name: TopicName) -> Self {
        Self::Borrowed(name.0)
    }
}

impl PartialEq for TopicName {
    fn eq(&self, other: &Self) -> bool {
        // One name is kept in one place.
        std::ptr::eq(self.0, other.0)
    }
}

impl Ord for TopicName {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        self.0.cmp(other.0)
    }
}

impl PartialOrd for TopicName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for TopicName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Deref for TopicName {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_topic_however_it_is_given() {
        let (a, b) = (TopicName::from("one"), TopicName::from(String::from("one")));
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_eq!(&*a, "one");
        assert!(a < TopicName::from("two") && TopicName::from("two") > b);
    }
}
