# Two commands do everything: `make demo` and `make test`. Both install what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVERS := prometheus promtool prometheus-alertmanager amtool
PACKAGES := prometheus prometheus-alertmanager
TORCH := 2.13.0
INITDB := $(or $(shell command -v initdb),$(wildcard /usr/lib/postgresql/*/bin/initdb))
PARALLEL := -n auto --dist loadfile
APT := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

.DEFAULT_GOAL := help
.PHONY: help demo test lint types pythons frameworks bench peers pictures render render-check servers database clean

help:
	@echo "make demo    the whole loop on this machine with real data; ends by itself"
	@echo "make test    everything: lint, types, rendered files, rules, tests on the oldest and newest Python"
	@echo "make lint    ruff"
	@echo "make bench   what a monitored call costs, as ratios"
	@echo "make peers   the same against whylogs, BentoML, prometheus_client and OpenTelemetry's histograms"
	@echo "make frameworks  the oldest and the newest supported versions of scikit-learn, XGBoost, PyTorch and the others"
	@echo "make pictures  docs/overview.svg and docs/drift.svg: dashboards over a replayed incident; needs npm and Chromium"
	@echo "make render  write alert_rules/, grafana_dashboards/ and the reference of names again"

demo: $(VENV)/.demo
	@$(MAKE) --no-print-directory servers || echo "The demo goes on without them."
	$(BIN)/otel-ml demo

test: $(VENV)/.dev $(VENV)/.frameworks servers database lint types render-check
	$(BIN)/pytest $(PARALLEL)
	$(MAKE) --no-print-directory pythons

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

render-check: $(VENV)/.dev
	$(BIN)/otel-ml render all --check -o .
	$(BIN)/otel-ml render reference --check -o .

render: $(VENV)/.dev
	$(BIN)/otel-ml render all -o .
	$(BIN)/otel-ml render reference -o .

# The parts that depend on the interpreter, on the oldest and the newest one that this machine has; frameworks aside, see below.
pythons: $(VENV)/.dev
	@set -e; for found in $$($(BIN)/python tests/interpreters.py); do \
		version=$${found%%=*}; echo "== Python $$version"; \
		[ -d .venv-$$version ] || $${found#*=} -m venv .venv-$$version; \
		.venv-$$version/bin/python -m pip install -q --upgrade pip; \
		.venv-$$version/bin/python -m pip install -q -e '.[all]' --group dev; \
		.venv-$$version/bin/pytest $(PARALLEL) tests/unit tests/properties tests/contract otel_ml; \
	done

# The oldest and the newest supported version of each framework, each set in an environment of its own; minutes, and 3 GB of disk.
frameworks: $(VENV)/.dev
	$(BIN)/python tests/frameworks.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

# The dashboards, drawn with Grafana's own components, which npm fetches.
pictures: $(VENV)/.dev
	$(BIN)/python benchmarks/pictures.py

# The peers, each in an environment of its own, against a monitored call; the table of docs/explanation/cost.md.
peers: $(VENV)/.dev
	$(BIN)/python benchmarks/peers.py

servers:
	@for server in $(SERVERS); do command -v $$server >/dev/null || missing="$$missing $$server"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(APT) $(PACKAGES) >/dev/null; else \
	echo "missing:$$missing; install them with: sudo apt-get install $(PACKAGES)" >&2; exit 1; fi

database:
	@[ -n "$(INITDB)" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then $(APT) postgresql >/dev/null; else \
	echo "missing: initdb; install it with: sudo apt-get install postgresql" >&2; exit 1; fi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then $(APT) python3-venv >/dev/null; else echo "python3-venv is missing: sudo apt-get install python3-venv" >&2; exit 1; fi
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e '.[demo]'
	@touch $@

# PyTorch comes without CUDA, or not at all: the build that PyPI has for Linux brings gigabytes.
$(VENV)/.frameworks: pyproject.toml $(VENV)/.dev | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --group frameworks
	$(BIN)/python -m pip install -q 'torch==$(TORCH)+cpu' 2>/dev/null \
	|| $(BIN)/python -m pip install -q 'torch==$(TORCH)' --index-url https://download.pytorch.org/whl/cpu \
	|| echo "PyTorch without CUDA cannot be had here; its tests are skipped." >&2
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e '.[all]' --group dev
	@touch $@

clean:
	rm -rf .venv .venv-* build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
