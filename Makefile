# Everything runs in .venv, which is made when it is missing or the requirements changed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
REPORT ?= report
# The versions that were tested; `CONSTRAINTS=/dev/null` installs the newest.
CONSTRAINTS ?= constraints.txt

.PHONY: demo quick test test-all lint install benchmarks docs linkcheck clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	# torch first and pinned: a looser request may bring gigabytes of CUDA libraries.
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[dev,graph,survival,store,dask,ray,accelerate,encoders]"
	touch $(STAMP)

demo: install
	$(BIN)/nonredundant demo -o $(REPORT)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive nonredundant

# Packages and modules whose tests train next to nothing: about 1,600 tests.
QUICK := tests/io tests/lesions tests/utils tests/displays \
	$(addprefix tests/nn/test_,blocks.py losses.py net.py penalties.py state.py) \
	tests/extraction/test_settings.py \
	$(addprefix tests/test_,complexity.py dependencies.py docs.py layers.py)

quick: install
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow" $(QUICK)

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

benchmarks: install
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

# SPHINXOPTS="-D plot_gallery=0" builds without running the examples.
docs: install
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[docs]"
	$(BIN)/python -m sphinx -W --keep-going -b html $(SPHINXOPTS) docs docs/_build/html

linkcheck: docs
	$(BIN)/python -m sphinx -b linkcheck -D plot_gallery=0 docs docs/_build/linkcheck

clean:
	rm -rf .venv build *.egg-info docs/_build docs/gallery docs/generated
