# Everything a person types. A target is two lines at most: the logic lives in main.py and setup.sh.

PYTHON := .venv/bin/python
TOOLS := main.py src tests benchmarks boathouse
PYTEST = PYTHONDONTWRITEBYTECODE= $(PYTHON) -m pytest -n auto --maxprocesses 8 --dist worksteal

# Taken as they were typed, and handed on through the environment: quotes, $ and line ends survive.
override SQL := $(value SQL)
override DOMAIN := $(value DOMAIN)
override FORMAT := $(value FORMAT)
override VERB := $(value VERB)
override RUN_DATE := $(value RUN_DATE)
override REPROCESS_DAYS := $(value REPROCESS_DAYS)
override RETENTION_HOURS := $(value RETENTION_HOURS)
override BACKUP := $(value BACKUP)
override TO := $(value TO)
override KIND := $(value KIND)
override HOUR := $(value HOUR)
override ACCEPT_REJECTS := $(value ACCEPT_REJECTS)
override MODE := $(value MODE)
override DIR := $(value DIR)
override SELECT := $(value SELECT)
override FILES := $(value FILES)
override TABLE := $(value TABLE)
override OUTPUT := $(value OUTPUT)
override LIMIT := $(value LIMIT)
export FILES SQL DOMAIN FORMAT VERB RUN_DATE REPROCESS_DAYS RETENTION_HOURS BACKUP TO KIND HOUR MODE ACCEPT_REJECTS DIR TABLE LIMIT SELECT OUTPUT
override ACCEPT_REMOVALS := $(value ACCEPT_REMOVALS)
override SOURCE := $(value SOURCE)
override SLICE := $(value SLICE)
override WHERE := $(value WHERE)
override START := $(value START)
override END := $(value END)
override PORT := $(value PORT)
override N := $(value N)
override DAYS := $(value DAYS)
override DISMISS := $(value DISMISS)
override REOPEN := $(value REOPEN)
override REASON := $(value REASON)
export ACCEPT_REMOVALS SOURCE SLICE WHERE START END PORT N DAYS DISMISS REOPEN REASON WITHOUT
override MODEL := $(value MODEL)
override AS_OF := $(value AS_OF)
override PROMOTE := $(value PROMOTE)
export MODEL AS_OF PROMOTE BEFORE AFTER
override MONTH := $(value MONTH)
override BRANCH := $(value BRANCH)
override CREATE := $(value CREATE)
override DROP := $(value DROP)
export MONTH BRANCH CREATE DROP

CHOSEN = $(if $(DOMAIN),--domain="$$DOMAIN") $(if $(SELECT),--select="$$SELECT") $(if $(RUN_DATE),--run-date="$$RUN_DATE") \
	$(if $(REPROCESS_DAYS),--reprocess-days="$$REPROCESS_DAYS")
PULLED = $(if $(SOURCE),--source="$$SOURCE") $(if $(SLICE),--slice="$$SLICE") $(if $(WHERE),--where="$$WHERE") \
	$(if $(START),--start="$$START") $(if $(END),--end="$$END")
DRY = $(if $(DRY_RUN),--dry-run)
FORGOTTEN = $(if $(RETENTION),--retention) $(if $(WITHOUT),--without="$$WITHOUT") $(if $(YES),--yes) $(if $(LIST),--list) $(if $(FINISH),--finish) $(if $(BACKUPS),--backups) $(DRY)

.DEFAULT_GOAL := help
.PHONY: help setup pipeline draft plan diff branch explain preview status health report alerts query check repair schema-version upgrade forget vacuum optimize backup restore
.PHONY: pull sources tables describe adopt page incident access cost models
.PHONY: drill schedule rotate-logs docs new wheel test proof lint format torture bench clean ready ready-page ready-ml ready-dev train
.PHONY: morning afternoon week month month-end

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22
	@printf '\n  %s\n' 'When main.py fails, make shows its exit code and itself returns 2; $(PYTHON) main.py --help lists the codes.'

setup: ## make this folder ready to run: .venv, folders, .env
	@./setup.sh

