# The one catalogue of commands, for people and CI alike. `make help` lists it.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# Two first installs side by side would write the same environment.
.NOTPARALLEL:
# Flags for the program, not for a make that the program's tests may start.
unexport ARGS

ARGS ?=
# Left alone when given: make serve PYTHON=python3.12
PYTHON ?= $(shell for name in python3.11 python3; do \
	"$$name" -c '' 2>/dev/null && { echo "$$name"; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
# One environment. requirements-dev.lock holds requirements.lock to the letter (tests/test_locks.py), so
# the second stamp only ever adds packages, and `make serve` and `make test` can come in any order.
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
# There when `make compiled` has put the compiled core into the environment.
COMPILED := $(VENV)/.compiled-installed
SOURCES := $(shell find src/tickwire -name '*.py' -o -name '*.toml') hatch_build.py

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
# Without MAKEFLAGS, or a make inside a test would take over this one's flags and variables.
CLEAN_ENV := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml --group build

# $(1): the lock file to install from
define install
	@$(if $(PYTHON),:,echo "error: no python3.11 and no python3 found; install Python 3.11 or newer, or pass PYTHON=..." >&2; exit 1)
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("error: tickwire needs Python 3.11 or newer, and $(PYTHON) is %d.%d; pass PYTHON=..." % v[:2])'
	@echo "installing dependencies, once ..." >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r $(1)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@rm -f $(COMPILED)
endef

# Once the core has been compiled, it is compiled again when the sources have changed.
ifneq ($(wildcard $(COMPILED)),)
serve test bench: $(COMPILED)
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  Flags are passed on with ARGS, as in: make serve ARGS="--port 9000"'

# exec: the server takes the shell's place, so that a signal reaches it and its exit code is what make sees.
.PHONY: serve
serve: $(RUNTIME) ## start the exchange (ARGS: flags of `tickwire serve`)
	@exec $(BIN)/tickwire serve $(ARGS)

# Two workers, as CI has two cores. A file's tests stay together: they share a server.
.PHONY: test
test: $(DEV) compiler programs ## run the tests (ARGS: flags of pytest)
	@$(CLEAN_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

# The benchmarks' load generator is in C, and so is what mypyc makes of the core, with Python's headers. Without them
# their tests are skipped, and say so.
HAS_HEADERS := import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
.PHONY: compiler
compiler:
	@command -v cc >/dev/null 2>&1 || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
		echo "installing a C compiler, once ..." >&2 && \
		apt-get update -qq >/dev/null 2>&1 && apt-get install -qq -y gcc libc6-dev >/dev/null 2>&1; } || \
		echo "no C compiler: the tests of the stream's benchmarks are skipped" >&2
	@$(BIN)/python -c '$(HAS_HEADERS)' || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
		echo "installing Python's headers, once ..." >&2 && \
		apt-get update -qq >/dev/null 2>&1 && apt-get install -qq -y python3-dev >/dev/null 2>&1; } || \
		echo "no headers of Python: the test of the compiled core is skipped" >&2

# nginx for the tests of a proxy, ip for those of a line that drops everything, openssl for a key that is encrypted.
# Without them these tests are skipped, and say so. RUNLEVEL: nginx is not to be started as a service.
PROGRAMS := nginx:nginx ip:iproute2 openssl:openssl
.PHONY: programs
programs:
	@missing=; for each in $(PROGRAMS); do \
		command -v "$${each%%:*}" >/dev/null 2>&1 || missing="$$missing $${each#*:}"; done; \
	[ -z "$$missing" ] || { \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && \
		echo "installing$$missing, once ..." >&2 && apt-get update -qq >/dev/null 2>&1 && \
		RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$missing >/dev/null 2>&1; } || \
		echo "not installed:$$missing; the tests that need them are skipped" >&2

.PHONY: lint
lint: $(DEV) ## check format, rules, types and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: $(DEV) ## rewrite the sources to the house format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: bench
bench: $(DEV) ## run the benchmarks (ARGS: flags of the benchmarks)
	@$(CLEAN_ENV) $(BIN)/python -m benchmarks $(ARGS)

.PHONY: compliance
compliance: $(DEV) ## run the Autobahn cases (ARGS: cases such as 7.1.5 or "12.*")
	@$(CLEAN_ENV) $(BIN)/python -m compliance $(ARGS)

.PHONY: compiled
compiled: $(COMPILED) ## compile the core with mypyc; the server then runs on it

$(COMPILED): $(DEV) $(SOURCES)
	@echo "compiling the core, which takes a minute ..." >&2
	@HATCH_BUILD_HOOK_ENABLE_CUSTOM=true $(PIP) install --no-deps --no-build-isolation --force-reinstall .
	@touch $@

.PHONY: plain
plain: $(DEV) ## go back to the core in plain Python
	@$(PIP) install --no-deps --no-build-isolation --force-reinstall -e .
	@rm -f $(COMPILED)

.PHONY: docs
docs: $(DEV) ## write the generated reference pages
	$(BIN)/python -m tickwire.service.reference docs/reference

# Keeps what is locked wherever the ranges in pyproject.toml allow it; ARGS=--upgrade takes the newest.
.PHONY: lock
lock: $(DEV) ## remake the lock files (ARGS: flags of `uv pip compile`)
	$(UV_COMPILE) $(ARGS) --output-file requirements.lock
	$(UV_COMPILE) $(ARGS) --group dev --extra parquet --constraint requirements.lock --output-file requirements-dev.lock

.PHONY: clean
clean: ## remove the environment, caches and builds (never tickwire-data/)
	rm -rf $(VENV) .bench dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks compliance -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(RUNTIME): requirements.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

$(DEV): requirements-dev.lock requirements.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch $(RUNTIME) $@
