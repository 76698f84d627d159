# Every command of the project. `make` prints them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PY := .venv/bin/python
CLUSTER := $(PY) -m cluster
MEMBERS := libs/contracts libs/chassis $(patsubst %/pyproject.toml,%,$(wildcard services/*/pyproject.toml)) infra
SOURCES := $(addsuffix /src,$(MEMBERS))
PYTEST := $(PY) -m pytest
# s=identity names one service, m="..." a message, mode=native or mode=compose a mode.
mode ?= $(MODE)
# Each worker starts servers of its own; the tests wait as much as they compute.
workers ?= 3
DATABASES := $(patsubst services/%/alembic.ini,%,$(wildcard services/*/alembic.ini))

.PHONY: help install up servers down status logs reset demo prove-erasure env test unit contract integration e2e chaos bench corpus \
	check format lint types imports schemas openapi lock lock-upgrade migrate revision docs settings migrate-status downgrade mail geoip dev secrets advisories lint-api pin new-service backup backup-key restore restore-drill

help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Cluster
up: .venv/.installed ## Start everything and wait until it is ready (mode=native or mode=compose forces a mode)
	@$(CLUSTER) up $(if $(mode),--mode $(mode))
dev: .venv/.installed ## As up, but each API and worker starts anew when its source or a library's changes
	@$(CLUSTER) up --watch $(if $(mode),--mode $(mode))
servers: .venv/.installed ## Start and prepare the servers only, for work on one service
	@$(CLUSTER) up --only servers $(if $(mode),--mode $(mode))
down: .venv/.installed ## Stop everything; data is kept
	@$(CLUSTER) down
status: .venv/.installed ## Show what runs and whether it is ready
	@$(CLUSTER) status
logs: .venv/.installed ## Follow the logs (s=identity: only that service)
	@$(CLUSTER) logs $(s)
pin: .venv/.installed ## Write into .env which images the tags of compose.yaml mean today, by digest
	@$(CLUSTER) pin
reset: .venv/.installed ## Stop everything and delete all data (CONFIRM=yes: without asking)
	@$(CLUSTER) reset
mail: .venv/.installed ## Show the last mails of the development mailbox (n=1: print the newest)
	@$(CLUSTER) mail $(n)
geoip: .venv/.installed ## Have consent look addresses up in a MaxMind database: FILE=GeoLite2-Country.mmdb
	@test -n "$(FILE)" || { echo 'error: make geoip FILE=/path/to/GeoLite2-Country.mmdb' >&2; exit 1; }
	@$(CLUSTER) geoip "$(FILE)"
prove-erasure: .venv/.installed ## Let a person live on the running cluster, erase them, and search every store for them
	@$(PY) -m prove_erasure $(if $(every),--every $(every))
demo: .venv/.installed ## Play one person's story, from sign-up to erasure, on the running cluster
	@$(PY) -m demo

backup-key: .venv/.installed ## Make the key pair of backups: FILE=/safe/place/backup.key gets the private half
	@test -n "$(FILE)" || { echo 'error: make backup-key FILE=/safe/place/backup.key' >&2; exit 1; }
	@$(CLUSTER) backup-key "$(FILE)"
backup: .venv/.installed ## Back the running cluster up into BACKUP_DIRECTORY, sealed for BACKUP_RECIPIENT
	@$(CLUSTER) backup
restore: .venv/.installed ## Stop our services and restore: FROM=var/backups/20270102T030405Z KEY=/safe/place/backup.key
	@test -n "$(FROM)" && test -n "$(KEY)" || { echo 'error: make restore FROM=DIRECTORY KEY=FILE' >&2; exit 1; }
	@$(CLUSTER) restore "$(FROM)" --key "$(KEY)"
restore-drill: .venv/.installed ## Erase somebody, restore an older backup, and show that nothing of them comes back
	@$(PY) -m restore_drill

##@ Tests
test: .venv/.installed ## Run all tests but chaos, the end-to-end tests on a cluster of their own (workers=1: one at a time)
	$(PYTEST) -n $(workers) -m "not chaos" --require-all-events
unit: .venv/.installed ## Run the tests of pure code and of the source tree's rules
	$(PYTEST) -m "unit or architecture"
