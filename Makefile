# Needs Python 3.11 or newer and make; everything else goes into .venv. `make help` lists the targets.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
PACKAGES := .venv/.installed
TEST_TOOLS := .venv/.test-tools

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test bench gallery lint format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(TEST_TOOLS) ## Make .venv, install the project and all that its tests need

# The demo needs none of the test tools, so a machine that cannot have them gets a warning only.
demo: $(PACKAGES) ## Replay the bundled feed and open the dashboard; ARGS="--exit" for a summary only
	@$(MAKE) --silent --no-print-directory $(TEST_TOOLS) || echo "warning: 'make test' will not run before this is mended; the demo does without" >&2
	$(BIN)/tapewatch demo $(ARGS)

test: $(TEST_TOOLS) ## Run the tests; ARGS="-k words" for some of them
	$(BIN)/pytest $(ARGS)

bench: $(TEST_TOOLS) ## Measure; ARGS="engine store" for some of the benchmarks
	$(BIN)/python tests/benchmarks/bench.py $(ARGS)

gallery: $(TEST_TOOLS) ## Make the pictures of docs/gallery.md anew; ARGS="alert system" for some of them
	$(BIN)/python tests/gallery.py $(ARGS)

lint: $(PACKAGES) ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(PACKAGES) ## Mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove caches and build output; .venv and .tapewatch stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# pip comes last when a virtual environment is made: where it is, the rest is.
$(BIN)/pip:
	@command -v "$(PYTHON)" >/dev/null || { echo "error: there is no '$(PYTHON)': install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1), and 3.11 or newer is needed: name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "error: '$(PYTHON)' cannot make virtual environments: install its venv module (Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	"$(PYTHON)" -m venv .venv

$(PACKAGES): pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

$(TEST_TOOLS): $(PACKAGES) $(wildcard tests/support/*.py tests/support/kafka-*)
	$(BIN)/python tests/support/install.py
	@touch $@