pipeline: ready ## bring the lake up to date (DOMAIN=name, SELECT=+name+, RUN_DATE=day, REPROCESS_DAYS=n, MODE=all, ACCEPT_REJECTS=table, ACCEPT_REMOVALS=table, PULL=false)
	@$(PYTHON) main.py run $(CHOSEN) $(if $(MODE),--mode="$$MODE") $(if $(ACCEPT_REJECTS),--accept-rejects="$$ACCEPT_REJECTS") $(if $(ACCEPT_REMOVALS),--accept-removals="$$ACCEPT_REMOVALS") $(if $(filter false,$(PULL)),--no-pull)

pull: ready ## ask the sources that contracts name and land what is new (SOURCE=name, START=day, END=day, SLICE=pattern, WHERE="condition", DRY_RUN=1)
	@$(PYTHON) main.py pull $(PULLED) $(DRY)

sources: ready ## every source: when it last answered, which credentials it asks for, whether it answers now
	@$(PYTHON) main.py sources

models: ready ## the models of machine learning: versions beside baselines, drift, how right they were since (MODEL=domain.name)
	@$(PYTHON) main.py models $(if $(MODEL),--model="$$MODEL")

draft: ready ## a first contract, ready to run: FILES=data/landing/shop/orders/*.csv or src/gold/mart; or SOURCE="..." TABLE=shop.orders (STDOUT=1, FORCE=1)
	@$(PYTHON) main.py draft $(if $(STDOUT),--stdout) $(if $(FORCE),--force) $(if $(SOURCE),--source="$$SOURCE" --table="$$TABLE") $(if $(START),--start="$$START") -- $$FILES

plan: ready ## what a run would do and why, how much it would read and how long it would take; changes nothing
	@$(PYTHON) main.py plan $(CHOSEN)

diff: ready ## what differs between the last two releases, by table, key and cell: (BEFORE=run AFTER=run, or main and a branch, TABLE=silver.shop.orders, LIMIT=n)
	@$(PYTHON) main.py diff $(if $(LIMIT),--limit="$$LIMIT") $(if $(TABLE),--table="$$TABLE") -- $$BEFORE $$AFTER

branch: ready ## a change beside the truth, without a copy: the branches; CREATE=name, then BRANCH=name make pipeline; PROMOTE=name (DRY_RUN=1), DROP=name
	@$(PYTHON) main.py branch $(if $(CREATE),create,$(if $(PROMOTE),promote $(DRY),$(if $(DROP),drop,list))) -- "$$CREATE$$PROMOTE$$DROP"

explain: ready ## where a number comes from: TABLE=sales.daily_revenue WHERE="order_date = '2011-11-14'" (LIMIT=n); without WHERE what its columns are made of
	@$(PYTHON) main.py explain $(if $(LIMIT),--limit="$$LIMIT") $(if $(WHERE),--where="$$WHERE",--columns) -- "$$TABLE"

preview: ready ## what a contract makes of what has landed, or a model of what is published: TABLE=shop.orders (LIMIT=n); changes nothing
	@$(PYTHON) main.py preview $(if $(LIMIT),--limit="$$LIMIT") -- "$$TABLE"

status: ready ## is it fine, and what should I do: causes, last runs, each domain (ALL=1: each table)
	@$(PYTHON) main.py status $(if $(ALL),--all)

health: ready ## measure, record, alert: one line per cause, exit code 1 if there is one (for cron)
	@$(PYTHON) main.py health

page: ready-page ## the lake in the browser, on this machine alone: causes, tables, lineage, marts, SQL; Ctrl-C ends it (PORT=n)
	@$(PYTHON) main.py page $(if $(PORT),--port="$$PORT")

report: ready ## the daily summary as Markdown and one HTML file, in data/reports (MONTH=2026-11: of a month; REVIEW=1: asks the package index for advisories too)
	@$(PYTHON) main.py report $(if $(MONTH),--month="$$MONTH") $(if $(REVIEW),--review)

alerts: ready ## the incidents that are open (main.py alerts ack or snooze answers one)
	@$(PYTHON) main.py alerts list

morning: ready ## what happened in the night, and is what readers see of today; each thing to do with its command (ALL=1)
	@$(PYTHON) main.py checklist morning $(if $(ALL),--all)

