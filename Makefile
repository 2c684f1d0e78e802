# Two commands for everybody: `make run` starts the daemon, `make test` checks everything. Each makes
# the environment it needs in .venv, and makes it again when pyproject.toml changes.
# `make PYTHON=python3.13 test` chooses another Python for a new environment.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled modules are kept: the tests start many hundreds of programs, and each would compile ours again.
unexport PYTHONDONTWRITEBYTECODE
# One process of tests more than there are processors, because many tests wait for programs. A file stays
# together: its tests share daemons.
SIDE_BY_SIDE = -n $$($(BIN)/python -c "import os; print(1 + (os.cpu_count() or 1))") --dist loadfile

.PHONY: run test check interop test-long test-oldest lint types unit bench memory transfers stress attacks crash clones storm large-history slow-clone fuzz seeds newcomer man reference charts sessions docs screenshots format clean

run: $(VENV)/.run-stamp
	$(BIN)/wiredaemon serve --data data

test: lint types unit

lint: $(VENV)/.dev-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-stamp
	$(BIN)/mypy --strict

unit: $(VENV)/.dev-stamp
	$(BIN)/pytest $(SIDE_BY_SIDE)

# For every day: all but the tests that start a daemon or run Mercurial.
check: lint types
	$(BIN)/pytest $(SIDE_BY_SIDE) -q -m "not daemon and not hg and not slow"

# Releases of Mercurial from 5.9 on against the daemon. Each is made once, in .cache, and takes two minutes;
# `make interop RELEASES="6.4.5 6.9.5"` takes some only.
RELEASES ?= 5.9.3 6.0.3 6.4.5 6.6.3 6.9.5 7.2.4
interop: $(VENV)/.dev-stamp
	WIREDAEMON_RELEASES="$(RELEASES)" $(BIN)/pytest -n auto tests/interop/test_releases.py

# Properties draw new examples, and fifty times as many.
test-long: $(VENV)/.dev-stamp
	$(BIN)/pytest $(SIDE_BY_SIDE) --hypothesis-profile=long --timeout=1800

# The suite on the oldest versions that pyproject.toml names; `make test-oldest OLDEST=tests/net` runs
# a part of it.
test-oldest: .venv-oldest/.stamp
	.venv-oldest/bin/python -m pytest -p no:cacheprovider $(OLDEST)

# `make bench BENCH="batch post --rounds 4"` measures some figures only.
bench: $(VENV)/.bench-stamp
	$(BIN)/python -m benchmarks $(BENCH)

# `make memory MEMORY="framed zlib"` runs some cases only.
memory: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.memory $(MEMORY)

# `make transfers TRANSFERS="http up"` runs some cases only.
transfers: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.transfers $(TRANSFERS)

# `make stress STRESS="--seconds 5 --connections 50"` is shorter.
stress: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.stress $(STRESS)

# `make attacks ATTACKS="HTTP --seconds 5"` runs the rows with these words only.
attacks: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.attacks $(ATTACKS)

# `make crash CRASH="--rounds 10"` kills less often.
crash: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.crash $(CRASH)

# `make stops STOPS="--stops 20 --reloads 5"` stops and reloads less often.
stops: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.stops $(STOPS)

# `make clones CLONES="stream --rounds 3"` runs some tables only.
clones: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.clones $(CLONES)

# `make large-history LARGE="--changesets 20000"` takes a shorter one; the usual two are made in nine minutes.
large-history: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.large_history $(LARGE)

# `make storm STORM="--changesets 1000"` takes a shorter history.
storm: $(VENV)/.bench-stamp
	$(BIN)/python -m benchmarks.storm $(STORM)

# `make slow-clone SLOW_CLONE="filesdata --seconds 10"` runs some cases only.
slow-clone: $(VENV)/.run-stamp
	$(BIN)/python -m benchmarks.slow_clone $(SLOW_CLONE)

# `make fuzz FUZZ="cbor http --seconds 60"` runs some targets only, for a minute each.
fuzz: $(VENV)/.fuzz-stamp
	PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ)

# The man page, of the parser of the command line.
man: $(VENV)/.dev-stamp
	$(BIN)/python -m tools.man_page > docs/wiredaemon.1

# What the documents say of the code, made of the code: tables of limits and keys, help, transcripts.
reference: man
	$(BIN)/python -m tools.limits_table > docs/limits.md
	$(BIN)/python -m tools.configuration_reference > docs/configuration.md
	$(BIN)/python -m tools.metrics_reference > docs/metrics.md
	$(BIN)/python -m tools.command_line > docs/command-line.md
	$(BIN)/python -m tools.dialect_tables > docs/dialects.md
	$(BIN)/python -m tools.log_messages > docs/log-messages.md
	PYTHONPATH=tests $(BIN)/python -m transcripts.page > docs/transcripts.md

# The page of charts, from the last run that was kept: `make bench BENCH="--json benchmarks/results.json"`.
charts: $(VENV)/.dev-stamp
	$(BIN)/python -m tools.charts_page

# Pictures of terminals in the documents, of a daemon that runs.
sessions: $(VENV)/.dev-stamp
	$(BIN)/python -m tools.sessions

# The site of the documents; a warning is an error.
docs: $(VENV)/.dev-stamp
	$(BIN)/python -m sphinx -q -n -W --keep-going docs build/docs
	@echo "build/docs/index.html"

# Tasks of somebody who has the documents alone, in a fresh environment with a wheel of this checkout;
# `make newcomer NEWCOMER="uploads --offline"` does some only, or asks no index for what the wheel needs.
newcomer: $(VENV)/.dev-stamp
	$(BIN)/python -m tools.newcomer $(NEWCOMER)

# The scripts of the protocol's two transcripts, by `wiredaemon debugwireproto` against a daemon of their own.
seeds: $(VENV)/.dev-stamp
	PYTHONPATH=tests $(BIN)/python -m seeds.replay

# Pictures of its pages, light and dark, wide and narrow; `make screenshots SCREENSHOTS="charts tools"` takes some.
screenshots: $(VENV)/.dev-stamp
	PYTHONPATH=tests $(BIN)/python -m screenshots.pages $(SCREENSHOTS)

format: $(VENV)/.dev-stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .venv-oldest build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Only what is needed to serve; all that is needed to work on it is below, and includes it.
$(VENV)/.run-stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[hg]'
	@touch $@

$(VENV)/.dev-stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.run-stamp

.venv-oldest/.stamp: pyproject.toml tests/oldest.txt
	rm -rf .venv-oldest
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --editable '.[test]' --constraint tests/oldest.txt
	@touch $@

$(VENV)/.bench-stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[hg,bench]'
	@touch $@ $(VENV)/.run-stamp

$(VENV)/.fuzz-stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wiredaemon needs Python 3.11 or later: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
