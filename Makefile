# Plain commands; the README shows them too, for people who do not use make.
PRESET ?= quick
GAMES ?=
INTO ?= runs/$(PRESET)
RUN ?= .
STEPS ?=
ROUNDS ?= 3
SEED ?= 0
PYTHON ?= python3
BIN := .venv/bin
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: quick demo run paper check test fuzz docs bench bench-gpu record adopt verify unlock lock

# A word of the shell, whatever blanks and quotes it contains.
quoted = '$(subst ','\'',$(1))'

# The quick run: two games at a small scale, and their table.
quick:
	@echo "Pong and Ms Pac-Man, 50 steps: about 5 minutes on two cores after the installation, 10 without bfloat16 products"
	@$(MAKE) --no-print-directory run PRESET=quick GAMES= INTO=runs/quick

# Catch, learned by a double dueling DQN; killed once on purpose, it ends with the same bytes.
demo: .venv/installed
	@$(BIN)/python -m workflow_src demo --into runs/demo

# Any other run: make run PRESET=quick GAMES="boxing seaquest" INTO=runs/mine
run: .venv/installed
	$(BIN)/python -m workflow_src configure --preset $(call quoted,$(PRESET)) --games $(call quoted,$(GAMES)) --into $(call quoted,$(INTO))
	$(BIN)/snakemake --directory $(call quoted,$(INTO)) --cores all --resources gpu=1 --quiet rules progress
	@$(BIN)/python -m workflow_src show $(call quoted,$(INTO))

# The paper of a run, results/paper.pdf; needs LaTeX: make paper RUN=runs/quick
paper: .venv/installed
	$(BIN)/snakemake paper --directory $(call quoted,$(RUN)) --cores all --resources gpu=1 --quiet rules progress

# `check`: linters, types and the fast tests, in two and a half minutes, for every commit. `test`: the same with all tests, as CI runs it.
check: FAST := -m "not slow"
check test: .venv/tests-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist loadfile $(FAST)

# Mutated configurations, damaged files and kills, ROUNDS=1000 of each: one line says what came of them.
fuzz: .venv/tests-installed
	PYTHONPATH=tests:. $(BIN)/python -m fuzz --rounds $(if $(filter command line,$(origin ROUNDS)),$(ROUNDS),1000) --seed $(SEED)

# The documentation as a site that needs no server and no network: open site/index.html.
docs: .venv/tests-installed
	rm -rf site
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs site

# How fast each step is, against plain baselines and the hardware limit: one table, and speed/latest.json.
bench: .venv/installed
	@$(BIN)/python -m speed.bench --rounds $(ROUNDS)

# The trainings on a GPU, encoders' and agents', from an empty checkout in under fifteen minutes.
bench-gpu: .venv/installed
	@$(BIN)/python -m speed.gpu
	@$(BIN)/python -m speed.agents_gpu

# After Snakemake was killed: take its lock away, once no other Snakemake works on the run. make unlock RUN=runs/quick
unlock: .venv/installed
	$(BIN)/snakemake --directory $(call quoted,$(RUN)) --unlock

# Record in dvc.lock, or adopt from it (docs/versioning.md); another run: make record RUN=runs/quick
record adopt: .venv/installed
	@$(BIN)/python -m workflow_src $@ --run $(call quoted,$(RUN))

# Remake files and compare them with dvc.lock: make verify GAMES="boxing" STEPS="episodes splits"
verify: .venv/installed
	@$(BIN)/python -m workflow_src verify --run $(call quoted,$(RUN)) --games $(call quoted,$(GAMES)) --steps $(call quoted,$(STEPS))

.venv/installed: requirements.lock pyproject.toml setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) install --requirement requirements.lock
	$(BIN)/python $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What the tests and the documentation need beside it.
.venv/tests-installed: .venv/installed requirements-test.lock
	$(BIN)/python $(PIP) install --requirement requirements.lock --requirement requirements-test.lock
	@touch $@

# Renew the pins: what pyproject.toml resolves to today in an empty environment, first without the tests.
pins = .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude atariari | sed 's/+cpu$$//'
lock:
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python $(PIP) install torch==2.13.0 "setuptools>=77" ".[workflow]"
	(sed '/^[^#]/,$$d' requirements.lock; $(pins)) > requirements.new
	.venv-lock/bin/python $(PIP) install --constraint requirements.new ".[workflow,test,docs]"
	(sed '/^[^#]/,$$d' requirements-test.lock; $(pins) | grep -v -x -F -f requirements.new) > requirements-test.new
	mv requirements.new requirements.lock
	mv requirements-test.new requirements-test.lock
	(sed '/^  - pip:$$/q' environment.yml; sed -n 's/^[^#].*/      - &/p' requirements.lock) > environment.new
	mv environment.new environment.yml
	rm -rf .venv-lock
