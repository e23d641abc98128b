# What a developer types. Scripts are in infra/dev; each installs what it needs on Debian (with sudo when not root), and
# needs only make and a Rust toolchain from rustup to begin with.
.DEFAULT_GOAL := help
.PHONY: help demo demo-real test servers-up servers-down faults bench bench-engine bench-latency bench-http bench-ingest bench-throughput bench-detect lint openapi schemas

# Options of `trustcard demo`; DEMO_ARGS= keeps it running after the table, for a look around.
DEMO_ARGS ?= --exit

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Sample posts through the whole pipeline, scored (DEMO_ARGS= keeps it running)
	@infra/dev/demo.sh $(DEMO_ARGS)

demo-real: ## The same on Apache Kafka and Apache Cassandra, which it starts and stops
	@infra/dev/demo_real.sh $(DEMO_ARGS)

test: ## Every test of the workspace
	@infra/dev/test.sh

servers-up: ## Kafka and Cassandra for tests, on loopback ports (THREE=1: three Kafka brokers too)
	@infra/dev/servers.sh up $(if $(THREE),--three)

servers-down: ## Stop them; their data stays
	@infra/dev/servers.sh down

bench: bench-engine bench-latency bench-http bench-ingest bench-throughput bench-detect ## Every bench; the machine should do nothing else

bench-engine: ## The engine against the bare client loop, Kafka Streams and ruststream (BENCH_ARGS=--quick shows that it works)
	@infra/dev/bench.sh engine $(BENCH_ARGS)

bench-latency: ## From a submission to its result, idle pipeline on Kafka and Cassandra (BENCH_ARGS=--quick shows that it works)
	@infra/dev/bench.sh latency $(BENCH_ARGS)

bench-http: ## 10,000 connections, 1,000 requests a second, and liveness meanwhile (BENCH_ARGS=--quick shows that it works)
	@infra/dev/bench.sh http $(BENCH_ARGS)

bench-ingest: ## Accepted URLs per CPU-second against a bare handler, on Kafka and Cassandra (BENCH_ARGS=--quick shows that it works)
	@infra/dev/bench.sh ingest $(BENCH_ARGS)

bench-throughput: ## The pipeline's analyses per second and CPU-second by role, on 1 to 12 partitions (BENCH_ARGS=--quick shows that it works)
	@infra/dev/bench.sh throughput $(BENCH_ARGS)

bench-detect: ## Pictures per second and CPU-second against a bare loop over the same runtime (BENCH_ARGS=--quick shows that it works)
	@infra/dev/bench.sh detect $(BENCH_ARGS)

faults: ## The fault table at full size, with figures; about an hour (ROWS="1 5" for some rows)
	@infra/dev/faults.sh $(ROWS)

lint: ## Format, clippy, dependency rules, shell scripts, AsyncAPI, docker-compose.yml, nginx, systemd units
	@infra/dev/lint.sh

schemas: ## Write schemas/json and schemas/asyncapi.json from the Rust types
	@cargo run --quiet -p trustcard-schemas --example write_schemas

openapi: ## Write ingest-api/openapi.json from the handlers
	@cargo run --quiet -p trustcard-ingest-api --example write_openapi
