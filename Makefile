# One command each; `make` alone lists them. A command line's PORT=…, and one in the environment, reach what is run.

PYTHON ?= python3
PORT ?= 8000
MINUTES ?= 10
VENV := .venv
PY := $(VENV)/bin/python
# Side by side, a file in one process: many files have something that their tests share. The longest begin first, as
# tests/conftest.py has them. One more than there are processors, for some wait for a browser or a stack.
TEST_PROCESSES := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n + 1 : 4)))
PYTEST_ALL := $(PY) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder
# Wheels alone: nothing is compiled on a laptop.
PIP_INSTALL := $(PY) -m pip install -q --disable-pip-version-check --only-binary=:all:
EMULATOR := .venv-emulator
CLIENTS := .venv-clients
CLIENTS_STAMP := $(CLIENTS)/.installed
OTHER_CLIENTS := .venv-other-clients
OTHER_CLIENTS_STAMP := $(OTHER_CLIENTS)/.installed
ZIPKIN_JS := tests/clients/zipkin_js
ZIPKIN_JS_STAMP := $(ZIPKIN_JS)/node_modules/.installed
CLIENTS_STAMPS := $(CLIENTS_STAMP) $(OTHER_CLIENTS_STAMP) $(ZIPKIN_JS_STAMP)
EMULATOR_STAMP := $(EMULATOR)/.installed
DOCS := .venv-docs
DOCS_STAMP := $(DOCS)/.installed
RUN_STAMP := $(VENV)/.run-installed
DEV_STAMP := $(VENV)/.dev-installed
DYNAMODB_LOCAL := $(EMULATOR)/dynamodb-local
ZIPKIN_SERVER := $(EMULATOR)/zipkin-server
ZIPKIN_REPORTER := $(EMULATOR)/zipkin-reporter
# Node is Clew's own, whatever the machine has.
NODE_STAMP := $(VENV)/.node-installed
NPM := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" npm --loglevel=error
WEB_STAMP := web/node_modules/.installed
WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*')
UI := chalicelib/present/static/index.html
CHROMIUM_SOURCES := tests/browser/chromium
CHROMIUM_STAMP := $(VENV)/chromium/.installed
MODEL := chalicelib/model

.DEFAULT_GOAL := help
.PHONY: attack docs release help run demo ui infra deploy undeploy check test faults fuzz bounds simulate kills soak contract golden deploy-check screenshots lint bench bench-ui bench-journal bench-scale bench-compiled proto dictionary clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN_STAMP) $(UI) ## the laptop stack (PORT, HOST, DATA_DIR, COMPAT_PORTS, UI_DIR, AWS_ENDPOINT_URL)
	@exec $(PY) -m local

demo: $(DEV_STAMP) ## send a shop's traces to a running stack (ENDPOINT)
	@ENDPOINT="$${ENDPOINT:-http://127.0.0.1:$(PORT)}" exec $(PY) -m local.demo

ui: $(UI) ## build the web UI (run, test and deploy do so by themselves)

infra: $(RUN_STAMP) ## the queue and the tables of a stage on AWS (STAGE)
	@exec $(PY) -m infra --stage "$(STAGE)" up

deploy: $(RUN_STAMP) $(UI) ## infra, and then functions and API (STAGE)
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" exec $(PY) -m infra --stage "$(STAGE)" deploy

undeploy: $(RUN_STAMP) ## delete functions and API (STAGE; DATA=delete: queue and tables too; YES=1: do not ask)
	@exec $(PY) -m infra --stage "$(STAGE)" undeploy \
		$(if $(filter delete,$(DATA)),--delete-data) $(if $(YES),--yes)

check: lint ## format, lint, types and the fast tests
	@$(PYTEST_ALL) -m 'not slow'

test: lint $(UI) $(CHROMIUM_STAMP) $(CLIENTS_STAMPS) ## format, lint, types and all tests
	@$(PYTEST_ALL)

faults: $(DEV_STAMP) ## every fault at every call of AWS
	@FAULTS=all $(PY) -m pytest tests/faults

fuzz: $(DEV_STAMP) ## damaged input for every decoder (MINUTES=10)
	@MINUTES=$(MINUTES) $(PY) -m tests.fuzz

