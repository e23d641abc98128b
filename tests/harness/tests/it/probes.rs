//! Probes while what the process depends on hangs.

mod real {
    use std::time::Duration;

    use tokio::time::Instant;
    use trustcard_tests::{cluster::Cluster, cql_proxy::Mood, wait::until};

    /// Far longer than the test: nothing gets through.
    const HANGS: Duration = Duration::from_secs(3600);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn probes_answer_while_store_and_broker_hang_and_liveness_depends_on_neither() {
        let mut cluster = Cluster::start(1).await;
        let kafka = cluster.behind_proxy();
        let store = cluster.behind_cql_proxy().await;
        let roles = cluster
            .roles(["api", "record", "scrape", "detect", "score", "webhook"])
            .await;
        let api = &roles[0].api;
        until("all to be well", async || {
            let (_, told) = api.try_get("/health").await?;
            (told["status"] == "healthy").then_some(())
        })
        .await;
        let (_, told) = api.get("/health").await;
        let stages = told["checks"]["stages"]["message"].as_str().unwrap();
        assert!(stages.contains("scrape 1 (lag "), "{told}");

        store.set(Mood::Stalled);
        kafka.latency(HANGS);
        let asked = async |path: &str| {
            let began = Instant::now();
            let answer = api.get(path).await;
            println!("{path}: {} ms", began.elapsed().as_millis());
            answer
        };
        let (live, _) = asked("/health/live").await;
        let (ready, _) = asked("/health/ready").await;
        assert_eq!((live, ready), (200, 200));
        let (status, told) = asked("/health").await;
        assert_eq!((status, &told["status"]), (503, &"unhealthy".into()));
        for name in ["database", "broker"] {
            assert_eq!(told["checks"][name]["status"], "unhealthy", "{told}");
        }
        assert_eq!(told["checks"]["stages"]["status"], "degraded", "{told}");
        let (status, told) = asked("/status").await;
        assert_eq!((status, told["database"].is_null()), (200, true), "{told}");
        let (status, _) = asked("/metrics").await;
        assert_eq!(status, 200);
        for role in &roles[1..] {
            let (live, _) = role.api.get("/health/live").await;
            assert_eq!(live, 200);
        }

        store.set(Mood::Well);
        kafka.calm();
        kafka.cut_all();
        until("all to be well again", async || {
            let (_, told) = api.try_get("/health").await?;
            (told["status"] == "healthy").then_some(())
        })
        .await;
    }
}