afternoon: ready ## what came late, what tomorrow needs, what is to be committed before 18:00 (ALL=1)
	@$(PYTHON) main.py checklist afternoon $(if $(ALL),--all)

week: ready ## quality, slow steps, incidents, the drill and what else is kept up (ALL=1)
	@$(PYTHON) main.py checklist week $(if $(ALL),--all)

month: ready ## growth, room, promises, contracts: what is to be planned (MONTH=2026-11, ALL=1)
	@$(PYTHON) main.py checklist month $(if $(MONTH),--month="$$MONTH") $(if $(ALL),--all)

month-end: ready ## every day is there, what changed after the close, its backup (MONTH=2026-11, ALL=1)
	@$(PYTHON) main.py checklist month-end $(if $(MONTH),--month="$$MONTH") $(if $(ALL),--all)

incident: ready ## the incidents of the last 31 days by number; one: N=12 (TEMPLATE=1: a post-mortem to fill in)
	@$(PYTHON) main.py incident $(if $(TEMPLATE),--template) $(if $(N),-- "$$N")

cost: ready ## what this month cost by domain and table, budgets, and what would save (ALL=1: each table; DISMISS=id REASON=text, REOPEN=id)
	@$(PYTHON) main.py cost $(if $(ALL),--all) $(if $(DISMISS),--dismiss="$$DISMISS") $(if $(REOPEN),--reopen="$$REOPEN") $(if $(REASON),--reason="$$REASON")

access: ready ## who read what in the last 30 days, failed tries, tables that nobody reads (DAYS=n, USER=name, TABLE=name)
	@$(PYTHON) main.py access $(if $(DAYS),--days="$$DAYS") $(if $(filter command,$(origin USER)),--user="$$USER") $(if $(TABLE),--table="$$TABLE")

train: ready-ml ## train models and take them into use, or say why not (MODEL=domain.name, AS_OF=day, DRY_RUN=1); by hand: PROMOTE=version, RETIRE=1 or ROLLBACK=1, with REASON=text
	@$(PYTHON) main.py train $(if $(MODEL),--model="$$MODEL") $(if $(AS_OF),--as-of="$$AS_OF") $(if $(PROMOTE),--promote="$$PROMOTE") $(if $(RETIRE),--retire) $(if $(ROLLBACK),--rollback) $(if $(REASON),--reason="$$REASON") $(DRY)

tables: ready ## every table that can be read, with its rows, version and last change
	@$(PYTHON) main.py tables

describe: ready ## one table: where it comes from, its columns and their values (TABLE=silver.domain.table)
	@$(PYTHON) main.py describe -- "$$TABLE"

query: ready ## read the lake: SQL="select ..." (FORMAT=table, csv or json; OUTPUT=file.parquet, .csv, .xlsx or .json)
	@$(PYTHON) main.py query $(if $(FORMAT),--format="$$FORMAT") $(if $(OUTPUT),--output="$$OUTPUT") $(if $(FORCE),--force) -- "$$SQL"

check: ready ## prove the laws on the lake as it is on disk, and compare it with the backup (QUICK=1: file sizes only)
	@$(PYTHON) main.py check $(if $(QUICK),--quick)

repair: ready ## bring single files that rotted or are gone back from the newest backup (DRY_RUN=1)
	@$(PYTHON) main.py repair $(DRY)

schema-version: ready ## the version of each contract and of its table, and what differs (VERB=verify or retag)
	@$(PYTHON) main.py schema-version $(if $(VERB),"$$VERB")

upgrade: ready ## bring the tables to the format of this release; no row changes (DRY_RUN=1)
	@$(PYTHON) main.py upgrade $(DRY)

forget: ready ## take a person out of every table: TABLE=silver.sales.customers WHERE="id = 7" REASON="..." (DRY_RUN=1, YES=1, LIST=1, FINISH=1, BACKUPS=1)
	@$(PYTHON) main.py forget $(if $(TABLE),--table="$$TABLE") $(if $(WHERE),--where="$$WHERE") $(if $(REASON),--reason="$$REASON") $(FORGOTTEN)