bounds: $(DEV_STAMP) ## what hostile bodies and questions cost, in fresh processes (ONLY=text)
	@ONLY="$(ONLY)" $(PY) -m tests.bounds
	@BOUNDS=all $(PY) -m pytest tests/answer/test_budget.py

simulate: $(DEV_STAMP) ## everything that can come between, in a simulation (MINUTES=10, SEED, REPLAY)
	@MINUTES=$(MINUTES) $(PY) -m tests.simulator

attack: MINUTES := 2
attack: $(DEV_STAMP) $(UI) ## hostile requests of every kind at once, beside good ones (MINUTES=2, SEED)
	@MINUTES=$(MINUTES) $(PY) -m tests.attack

kills: $(DEV_STAMP) $(UI) ## kill -9 of the laptop stack at random points (KILLS=50)
	@KILLS=$${KILLS:-50} $(PY) -m pytest tests/e2e/test_kill.py

soak: $(DEV_STAMP) ## the laptop stack at the machine's full rate, and at ten times that (MINUTES=10)
	@exec $(PY) -m tests.soak --minutes $(MINUTES)

deploy-check: $(DEV_STAMP) $(EMULATOR_STAMP) ## deploy to an emulator, with everything that belongs to it
	@EMULATOR_PYTHON="$(CURDIR)/$(EMULATOR)/bin/python" $(PY) -m pytest -v tests/deploy

contract: $(DEV_STAMP) $(EMULATOR_STAMP) $(CHROMIUM_STAMP) $(DYNAMODB_LOCAL)/.installed $(ZIPKIN_SERVER)/.installed $(ZIPKIN_REPORTER)/.installed ## the contract kit on moto, ministack and DynamoDB Local; Zipkin's own server, UI and Java clients
	@CLEW_CONTRACT=1 $(PY) -m pytest tests/contract tests/browser/test_other_uis.py -rs

golden: $(DEV_STAMP) $(CLIENTS_STAMPS) $(EMULATOR_STAMP) $(ZIPKIN_REPORTER)/.installed ## record again what real clients send
	@$(PY) -m tests.clients.real

screenshots: $(DEV_STAMP) $(UI) $(CHROMIUM_STAMP) ## each view of the web UI, into docs/screenshots
	@$(PY) -m tests.browser.screenshots

docs: $(DEV_STAMP) $(DOCS_STAMP) ## the documentation site, into .site/html; a link that leads nowhere fails
	@$(PY) -m infra.docs_pages .site/pages
	@$(DOCS)/bin/zensical build --clean --strict

release: $(DEV_STAMP) ## tag this version, and put its archive and notes into dist/; nothing is pushed
	@$(PY) -m infra.release

lint: $(DEV_STAMP) $(WEB_STAMP)
	@cd web && $(NPM) run -s lint && $(NPM) run -s types && $(NPM) test -s
	@$(VENV)/bin/ruff format --check --quiet
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/mypy --no-error-summary

bench: $(DEV_STAMP) ## measure
	@$(PY) -m bench

bench-journal: $(DEV_STAMP) ## measure how long a laptop takes to have its journal back
	@$(PY) -m bench.journal

bench-ui: $(DEV_STAMP) $(UI) $(CHROMIUM_STAMP) ## measure the web UI in a browser
	@$(PY) -m bench.ui

bench-scale: $(DEV_STAMP) ## the tables of docs/scale.md, and bad input at its full size
	@$(PY) -m capacity.scale --million

bench-compiled: $(DEV_STAMP) ## measure how much of storing is the interpreter's (wants a C compiler)
	@$(PY) -m bench.compiled

