# `make demo` and `make test` set themselves up; PYTHON names another interpreter (3.11 or newer).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Real targets of the tests that pin what they share with us: an environment of their own.
TARGETS_VENV := .venv-targets
TARGETS := $(TARGETS_VENV)/.installed
# Other load generators, for comparison; each pins what the others do not bear.
PEERS := .venv-aiperf/.installed .venv-guidellm/.installed
CODE := orchestrator workers locustfiles
UV := $(shell command -v uv 2>/dev/null)
# The sources' bytecode belongs to the install: engines start in 0.4 s with it and in 1.0 s without.
COMPILE := $(BIN)/python -m compileall -q $(CODE)

.DEFAULT_GOAL := help
.PHONY: help install targets demo test check lint types layers generated deploy docs bench bench-peers torture clean

help: ## Say what there is.
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1  /p' $(MAKEFILE_LIST) | awk -F'  ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with the project and its tools; does nothing when that is done.

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shakeout needs Python 3.11 or newer: say make PYTHON=python3.12")'
ifneq ($(UV),)
	test -x $(BIN)/python || $(UV) venv --python $(PYTHON) $(VENV)
	VIRTUAL_ENV=$(VENV) $(UV) pip install --compile-bytecode -c constraints.txt -e '.[dev]'
else
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
endif
	$(COMPILE)
	@touch $@

targets: $(TARGETS) ## Make .venv-targets with the servers that the tests load; does nothing when that is done.

$(TARGETS): constraints-targets.txt
ifneq ($(UV),)
	test -x $(TARGETS_VENV)/bin/python || $(UV) venv --python $(PYTHON) $(TARGETS_VENV)
	VIRTUAL_ENV=$(TARGETS_VENV) $(UV) pip install -c constraints-targets.txt mlserver
else
	test -x $(TARGETS_VENV)/bin/python || $(PYTHON) -m venv $(TARGETS_VENV)
	$(TARGETS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-targets.txt mlserver
endif
	@touch $@

demo: $(STAMP) ## Run examples/quickstart.yaml on this machine; its last line says where the report is.
	$(BIN)/shakeout run examples/quickstart.yaml

test: $(STAMP) $(TARGETS) ## Run all tests; a skip says what it needs.
	$(BIN)/pytest

check: lint types layers generated deploy ## Format, lint, types, layers, generated pages, deployment files.

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/mypy

layers: $(STAMP)
	$(BIN)/pytest -q tests/test_layers.py tests/test_packaging.py

generated: $(STAMP)
	$(BIN)/python -m orchestrator.campaign.reference | diff -u docs/campaign.md - || \
	  { echo "docs/campaign.md is not what the models say: run make docs"; exit 1; }
	$(BIN)/python -m orchestrator.campaign.fault_reference | diff -u docs/faults.md - || \
	  { echo "docs/faults.md is not what the faults say: run make docs"; exit 1; }
	$(BIN)/python docs/modules.py --check
	$(BIN)/python benchmarks/page.py --check

# Read, not run: what takes a fleet or an installation is for `make test`.
deploy: $(STAMP)
	$(BIN)/pytest -q tests/deploy/test_compose.py tests/deploy/test_units.py tests/deploy/test_said.py

docs: $(STAMP) ## Write docs/campaign.md, docs/faults.md and the modules of ARCHITECTURE.md again from the code.
	$(BIN)/python -m orchestrator.campaign.reference > docs/campaign.md
	$(BIN)/python -m orchestrator.campaign.fault_reference > docs/faults.md
	$(BIN)/python docs/modules.py

torture: $(STAMP) ## Ten minutes, 50 random kills of every part under load; TORTURE=--seed=N strikes the same again.
	$(BIN)/python -m tests.torture --seconds 600 --blows 50 $(TORTURE)

bench: $(STAMP) ## Run the benchmarks one after another and write docs/benchmarks.md.
	@for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done
	$(BIN)/python benchmarks/page.py

bench-peers: $(STAMP) $(PEERS) ## Compare with AIPerf and GuideLLM; installs each in an environment of its own.
	$(BIN)/python benchmarks/peers.py
	$(BIN)/python benchmarks/page.py

.venv-%/.installed: constraints-peers.txt
ifneq ($(UV),)
	test -x .venv-$*/bin/python || $(UV) venv --python $(PYTHON) .venv-$*
	VIRTUAL_ENV=.venv-$* $(UV) pip install -c constraints-peers.txt $*
else
	test -x .venv-$*/bin/python || $(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-peers.txt $*
endif
	@touch $@

clean: ## Remove the environment and all caches; runs/ stays.
	rm -rf $(VENV) $(TARGETS_VENV) .venv-aiperf .venv-guidellm build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(CODE) tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
