# Plain commands, which the README also shows for people who do not use make.
PRESET ?= quick
GAMES ?=
INTO ?= runs/$(PRESET)
RUN ?= .
STEPS ?=
ROUNDS ?= 3
PYTHON ?= python3
BIN := .venv/bin
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: quick run paper test bench bench-gpu record adopt verify lock

# The main job at quick scale, and its table.
quick:
	@$(MAKE) --no-print-directory run PRESET=quick GAMES= INTO=runs/quick

# Any other choice: make run PRESET=quick GAMES="boxing seaquest" INTO=runs/mine
run: .venv/installed
	$(BIN)/python -m workflow_src configure --preset $(PRESET) --games "$(GAMES)" --into $(INTO)
	$(BIN)/snakemake --directory $(INTO) --cores all --resources gpu=1 --quiet rules progress
	@$(BIN)/python -m workflow_src show $(INTO)

# results/paper.pdf of a run, which needs LaTeX: make paper RUN=runs/quick
paper: .venv/installed
	$(BIN)/snakemake paper --directory $(RUN) --cores all --resources gpu=1 --quiet rules progress

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pytest -n auto --dist loadfile

# How fast each step is, beside baselines and the machine's limits: one table, and speed/latest.json.
bench: .venv/installed
	@$(BIN)/python -m speed.bench --rounds $(ROUNDS)

# The trainings on a GPU, in under ten minutes, from nothing.
bench-gpu: .venv/installed
	@$(BIN)/python -m speed.gpu

# What is made, in dvc.lock (docs/versioning.md); of another run: make record RUN=runs/quick
record adopt: .venv/installed
	@$(BIN)/python -m workflow_src $@ --run $(RUN)

# The certificate: make verify GAMES="boxing" STEPS="episodes splits"
verify: .venv/installed
	@$(BIN)/python -m workflow_src verify --run $(RUN) --games "$(GAMES)" --steps "$(STEPS)"

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) install --requirement requirements.lock
	$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# New pins: what pyproject.toml resolves to today in an empty environment.
lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP) install torch==2.13.0 "setuptools>=77" ".[workflow,test]"
	(sed '/^[^#]/,$$d' requirements.lock; .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude workflow-src | sed 's/+cpu$$//') > requirements.new
	mv requirements.new requirements.lock
	(sed '/^  - pip:$$/q' environment.yml; sed -n 's/^[^#].*/      - &/p' requirements.lock) > environment.new
	mv environment.new environment.yml
	rm -rf .venv-lock