proto: $(DEV_STAMP) ## compile the protobuf schemas
	@$(PY) -m grpc_tools.protoc -I $(MODEL) --python_out=$(MODEL) --pyi_out=$(MODEL) $(MODEL)/*.proto

dictionary: $(DEV_STAMP) ## train the compression dictionary
	@$(PY) -m infra.dictionary

clean: ## remove what can be made again; the journal in .data stays
	@rm -rf $(VENV) $(EMULATOR) $(CLIENTS) $(OTHER_CLIENTS) $(ZIPKIN_JS)/node_modules web/node_modules $(CHROMIUM_SOURCES)/node_modules $(dir $(UI)) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps stand for what is installed: a start with nothing to install asks no network.
$(RUN_STAMP): requirements-local.txt requirements.txt | $(PY)
	@echo "Installing what the laptop stack needs, once…"
	@$(PIP_INSTALL) -r requirements-local.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt requirements-local.txt requirements.txt | $(PY)
	@echo "Installing what the tests need, once…"
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $(RUN_STAMP) $@

$(NODE_STAMP): requirements-node.txt | $(PY)
	@echo "Installing Node, once…"
	@$(PIP_INSTALL) -r requirements-node.txt
	@touch $@

$(WEB_STAMP): web/package.json web/package-lock.json $(NODE_STAMP)
	@echo "Installing what the web UI is built with, once…"
	@cd web && $(NPM) ci
	@touch $@

$(UI): $(WEB_SOURCES) $(WEB_STAMP)
	@echo "Building the web UI…"
	@cd web && $(NPM) run -s build -- --logLevel warn

# There is a Chromium in the npm registry for Linux on x86-64; elsewhere CHROMIUM names another one, or its tests are skipped.
$(CHROMIUM_STAMP): $(CHROMIUM_SOURCES)/package-lock.json $(NODE_STAMP)
	@mkdir -p $(@D)
	@if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		echo "Installing the browser of the tests, once…"; \
		(cd $(CHROMIUM_SOURCES) && $(NPM) ci) && \
		PATH="$(CURDIR)/$(VENV)/bin:$$PATH" TMPDIR="$(CURDIR)/$(@D)" node $(CHROMIUM_SOURCES)/unpack.mjs >/dev/null; \
	fi
	@touch $@

$(DOCS_STAMP): requirements-docs.txt | $(PY)
	@echo "Installing what the documentation site is built with, once…"
	@$(PY) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install -q --disable-pip-version-check --only-binary=:all: -r requirements-docs.txt
	@touch $@

$(EMULATOR_STAMP): requirements-emulator.txt | $(PY)
	@echo "Installing the emulator, once…"
	@$(PY) -m venv $(EMULATOR)
	@$(EMULATOR)/bin/python -m pip install -q --disable-pip-version-check --only-binary=:all: -r requirements-emulator.txt
	@touch $@

# Some of them are published as source alone; all of them are pure Python.
$(CLIENTS_STAMP): requirements-clients.txt | $(PY)
	@echo "Installing the clients of the tests, once…"
	@$(PY) -m venv $(CLIENTS)
	@$(CLIENTS)/bin/python -m pip install -q --disable-pip-version-check -r requirements-clients.txt
	@touch $@

$(OTHER_CLIENTS_STAMP): requirements-other-clients.txt | $(PY)
	@echo "Installing further clients of the tests, once…"
	@$(PY) -m venv $(OTHER_CLIENTS)
	@$(OTHER_CLIENTS)/bin/python -m pip install -q --disable-pip-version-check -r requirements-other-clients.txt
	@touch $@

$(ZIPKIN_JS_STAMP): $(ZIPKIN_JS)/package.json $(ZIPKIN_JS)/package-lock.json $(NODE_STAMP)
	@echo "Installing zipkin-js for the tests, once…"
	@cd $(ZIPKIN_JS) && $(NPM) ci
	@touch $@

# Without Java there is no stamp: the tests say that they were skipped, and why.
$(DYNAMODB_LOCAL)/.installed: tests/contract/dynamodb_local/pom.xml | $(EMULATOR_STAMP)
	@if command -v javac >/dev/null && command -v mvn >/dev/null; then \
		echo "Installing DynamoDB Local, once…"; \
		mvn -q -B -Dstyle.color=never -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(DYNAMODB_LOCAL) && touch $@; \
	fi

$(ZIPKIN_SERVER)/.installed: tests/contract/zipkin_server/pom.xml | $(EMULATOR_STAMP)
	@if command -v java >/dev/null && command -v mvn >/dev/null; then \
		echo "Installing Zipkin's server, once…"; \
		mvn -q -B -Dstyle.color=never -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(ZIPKIN_SERVER) && touch $@; \
	fi

$(ZIPKIN_REPORTER)/.installed: tests/clients/zipkin_reporter/pom.xml | $(EMULATOR_STAMP)
	@if command -v javac >/dev/null && command -v mvn >/dev/null; then \
		echo "Installing Zipkin's Java clients, once…"; \
		mvn -q -B -Dstyle.color=never -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(ZIPKIN_REPORTER) && touch $@; \
	fi

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Clew needs Python 3.11 or later; say which with make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