vacuum: ready ## remove files that left their table 168 hours ago (DRY_RUN=1, RETENTION_HOURS=n with PURGE=1)
	@$(PYTHON) main.py vacuum $(if $(RETENTION_HOURS),--retention-hours="$$RETENTION_HOURS") $(if $(PURGE),--purge) $(if $(YES),--yes) $(DRY)

optimize: ready ## compact small files and z-order where contracts ask; changes no row (DRY_RUN=1)
	@$(PYTHON) main.py optimize $(DRY)

backup: ready ## copy the newest release to BACKUP_REMOTE, verify it, prune old ones (DRY_RUN=1)
	@$(PYTHON) main.py backup $(DRY)

restore: ready ## bring a backup back into an empty lake (BACKUP=id, TO=folder, DRY_RUN=1)
	@$(PYTHON) main.py restore $(if $(BACKUP),--backup="$$BACKUP") $(if $(TO),--to="$$TO") $(DRY)

drill: ready ## prove that the newest backup can be restored (BACKUP=id, DRY_RUN=1)
	@$(PYTHON) main.py drill $(if $(BACKUP),--backup="$$BACKUP") $(DRY)

schedule: ready ## what runs by itself: printed, or INSTALL=1, REMOVE=1 (KIND=systemd, HOUR=2, DRY_RUN=1)
	@$(PYTHON) main.py schedule $(if $(INSTALL),--install) $(if $(REMOVE),--remove) $(if $(KIND),--kind="$$KIND") $(if $(HOUR),--hour="$$HOUR") $(DRY)

rotate-logs: ready ## move the logs of earlier days aside, delete those older than 14 days (DRY_RUN=1)
	@$(PYTHON) main.py rotate-logs $(DRY)

docs: ready ## render what is rendered from code: mart READMEs, .env.example, the settings table; and the catalogue, as pages
	@$(PYTHON) main.py docs

adopt: ready ## make contracts of ours from an ODCS contract of elsewhere: FILE=path (DOMAIN=name, STDOUT=1)
	@$(PYTHON) main.py adopt $(if $(DOMAIN),--domain="$$DOMAIN") $(if $(STDOUT),--stdout) -- "$$FILE"

new: ready ## a project of your own in another folder: DIR=../mylake (SAMPLE=1: with a small domain to learn from)
	@$(PYTHON) main.py init $(if $(SAMPLE),--sample) $(DRY) -- "$$DIR"

wheel: ready-dev ## the package boathouse, to pip install, in dist/
	@$(PYTHON) -m hatchling build -t wheel -d dist

# with bytecode, or each of the many processes that tests start would compile all of src first; types are checked meanwhile
test: ready-dev ## every check and every test but the longer proofs (ARGS="-k name" for some)
	@$(MAKE) --no-print-directory lint & $(PYTEST) -m "not long" $(ARGS); tests=$$?; wait $$! && exit $$tests

proof: ready-dev ## the longer proofs, of which make test has a short form: more seeds, more kills, every command of the runbook
	@EVERY_LAKE=1 $(PYTEST) -m long $(ARGS)

lint: ready-dev ## ruff and mypy
	@$(PYTHON) -m ruff check $(TOOLS) && $(PYTHON) -m ruff format --check $(TOOLS)
	@$(PYTHON) -m mypy

format: ready-dev ## put the code into shape
	@$(PYTHON) -m ruff check --fix $(TOOLS) && $(PYTHON) -m ruff format $(TOOLS)

torture: ready-dev ## kill runs and live random histories at length (N=1000 kills, HISTORIES=10000; ARGS="--rot 200": rot, "--spark-kills 20": a cluster)
	@$(PYTHON) -m tests.torture --kills $(or $(N),100) --histories $(or $(HISTORIES),1000) $(ARGS)

bench: ready-dev ## measure speed and memory
	@$(PYTHON) -m benchmarks $(ARGS)

clean: ## remove caches; never data
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find $(TOOLS) -name __pycache__ -prune -exec rm -rf {} +

ready:
	@./setup.sh --quiet

ready-page:
	@./setup.sh --quiet --page

ready-ml:
	@./setup.sh --quiet --ml

ready-dev:
	@./setup.sh --quiet --dev
