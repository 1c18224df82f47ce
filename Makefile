# Plain commands, which the README also shows for people who do not use make.
PRESET ?= quick
GAMES ?=
INTO ?= runs/$(PRESET)
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quick run test clean

quick:
	@$(MAKE) --no-print-directory run PRESET=quick INTO=runs/quick GAMES=

run: .venv/installed
	$(BIN)/python -m workflow_src configure --preset $(PRESET) --games "$(GAMES)" --into $(INTO)
	$(BIN)/snakemake --directory $(INTO) --cores all --resources gpu=1
	@$(BIN)/python -m workflow_src show $(INTO)

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pytest

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
