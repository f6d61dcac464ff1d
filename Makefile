# Two commands set everything up on a fresh Debian 12 with Python 3.11 and Node 20:
#   make demo   flies a simulated patrol over real footage and serves the pages
#   make test   runs every check and test
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev system system-dev pages demo test lint format bench soak lock wheel clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: system $(BIN)/.installed api/static/index.html ## install what running needs (venv, pages)

setup-dev: setup system-dev $(BIN)/.installed-dev ## install what testing needs as well

system:
	@deploy/system-packages.sh run

system-dev:
	@deploy/system-packages.sh test

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(BIN)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(BIN)/.installed-dev: requirements-dev.lock $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements-dev.lock
	@touch $@

WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

api/static/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build
	@touch $@

pages: api/static/index.html ## build the console and terminal pages

demo: setup ## fly the demo patrol and serve its pages
	$(BIN)/patrol demo

test: setup-dev lint ## every check and test (under 8 minutes on 2 cores)
	cd web && npm run --silent check && npm run --silent test
	$(BIN)/python -m pytest -m "not soak" -n 2 --dist worksteal

lint: setup-dev ## style, types and the order of the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev ## put the code into the house's shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure the eyes against the bare model run
	$(BIN)/patrol bench eyes

soak: setup-dev ## the long tests
	$(BIN)/python -m pytest -m soak --timeout=3600

lock: setup-dev ## pin the newest versions that fit pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet --upgrade -o requirements-dev.lock

wheel: pages setup-dev ## build the wheel with models, flight plans and pages in it
	$(BIN)/uv build --wheel --quiet

clean: ## remove what was built
	rm -rf $(VENV) dist build api/static web/node_modules
