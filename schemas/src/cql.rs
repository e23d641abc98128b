//! The tables on ScyllaDB or Apache Cassandra: numbered files in `schemas/cql`, applied in order, each once. A file that was
//! released is never changed.

/// One file of CQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub number: u32,
    /// The file's name without the number and the ending.
    pub name: &'static str,
    /// Its text: idempotent statements, each ended by `;`.
    pub text: &'static str,
}

/// All migrations in order.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "tables",
        text: include_str!("../cql/0001_tables.cql"),
    },
    Migration {
        number: 2,
        name: "keys",
        text: include_str!("../cql/0002_keys.cql"),
    },
    Migration {
        number: 3,
        name: "votes",
        text: include_str!("../cql/0003_votes.cql"),
    },
    Migration {
        number: 4,
        name: "owned",
        text: include_str!("../cql/0004_owned.cql"),
    },
    Migration {
        number: 5,
        name: "marks",
        text: include_str!("../cql/0005_marks.cql"),
    },
    Migration {
        number: 6,
        name: "intake",
        text: include_str!("../cql/0006_intake.cql"),
    },
    Migration {
        number: 7,
        name: "webhooks",
        text: include_str!("../cql/0007_webhooks.cql"),
    },
    Migration {
        number: 8,
        name: "appearances",
        text: include_str!("../cql/0008_appearances.cql"),
    },
];

impl Migration {
    /// Its statements, without comments.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        let lines = self.text.lines();
        let code: Vec<&str> = lines
            .map(|line| line.split("--").next().unwrap_or_default())
            .collect();
        code.join("\n")
            .split(';')
            .map(str::trim)
            .filter(|statement| !statement.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_in_the_list_under_its_number_and_name() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/cql");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS
            .iter()
            .map(|migration| format!("{:04}_{}.cql", migration.number, migration.name))
            .collect();
        assert_eq!(files, listed);
        let numbers: Vec<u32> = MIGRATIONS
            .iter()
            .map(|migration| migration.number)
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn statements_are_safe_to_run_twice_and_use_what_both_databases_have() {
        for migration in MIGRATIONS {
            let statements = migration.statements();
            assert!(!statements.is_empty());
            for statement in statements {
                assert!(statement.contains("IF NOT EXISTS"), "{statement}");
                let upper = statement.to_uppercase();
                for word in ["MATERIALIZED", "INDEX", "COUNTER", "ALLOW FILTERING"] {
                    assert!(!upper.contains(word), "{word}: {statement}");
                }
                assert!(!statement.contains("--"), "{statement}");
            }
        }
    }
}
