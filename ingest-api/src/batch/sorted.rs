//! The items of a batch, sorted out: what is new in it, what repeats an earlier item, and what can't be taken.

use std::collections::{BTreeMap, HashMap, hash_map};

use schemas::PostRef;

use super::request::Entry;

/// An item.
#[derive(Debug)]
pub struct Item {
    /// What becomes of it.
    pub fate: Fate,
    /// What the caller calls it.
    pub client_ref: Option<String>,
}

/// What becomes of an item.
#[derive(Debug)]
pub enum Fate {
    /// It is to be submitted.
    Fresh(PostRef),
    /// It asks for the post of the item at this place.
    Repeats(u32),
    /// It can't be taken.
    Malformed {
        /// What was sent, cut where it is long.
        url: String,
        /// Why.
        message: String,
    },
}

/// The items of a batch by their places.
#[derive(Debug, Default)]
pub struct Sorted {
    /// All of them.
    pub items: Vec<Item>,
    /// How many are to be submitted.
    pub fresh: usize,
    /// How many repeat another.
    pub repeats: u32,
    /// How many can't be taken.
    pub malformed: u32,
}

impl Sorted {
    /// Sorts items out.
    #[must_use]
    pub fn of(entries: &[Entry<'_>], max_url_length: usize) -> Self {
        let mut sorted = Self {
            items: Vec::with_capacity(entries.len()),
            ..Self::default()
        };
        let mut seen = HashMap::with_capacity(entries.len());
        for (index, entry) in (0..).zip(entries) {
            let item = match entry.read(max_url_length) {
                Err(message) => {
                    sorted.malformed += 1;
                    Item {
                        fate: Fate::Malformed {
                            url: entry.echo(),
                            message,
                        },
                        client_ref: None,
                    }
                }
                Ok(asked) => Item {
                    fate: match seen.entry(asked.post.post_id.clone()) {
                        hash_map::Entry::Occupied(first) => {
                            sorted.repeats += 1;
                            Fate::Repeats(*first.get())
                        }
                        hash_map::Entry::Vacant(place) => {
                            place.insert(index);
                            sorted.fresh += 1;
                            Fate::Fresh(asked.post)
                        }
                    },
                    client_ref: asked.client_ref,
                },
            };
            sorted.items.push(item);
        }
        sorted
    }

    /// Posts to submit, with their places.
    pub fn fresh(&self) -> impl Iterator<Item = (u32, &PostRef)> {
        (0..)
            .zip(&self.items)
            .filter_map(|(index, item)| match &item.fate {
                Fate::Fresh(post) => Some((index, post)),
                Fate::Repeats(_) | Fate::Malformed { .. } => None,
            })
    }

    /// What the caller calls the items that are to be submitted, by their places.
    #[must_use]
    pub fn client_refs(&self) -> BTreeMap<u32, String> {
        let named = (0..).zip(&self.items).filter_map(|(index, item)| {
            let name = item.client_ref.clone()?;
            matches!(item.fate, Fate::Fresh(_)).then_some((index, name))
        });
        named.collect()
    }
}
