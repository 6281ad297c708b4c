# Every target sets the checkout up first, which costs nothing when it is. ARGS is passed on: make test ARGS="-k pace -x"
.DEFAULT_GOAL := help
.PHONY: help set-up demo up test test-containers chaos contract bench screenshots lint format lock audit pin-images settings texts licences sbom stop clean
ARGS ?=
SEEDS ?= 1
LOCK := .venv/bin/uv pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 --quiet
AUDIT := .venv/audit
CONTRACT := .venv/contract

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

set-up: ## install the locked packages into .venv, and RabbitMQ where no broker is named
	@sh libs/local/set_up.sh

demo: set-up ## send a broadcast, from make to report, on this machine alone
	@.venv/bin/broadsheet demo $(ARGS)

up: set-up ## run all services with a local PostgreSQL and RabbitMQ
	@.venv/bin/broadsheet up $(ARGS)

test: set-up $(CONTRACT)/.set-up ## run all tests
	@.venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

test-containers: set-up ## run the tests over docker compose: containers, their rights, scale, rolling deploys
	@BROADSHEET_TEST_CONTAINERS=1 .venv/bin/python -m pytest tests/containers -p no:randomly --timeout 600 $(ARGS)

chaos: set-up ## break everything while broadcasts run: make chaos SEEDS=1,2,3
	@.venv/bin/python -m tests.chaos --seeds $(SEEDS) $(ARGS)

contract: set-up $(CONTRACT)/.set-up ## make up 10,000 requests from the API's description and hold the answers against it
	@.venv/bin/python -m tests.contract $(ARGS)

bench: set-up ## measure how fast it is
	@.venv/bin/python -m tests.bench $(ARGS)

screenshots: set-up ## take pictures of every page of the desk: light, dark, phone; --readme writes those of README
	@.venv/bin/python -m tests.screenshots $(ARGS)

lint: set-up ## check style, formatting, types and imports
	@.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy && .venv/bin/lint-imports

format: set-up ## put the code into its form
	@.venv/bin/ruff check --fix-only --quiet; .venv/bin/ruff format

lock: ## resolve the dependencies anew: make lock ARGS=--upgrade
	@[ -x .venv/bin/uv ] || { $(MAKE) --no-print-directory set-up && .venv/bin/python -m pip install --quiet uv; }
	@$(LOCK) $(ARGS) --all-extras pyproject.toml requirements/build.in -o requirements/dev.txt
	@$(LOCK) $(ARGS) pyproject.toml requirements/build.in -o requirements/services.txt
	@$(LOCK) $(ARGS) requirements/audit.in -o requirements/audit.txt
	@$(LOCK) $(ARGS) requirements/contract.in -o requirements/contract.txt
	@$(LOCK) $(ARGS) requirements/node.in -o requirements/node.txt

# Tools whose pins are not ours run from environments of their own.
$(AUDIT)/.set-up $(CONTRACT)/.set-up: .venv/%/.set-up: requirements/%.txt
	@$(MAKE) --no-print-directory set-up
	@.venv/bin/python -m venv --clear .venv/$*
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$*.txt
	@touch $@

audit: set-up $(AUDIT)/.set-up ## look for known vulnerabilities and licences that do not fit
	@.venv/bin/python -m tests.audit --tools $(AUDIT)/bin $(ARGS)

pin-images: ## name the images that compose fetches by their digests of today, in .env
	@deploy/pin-images

settings: set-up ## write docs/settings.md from the code
	@.venv/bin/python -m libs.console.settings_page --write

texts: set-up ## collect the desk's texts for translators; begin a language: make texts ARGS=es
	@.venv/bin/python -m services.api.desk.texts $(ARGS)

licences: set-up $(AUDIT)/.set-up ## write docs/licences.md from the locked packages
	@.venv/bin/python -m tests.audit --tools $(AUDIT)/bin --write-licences

sbom: set-up $(AUDIT)/.set-up ## write sbom.json: what runs in production, as CycloneDX
	@$(AUDIT)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible \
		requirements/services.txt -o sbom.json

stop: ## end local servers that were left running
	@[ ! -x .venv/bin/python ] || .venv/bin/python -m libs.local stop

clean: ## end local servers and remove their data, the environment and all caches
	@[ ! -x .venv/bin/python ] || .venv/bin/python -m libs.local remove
	@rm -rf .venv .broadsheet .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
