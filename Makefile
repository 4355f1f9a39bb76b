# Every task that a person runs. `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo
BUILT := $(or $(CARGO_TARGET_DIR),target)
CYCLES ?= 1000
MINUTES ?= 10

.PHONY: help prerequisites wasm noop image envoy redis chromium prometheus valgrind build fmt lint test crash fuzz instructions demo bench bench-core limits up down compose-up compose-down compose-test toolchain-test clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites:
	@.make/prerequisites.sh

wasm: prerequisites ## Build the filter: target/ackguard.wasm
	@.make/wasm.sh

noop: prerequisites ## Build the filter that does nothing, which the benchmark measures against: target/noop.wasm
	@.make/wasm.sh noop tests/load/noop/imports.txt

image: wasm ## Build the OCI image that Istio loads, with docker, podman or buildah: IMAGE=registry/ackguard:1
	@.make/image.sh

envoy: ## Find an Envoy, or fetch the pinned one into target/tools/, and print its path
	@.make/envoy.sh

redis: ## Find a Redis server, or unpack Debian's into target/tools/, and print its path
	@.make/redis.sh

chromium: ## Find a Chromium with its ChromeDriver, or unpack Debian's into target/tools/, and print their paths
	@.make/chromium.sh

prometheus: ## Find Prometheus with its promtool, or unpack Debian's into target/tools/, and print their paths
	@.make/prometheus.sh

valgrind: ## Find Valgrind, or unpack Debian's into target/tools/, and print its path
	@.make/valgrind.sh

build: prerequisites ## Build the command line, the broker, the load and the stack: target/release/
	$(CARGO) build --release --bins --package ackguard --package tmq-broker --package tmq-load --package stack

fmt: ## Format the sources
	$(CARGO) fmt --all

lint: prerequisites ## Formatting, clippy and documentation, where every warning is an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- --deny warnings
	$(CARGO) clippy --package fuzz --features afl --all-targets --locked -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' $(CARGO) doc --workspace --no-deps --document-private-items

test: lint wasm noop envoy redis chromium prometheus valgrind ## Everything: lint, unit and property tests, the filter in the real Envoy, the page in a browser, alerts and dashboards in a real Prometheus, the core's instructions, a minute of fuzzing
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace
	@.make/instructions.sh
	@.make/fuzz.sh 60

crash: prerequisites ## Kill the broker under load, CYCLES=1000 times in each semantics, with the choices of SEED=n
	TMQ_CRASH_CYCLES=$(CYCLES) $(if $(SEED),TMQ_CRASH_SEED=$(SEED)) \
		$(CARGO) test --package tmq-broker --test crash -- --nocapture

fuzz: prerequisites ## Fuzz the policy parser, the T-MQ dialect and what is binary for MINUTES=10: target/fuzz/
	@.make/fuzz.sh $$(($(MINUTES) * 60))

instructions: prerequisites ## Hold the instructions of the core's exchanges to tests/native/instructions.txt, or write it anew: UPDATE=1
	@.make/instructions.sh $(if $(UPDATE),--update)

demo: build wasm envoy ## The incident, 100,000 messages, without and with AckGuard: target/demo/
	$(BUILT)/release/tmq-load incident

bench: build wasm noop envoy ## Measure what AckGuard costs and how fast it changes, in half an hour: target/bench/; where others slow the machine, a row goes on for up to PATIENCE=15m
	$(BUILT)/release/tmq-load bench $(if $(PATIENCE),--patience $(PATIENCE))

bench-core: prerequisites ## Measure the parts of the core by the clock, without Envoy: read, decide, write, limits, leases
	$(CARGO) bench --profile native --package native-bench --bench core -- --min-time 0.3

limits: build wasm envoy ## Measure how exactly limits hold with 1, 2 and 4 workers: target/limits/, and the table in docs/limits.md
	$(BUILT)/release/tmq-load limits --write docs/limits.md

up: build wasm envoy ## Start the broker and the gateways, and leave them running
	$(BUILT)/release/stack up

down: ## End what `make up` started
	@if [ -x $(BUILT)/release/stack ]; then $(BUILT)/release/stack down; else echo 'No stack runs.'; fi

compose-up: wasm ## Start the whole stack in containers: gateway, broker, consumers, Prometheus, Grafana, Jaeger
	@.make/compose.sh up

compose-down: ## End what `make compose-up` started, and remove its volumes
	@.make/compose.sh down

compose-test: build wasm ## The incident through the stack in containers; without a registry, as root on Debian, in stand-ins
	@.make/compose.sh test

toolchain-test: prerequisites ## Prove each of the three ways that `make wasm` finds its toolchain (some minutes, and the network)
	@.make/toolchain-test.sh

clean: down ## Remove everything that was built or fetched
	rm -rf target
