//! Publishers and how reliable they are: the built-in list, an operator's additions, and the rating of a post's links, or of its
//! account where it has none.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use schemas::Reason;
use serde::{Deserialize, Serialize};

use crate::config::{ReliabilityNumbers, SourceWeights};
use crate::links::{Link, registrable_domain};

const BUILT_IN: &str = include_str!("../data/sources.csv");
/// Accounts of those publishers.
const ACCOUNTS: &str = include_str!("../data/accounts.csv");
/// Domains that lead elsewhere, so that nobody sees where.
const SHORTENERS: &str = include_str!("../data/shorteners.csv");

/// How reliable a publisher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reliability {
    /// Corrects itself, names its sources.
    VeryHigh,
    /// Mostly so.
    High,
    /// Sometimes so.
    Mixed,
    /// Seldom so; social sites, where anyone publishes.
    Low,
    /// Known for invented stories.
    VeryLow,
    /// Invents on purpose, to amuse.
    Satire,
    /// Not in the list.
    Unknown,
}

impl Reliability {
    pub(crate) fn number(self, numbers: &ReliabilityNumbers) -> f64 {
        match self {
            Self::VeryHigh => numbers.very_high,
            Self::High => numbers.high,
            Self::Mixed => numbers.mixed,
            Self::Low => numbers.low,
            Self::VeryLow => numbers.very_low,
            Self::Satire => numbers.satire,
            Self::Unknown => numbers.unknown,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Publisher {
    domain: String,
    name: String,
    bias: String,
    reliability: Reliability,
    /// User names of its accounts, apart by blanks; only an operator's file has this column.
    #[serde(default)]
    accounts: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    username: String,
    domain: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shortener {
    domain: String,
}

/// Why a list of publishers can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceListError {
    /// The operator's file can't be read.
    #[error("can't read the list of sources {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line is not `domain,name,bias,reliability`.
    #[error("list of sources {list}: {error}")]
    Malformed {
        /// The file, or `built-in`.
        list: String,
        /// Line and column of it.
        error: csv::Error,
    },
    /// A shortener: where its links lead is unknown, so they can't be rated.
    #[error("list of sources {list}: {domain} shortens links of everyone; they stay unknown")]
    Shortener {
        /// The file.
        list: String,
        /// As written.
        domain: String,
    },
    /// An account of a publisher that is not in the list.
    #[error("list of accounts: {username} belongs to {domain}, which is in no list of sources")]
    Account {
        /// The account.
        username: String,
        /// As written.
        domain: String,
    },
    /// A domain that no link could ever match.
    #[error("list of sources {list}: {domain} is not a registrable domain{}", hint(.registrable.as_deref()))]
    NotRegistrable {
        /// The file, or `built-in`.
        list: String,
        /// As written.
        domain: String,
        /// What to write instead, where there is one.
        registrable: Option<String>,
    },
}

fn hint(registrable: Option<&str>) -> String {
    registrable.map_or_else(String::new, |domain| format!("; write {domain}"))
}

/// Publishers by registrable domain.
#[derive(Debug)]
pub(crate) struct SourceList {
    publishers: HashMap<String, Publisher>,
    /// Domains of publishers by the user names of their accounts, lower case.
    accounts: HashMap<String, String>,
    shorteners: HashSet<String>,
}

/// Who posted, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poster<'a> {
    pub username: &'a str,
    pub is_verified: bool,
}

impl SourceList {
    /// The built-in list, extended or overridden by the operator's file.
    pub(crate) fn load(weights: &SourceWeights) -> Result<Self, SourceListError> {
        let built_in = |error| SourceListError::Malformed {
            list: "built-in".to_owned(),
            error,
        };
        let shorteners = rows::<Shortener>(SHORTENERS).map(|row| Ok(row.map_err(built_in)?.domain));
        let mut list = Self {
            publishers: HashMap::new(),
            accounts: HashMap::new(),
            shorteners: shorteners.collect::<Result<_, SourceListError>>()?,
        };
        list.read("built-in", BUILT_IN)?;
        for account in rows::<Account>(ACCOUNTS) {
            let Account { username, domain } = account.map_err(built_in)?;
            if !list.publishers.contains_key(&domain) {
                return Err(SourceListError::Account { username, domain });
            }
            list.accounts.insert(username, domain);
        }
        if let Some(path) = &weights.file {
            let text =
                std::fs::read_to_string(path).map_err(|error| SourceListError::Unreadable {
                    path: path.clone(),
                    error,
                })?;
            list.read(&path.display().to_string(), &text)?;
        }
        Ok(list)
    }

    fn read(&mut self, list: &str, text: &str) -> Result<(), SourceListError> {
        for row in rows::<Publisher>(text) {
            let publisher = row.map_err(|error| SourceListError::Malformed {
                list: list.to_owned(),
                error,
            })?;
            let registrable = registrable_domain(&publisher.domain);
            if registrable.as_deref() != Some(publisher.domain.as_str()) {
                return Err(SourceListError::NotRegistrable {
                    list: list.to_owned(),
                    domain: publisher.domain,
                    registrable,
                });
            }
            if self.shorteners.contains(&publisher.domain) {
                return Err(SourceListError::Shortener {
                    list: list.to_owned(),
                    domain: publisher.domain,
                });
            }
            for username in publisher.accounts.split_whitespace() {
                self.accounts
                    .insert(username.to_lowercase(), publisher.domain.clone());
            }
            self.publishers.insert(publisher.domain.clone(), publisher);
        }
        Ok(())
    }

    /// The lists as text in a fixed order: equal for equal lists, so it identifies them.
    pub(crate) fn canonical(&self) -> String {
        let publishers = self.publishers.values().map(|p| format!("{p:?}"));
        let accounts = self.accounts.iter().map(|account| format!("{account:?}"));
        let mut rows: Vec<_> = publishers
            .chain(accounts)
            .chain(self.shorteners.iter().cloned())
            .collect();
        rows.sort();
        rows.join("\n")
    }

    /// Rates a post's links, or its account where there are none.
    ///
    /// # Errors
    /// [`Reason::NoAuthor`] when the post has neither links nor an author.
    pub(crate) fn rate(
        &self,
        links: &[Link],
        poster: Option<Poster<'_>>,
        weights: &SourceWeights,
    ) -> Result<SourceEvidence, Reason> {
        let rated: Vec<RatedLink> = links
            .iter()
            .take(weights.links_rated)
            .map(|link| self.rate_link(link))
            .collect();
        if rated.is_empty() {
            let poster = poster.ok_or(Reason::NoAuthor)?;
            let publisher = self.publisher_of(poster);
            let average = match publisher {
                Some(publisher) => publisher.reliability.number(&weights.reliability),
                None if poster.is_verified => weights.verified_account,
                None => weights.unverified_account,
            };
            let account = publisher.map(|publisher| publisher.name.clone());
            return Ok(SourceEvidence {
                average,
                rated,
                account,
            });
        }
        let sum: f64 = rated
            .iter()
            .map(|link| link.reliability.number(&weights.reliability))
            .sum();
        let average = crate::round2(sum / rated.len() as f64);
        Ok(SourceEvidence {
            average,
            rated,
            account: None,
        })
    }

    /// The publisher whose account this is. Anyone can take a name that looks right, so only a verified account counts.
    fn publisher_of(&self, poster: Poster<'_>) -> Option<&Publisher> {
        let domain = self.accounts.get(&poster.username.to_lowercase())?;
        self.publishers.get(domain).filter(|_| poster.is_verified)
    }

    fn rate_link(&self, link: &Link) -> RatedLink {
        let publisher = link
            .domain
            .as_ref()
            .and_then(|domain| self.publishers.get(domain));
        RatedLink {
            url: link.url.clone(),
            domain: link.domain.clone(),
            name: publisher.map(|p| p.name.clone()),
            bias: publisher.map(|p| p.bias.clone()),
            reliability: publisher.map_or(Reliability::Unknown, |p| p.reliability),
            shortened: link
                .domain
                .as_ref()
                .is_some_and(|domain| self.shorteners.contains(domain)),
        }
    }
}

fn rows<'a, T: serde::de::DeserializeOwned + 'a>(
    text: &'a str,
) -> impl Iterator<Item = Result<T, csv::Error>> + 'a {
    let reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    reader.into_deserialize()
}

/// What the links of a post, or its account, say about its sources.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceEvidence {
    /// Average reliability, 0 to 1, two decimals.
    pub average: f64,
    /// The links it is made of; empty when it is the account's.
    pub rated: Vec<RatedLink>,
    /// The publisher whose own account the average is of.
    pub account: Option<String>,
}

/// One link with its rating.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RatedLink {
    /// As written.
    pub url: String,
    /// Registrable domain.
    pub domain: Option<String>,
    /// The publisher's name, if it is in the list.
    pub name: Option<String>,
    /// Its political leaning: shown, never scored.
    pub bias: Option<String>,
    /// Its reliability.
    pub reliability: Reliability,
    /// Whether it is a shortened link, which may lead anywhere.
    pub shortened: bool,
}

#[cfg(test)]
mod tests;
