# `make help` lists the targets. Each stage prints its time.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO := scripts/cargo.sh
STAGE := scripts/stage.sh
target := $(abspath $(or $(CARGO_TARGET_DIR),target))
binary := $(target)/release/alaz

.PHONY: help deps deps-test deps-peers deps-fuzz deps-ui build run test test-peers test-cluster \
	test-kernels properties fuzz bench soak ui ui-check clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install what building needs (Debian, Ubuntu; root)
	@$(STAGE) 'dependencies' scripts/deps.sh

deps-test:
	@$(STAGE) 'dependencies of the tests' scripts/deps.sh test

deps-ui:
	@$(STAGE) 'dependencies of the UI' scripts/deps.sh ui

build: deps ## build the program, target/release/alaz
	@$(STAGE) 'build' $(CARGO) build --locked --release --package alaz --bin alaz

run: build ## build and start it: the map is on http://127.0.0.1:8014 (ARGS="--listen …")
	@if [ "$$(id -u)" -eq 0 ]; then exec $(binary) run $(ARGS); else exec sudo $(binary) run $(ARGS); fi

test: deps-test ## format, lints, unit tests, end-to-end tests with real servers (root)
	@$(STAGE) 'format' $(CARGO) fmt --all --check
	@$(STAGE) 'lock file of the fuzz targets' $(CARGO) update --workspace --locked --manifest-path fuzz/Cargo.toml
	@$(STAGE) 'lints' $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@$(STAGE) 'unit tests' $(CARGO) test --locked --workspace --exclude alaz-tests --no-fail-fast
	@$(MAKE) build
	@$(STAGE) 'end-to-end tests' env ALAZ_BIN=$(binary) \
		$(CARGO) test --locked --package alaz-tests --no-fail-fast

deps-peers:
	@$(STAGE) 'dependencies of the tests with many clients' scripts/deps.sh test peers

test-peers: deps-peers build ## several clients of each protocol, against what the servers log and count (root)
	@$(STAGE) 'many clients' env ALAZ_BIN=$(binary) \
		$(CARGO) test --locked --package alaz-tests --test peers -- --nocapture --test-threads 1

test-cluster: deps-test build ## naming by a real Kubernetes API server, what deploy/ says, OTLP by a collector (root; Go)
	@$(STAGE) 'Kubernetes API server, Helm, collector' scripts/cluster/build.sh
	@$(STAGE) 'tests against Kubernetes' env ALAZ_BIN=$(binary) ALAZ_CLUSTER_BIN=$(target)/cluster \
		$(CARGO) test --locked --package alaz-tests --test cluster

test-kernels: deps-test ## the tests of capture in other kernels, emulated (root; KERNELS="bookworm-security-amd64 …")
	@$(STAGE) 'other kernels' scripts/kernels/test.sh $(KERNELS)

properties: deps-test ## the properties in many random cases (CASES=20000, SEED=…)
	@$(STAGE) 'properties' env CASES=$(CASES) SEED=$(SEED) scripts/properties.sh

deps-fuzz:
	@$(STAGE) 'dependencies of the fuzz targets' scripts/deps.sh fuzz

fuzz: deps-fuzz ## the fuzz targets, a minute each (SECONDS_EACH=…, TARGETS="conversation recording packets")
	@$(STAGE) 'fuzz targets' scripts/fuzz.sh $(TARGETS)

bench: deps-test build ## what Alaz costs on this machine, in one table (root; QUICK=1 is short)
	@$(STAGE) 'build the bench' $(CARGO) build --locked --release --package alaz-bench
	@$(STAGE) 'bench' $(target)/release/alaz-bench --alaz $(binary) \
		--json $(target)/bench.json $(if $(QUICK),--quick) $(ARGS)

soak: deps-test build ## an hour of mixed load: memory, exactness, stalls, kill -9 (root; SECONDS=600)
	@$(STAGE) 'build the soak test' $(CARGO) build --locked --release --package alaz-tests --bin alaz-soak
	@$(STAGE) 'soak' $(target)/release/alaz-soak --alaz $(binary) --json $(target)/soak.json \
		$(if $(SECONDS),--seconds $(SECONDS)) $(ARGS)

ui: deps-ui ## rebuild the web UI into ui/dist (Node; the result is committed)
	@$(STAGE) 'packages of the UI' npm --prefix ui ci --no-audit --no-fund
	@$(STAGE) 'build the UI' npm --prefix ui run build

ui-check: ui ## rebuild the UI, compare it with the committed one, check types, run its tests
	@$(STAGE) 'ui/dist is up to date' scripts/unchanged.sh ui/dist
	@$(STAGE) 'types of the UI' npm --prefix ui run check
	@$(STAGE) 'tests of the UI' npm --prefix ui test

clean: ## remove what was built
	$(CARGO) clean
	rm -rf ui/node_modules
