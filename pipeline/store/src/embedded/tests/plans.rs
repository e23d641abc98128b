//! What is run for every post must not cost more the more posts there are.

use super::{super::items, open_sqlite};

#[tokio::test]
async fn items_of_an_analysis_are_found_by_an_index() {
    let (store, _folder) = open_sqlite();
    for sql in [items::END_WAITING, items::END_FAILED] {
        let plan: Vec<String> = store
            .readers
            .run(move |connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let steps = statement.raw_query().mapped(|row| row.get("detail"));
                Ok(steps.collect::<rusqlite::Result<_>>()?)
            })
            .await
            .unwrap();
        assert!(
            plan.iter()
                .any(|step| step.starts_with("SEARCH items USING INDEX items_")),
            "{plan:?}"
        );
        assert!(
            plan.iter().all(|step| !step.starts_with("SCAN")),
            "{plan:?}"
        );
    }
}
