//! A configuration with some keys changed, for asking what a score would be by other weights.

use toml::{Table, Value};

use super::ScoringConfig;

/// Why a change can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Not `key = value`.
    #[error("{0:?} is no change: write a key of [scoring] and a value, as in ai.points=20")]
    NotAChange(String),
    /// A key that is none, or a value of another kind.
    #[error("scoring: {0}")]
    Refused(Box<toml::de::Error>),
    /// The configuration itself can't be written down.
    #[error("scoring: {0}")]
    Unwritable(Box<toml::ser::Error>),
    /// Values that make no sense together.
    #[error(transparent)]
    Invalid(#[from] super::ConfigError),
}

impl ScoringConfig {
    /// This configuration with the keys of `table`, shaped as `[scoring]` is, in the place of its own; lists are replaced whole.
    ///
    /// # Errors
    /// When a key is unknown or a value makes no sense.
    pub fn changed(&self, table: &Table) -> Result<Self, ChangeError> {
        let mut all =
            Table::try_from(self).map_err(|error| ChangeError::Unwritable(Box::new(error)))?;
        merge(&mut all, table);
        let changed: Self = all
            .try_into()
            .map_err(|error| ChangeError::Refused(Box::new(error)))?;
        changed.validate()?;
        Ok(changed)
    }

    /// This configuration with one key changed, written `ai.points=20`.
    ///
    /// # Errors
    /// When it is no such change, or one that makes no sense.
    pub fn with(&self, change: &str) -> Result<Self, ChangeError> {
        let not_a_change = || ChangeError::NotAChange(change.to_owned());
        let (key, value) = change.split_once('=').ok_or_else(not_a_change)?;
        let (key, value) = (key.trim(), value.trim());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        if key.is_empty() || !key.chars().all(plain) {
            return Err(not_a_change());
        }
        // What is no number, list or truth is a text.
        let table = toml::from_str(&format!("{key} = {value}"))
            .or_else(|_| toml::from_str(&format!("{key} = {}", Value::String(value.to_owned()))))
            .map_err(|_| not_a_change())?;
        self.changed(&table)
    }
}

fn merge(all: &mut Table, changes: &Table) {
    for (key, change) in changes {
        match (all.get_mut(key), change) {
            (Some(Value::Table(inner)), Value::Table(change)) => merge(inner, change),
            _ => {
                all.insert(key.clone(), change.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_changed_and_the_others_stay() {
        let config = ScoringConfig::default();
        let changed = config.with("ai.points = 20").unwrap();
        assert_eq!(changed.ai.points, 20.0);
        assert_eq!(changed.fact_check, config.fact_check);
        assert_eq!(
            config
                .with("sources.reliability.high=0.9")
                .unwrap()
                .sources
                .reliability
                .high,
            0.9
        );
        assert_eq!(
            config
                .with("patterns=/etc/x")
                .unwrap()
                .patterns
                .unwrap()
                .to_str(),
            Some("/etc/x")
        );
        let table = toml::from_str("[text]\nstart = 50\n[ai]\nfactor = 2.0").unwrap();
        let changed = config.changed(&table).unwrap();
        assert_eq!(
            (changed.text.start, changed.ai.factor, changed.ai.points),
            (50.0, 2.0, 30.0)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |change| {
            ScoringConfig::default()
                .with(change)
                .unwrap_err()
                .to_string()
        };
        assert!(
            refused("ai.pints=20").contains("pints"),
            "{}",
            refused("ai.pints=20")
        );
        assert!(refused("ai.points=many").contains("scoring: "));
        assert!(refused("ai.points=-3").contains("scoring.ai.points must be between"));
        assert!(refused("ai.threshold=2").contains("ai.threshold"));
        for change in ["ai.points", "=3", "a b=3", ""] {
            assert!(refused(change).contains("is no change"), "{change}");
        }
    }
}