contract: .venv/.installed ## Run the tests of what services promise each other
	$(PYTEST) -m contract
integration: .venv/.installed ## Run the tests on real servers
	$(PYTEST) -m "integration and not chaos"
e2e: .venv/.installed ## Run the end-to-end tests (E2E_MODE=compose: in containers)
	$(PYTEST) -m e2e tests
chaos: .venv/.installed ## Run the tests with floods, guesses and thousands of requests; they say what they measured
	$(PYTEST) -m chaos -s
	$(PYTEST) -m contract -k test_generated_requests -s --generated-cases 60 --generated-seed $$(date +%s)
corpus: .venv/.installed ## Feed pictures of other test suites to the running cluster and write docs/pictures.md
	$(PY) -m corpus
bench: .venv/.installed ## Measure the platform beside peers and limits; fails when a row is missed or the machine too busy
	$(PY) -m benchmarks

##@ Code
check: lint types imports ## Run every check of the source
	$(PY) -m event_schemas check
format: .venv/.installed ## Format the source and mend what can be mended automatically
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
lint: .venv/.installed ## Check format and style
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
types: .venv/.installed ## Check types
	.venv/bin/mypy $(SOURCES) demo benchmarks corpus tests/support tools/native tools/api_description tools/event_schemas tools/service_settings tools/data_map_page tools/residue tools/prove_erasure tools/new_service tools/restore_drill
imports: .venv/.installed ## Check who may import whom
	.venv/bin/lint-imports

secrets: .venv/.installed ## Search the repository for secrets
	infra/bin/secrets
lint-api: ## Hold the gateway's OpenAPI document against linters and client generators (needs Node.js)
	infra/bin/lint-api
advisories: ## Look the locked packages up in a database of known vulnerabilities, where it can be asked
	infra/bin/advisories

##@ Generated files
schemas: .venv/.installed ## Freeze the schemas of the events; refuses a breaking change
	$(PY) -m event_schemas schemas
docs: .venv/.installed ## Write docs/events.md, asyncapi.json and the data map
	$(PY) -m event_schemas docs
	$(PY) -m data_map_page
openapi: .venv/.installed ## Write each service's openapi.json, and from them the gateway's
	$(PYTEST) -m contract -k test_the_api_is_the_committed_one --update-openapi
	$(PY) -m api_description
env: .venv/.installed ## Create .env with random secrets, or add what a newer version needs
	@$(CLUSTER) env
settings: .venv/.installed ## Write what follows from the registry and the Settings classes into .env.example and compose.yaml
	@$(PY) -m service_settings
migrate: .venv/.installed ## Run the migrations on the running servers (s=consent: only that service)
	@for service in $(or $(s),$(DATABASES)); do $(CLUSTER) exec $$service migrate || exit 1; done
revision: .venv/.installed ## Write a migration from the models: s=consent m="add a column"
	@test -n "$(s)" && test -n "$(m)" || { echo 'error: make revision s=consent m="add a column"' >&2; exit 1; }
	@$(CLUSTER) revision $(s) "$(m)"
migrate-status: .venv/.installed ## Show the version of each schema and its migrations (s=consent: only that one, or keyring)
	@$(CLUSTER) migrations $(s)
downgrade: .venv/.installed ## Take migrations back on the running servers: s=consent to=0003, to=-1 or to=base
	@test -n "$(s)" && test -n "$(to)" || { echo 'error: make downgrade s=consent to=-1' >&2; exit 1; }
	@$(CLUSTER) downgrade $(s) -- $(to)
new-service: .venv/.installed ## Write a working service with a schema, an API and a part in erasures: NAME=rendering
	@test -n "$(NAME)" || { echo 'error: make new-service NAME=rendering' >&2; exit 1; }
	@$(PY) -m new_service $(NAME)
	@$(MAKE) .venv/.installed
lock: .venv/.installed ## Write requirements.txt and requirements-dev.txt from the members' dependencies
	infra/bin/lock
lock-upgrade: .venv/.installed ## Lock the newest versions that the members allow
	infra/bin/lock --upgrade

##@ Environment
install: ## Create .venv with the locked packages
	infra/bin/install
.venv/.installed: requirements-dev.txt pyproject.toml $(addsuffix /pyproject.toml,$(MEMBERS))
	@infra/bin/install
