# Aftersend's tasks. `make help` lists them; everything is installed into .venv, nothing outside the user's cache.

VENV := .venv
BIN := $(VENV)/bin
# Arguments for the command behind a target, such as make test ARGS="-k lifecycle".
ARGS ?=

# Compiled modules make every start after the first one faster.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast chaos fuzz bench lint format docs lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.kafka ## Set up .venv and fetch Kafka; done by the other targets when needed

demo: install ## Run a simulated campaign on a local Kafka and Redis, and verify every number
	@$(BIN)/aftersend demo $(ARGS)

test: install ## Run all tests but the chaos ones
	@$(BIN)/pytest -m "not chaos" -n auto $(ARGS)

test-fast: install ## Run the tests that need no server and take no time
	@$(BIN)/pytest -m "not system and not chaos and not slow" $(ARGS)

chaos: install ## Kill servers and workers for minutes, check every number (SEED=7 repeats a run)
	@SEED="$(SEED)" $(BIN)/pytest -m chaos -s $(ARGS)

fuzz: install ## Try a million mutated records and requests (FUZZ=10 a tenth of it, SEED=7 repeats a run)
	@FUZZ="$(or $(FUZZ),100)" SEED="$(SEED)" $(BIN)/pytest tests/fuzz tests/system/test_api_fuzz.py tests/system/gateway/test_malformed.py \
		--timeout=0 -n auto $(ARGS)

bench: install ## Measure throughput and latency, against peers as well
	@$(BIN)/python -m benchmarks $(ARGS)

lint: $(VENV)/.deps ## Check style, types and the layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.deps ## Format the code and fix what can be fixed
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

docs: $(VENV)/.deps ## Generate the pages in docs/reference from the code
	@$(BIN)/python -m aftersend.docgen

lock: $(VENV)/.deps ## Lock the dependencies anew (ARGS="--upgrade-package redis" to raise one)
	@sh deploy/lock.sh $(BIN)/uv $(ARGS)

clean: ## Remove .venv and all caches inside the tree
	@rm -rf $(VENV) build dist .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is touched last, so that an installation that was cut off is done again.
$(VENV)/.deps: requirements-dev.txt pyproject.toml deploy/bootstrap.sh
	@sh deploy/bootstrap.sh $(VENV)
	@touch $@

$(VENV)/.kafka: aftersend/sandbox/embedded/kafka-jars.lock $(VENV)/.deps
	@$(BIN)/python -m aftersend.sandbox.embedded prefetch
	@touch $@
