# Works on a fresh machine with nothing but Python 3.11+ and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A CPU build of PyTorch is enough for everything here; on a GPU machine set it to the build you want.
TORCH ?= torch>=2.9,<2.14

.PHONY: demo test test-slow test-long torture recipes runtime reports reports-check check format clean

demo: $(VENV)/.installed  ## install, run the embedded study, say where the report is
	$(BIN)/segstudy run --out demo-study

# Tests start hundreds of processes: compiled files are kept, also where the environment says otherwise.
unexport PYTHONDONTWRITEBYTECODE

test: $(VENV)/.installed-dev  ## everything that takes minutes at most; three at a time, because some wait
	$(BIN)/pytest -n 3 --dist worksteal -m "not slow and not very_slow"

test-slow: $(VENV)/.installed-dev  ## what `make test` leaves out: longer trainings, faults, simulations
	$(BIN)/pytest -n 2 --dist worksteal -m "slow and not very_slow"

test-long: $(VENV)/.installed-dev  ## everything, also simulations of an hour
	$(BIN)/pytest -n 2 --dist worksteal

torture: $(VENV)/.installed-dev  ## a study under 100 SIGKILLs, some 15 minutes
	$(BIN)/python tests/torture.py --kills 100

recipes: $(VENV)/.installed-dev  ## each recipe of CONTRIBUTING in a copy of the tree, and the files it touches
	$(BIN)/python tests/recipes.py

runtime: $(VENV)/.installed-dev  ## segstudy-runtime in a fresh environment: predict and serve without PyTorch
	$(BIN)/python tests/fresh_runtime.py

reports: $(VENV)/.installed-dev  ## the pages of docs/results again, from their stored runs, without training
	$(BIN)/python docs/results/reports.py

reports-check: $(VENV)/.installed-dev  ## whether they are as this version makes them, and their README's numbers
	$(BIN)/python docs/results/reports.py --check

check: $(VENV)/.installed-dev  ## lint, format, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo-study

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $@
