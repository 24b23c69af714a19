# Auriga: two commands, `make drive` and `make test`. Each installs what it needs first.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Cargo uses all cores itself; two at once would only wait for each other.
.NOTPARALLEL:
.PHONY: help setup build drive test check fmt unit sil deny aarch64 doc config bench fuzz vehicle install clean

PREFIX ?= /opt/auriga
FUZZ_SECONDS ?= 20
CRATE ?= runtime
CARGO := cargo
FLAGS := --locked --release
AURIGA := target/release/auriga
# Real-time priorities for the safety nodes are root's to give.
REALTIME := $(shell [ "$$(id -u)" = 0 ] && echo --realtime)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/auriga

export PATH := $(HOME)/.cargo/bin:$(PATH)
# The other implementations that tests compare with; tests say "skipped" where it is absent.
export AURIGA_PYTHON ?= $(shell ls $(CACHE)/venv/bin/python 2>/dev/null)
ifdef LIBRARY_PATH
export LIBRARY_PATH := $(CURDIR)/.native/lib:$(LIBRARY_PATH)
endif

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):[^#]*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

setup: ## install what the build needs (Debian packages, libtorch, libvosk); seconds when done before
	@.ci/setup.sh

build: setup ## all executables, in target/release
	$(CARGO) build $(FLAGS) --workspace

drive: build ## play the shipped drive through all nodes, with a live page and a report at the end
	@# 3: a safety budget was not held. It is said first, and make does not say it once more.
	$(AURIGA) drive $(REALTIME) || [ $$? -eq 3 ]

test: setup ## format, lints, documentation, tests, scenarios (in CI also deny, aarch64); what was skipped and why
	.ci/test.sh

check: setup ## the daily loop, seconds: lints and tests of one crate, CRATE=can (or arbiter, lm, sil …)
	RUSTC_WORKSPACE_WRAPPER='$(CURDIR)/.ci/rustc.sh' LD_LIBRARY_PATH='$(CURDIR)/.native/lib' $(CARGO) test $(FLAGS) -p auriga-$(CRATE)

fmt: setup
	.ci/test.sh fmt

unit: setup ## lints, documentation and tests, without scenarios
	.ci/test.sh build tests doctests

sil: build ## the scenarios; results as JUnit XML and a page in out/sil
	$(AURIGA) sil sil-tests/scenarios --out out/sil

deny: setup ## licences, sources and known vulnerabilities of the crates
	.ci/deny.sh

aarch64: setup ## what builds for ARM without foreign libraries, and the kernels' tests under emulation
	.ci/aarch64.sh

doc: setup ## the documentation of all crates, in target/doc
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc $(FLAGS) --workspace --no-deps

config: setup ## write launch/configuration.md, the reference of all configuration keys
	AURIGA_WRITE_CONFIGURATION=1 $(CARGO) test $(FLAGS) -p auriga-sil --test suite configuration

bench: build ## benchmarks, each beside its peer
	$(CARGO) bench --locked --workspace --bench '*'

fuzz: setup ## every fuzz target for FUZZ_SECONDS (20) each
	@cargo fuzz --version >/dev/null 2>&1 || { echo "cargo-fuzz is missing; install it: cargo install --locked cargo-fuzz"; exit 1; }
	cd sil-tests && for target in $$(cargo fuzz list); do \
		RUSTC_BOOTSTRAP=1 LD_LIBRARY_PATH='$(CURDIR)/.native/lib' cargo fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096; done

vehicle: build ## bus, camera, sound and cgroups of a real kernel, in an emulated virtual vehicle (QEMU; minutes)
	sil-tests/virtual-vehicle/run.sh

install: build ## as a ROS 2 package under PREFIX (/opt/auriga)
	.ci/install.sh '$(PREFIX)'

clean: ## what the build and the drives made; the download cache stays
	rm -rf target out
