# The two commands of a newcomer are `make demo` and `make test`; each sets up everything that it needs in .venv.
#   make demo TORCH_INDEX=URL   take PyTorch from another package index (a CPU-only one is much smaller)
#   make explore                give the property tests new examples, many more than `make test` does
#   make claims                 try what the papers claim, at a size that shows in minutes that everything runs
#   make proof                  measure every figure that the README quotes (long, resumable)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Build isolation reads this too, so the build tools are pinned like everything else.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Where the environment forbids compiled files, every worker and every program that a test starts compiles all again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test explore claims proof lint types layers unit install install-dev format clean

demo: install
	$(BIN)/edgebci run examples/quickstart.toml

# Types take one core for a minute or two, so they are checked beside the tests.
test: install-dev
	+$(MAKE) --no-print-directory lint layers
	+$(MAKE) --no-print-directory -j 2 types unit

# Two processes share the trials; each writes the whole table at the end.
claims: install-dev
	$(BIN)/edgebci reproduce claims --quick > /dev/null & other=$$!; \
	  $(BIN)/edgebci reproduce claims --quick && wait $$other

proof: install-dev
	$(BIN)/edgebci proof

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev
	$(BIN)/mypy

layers: install-dev
	$(BIN)/lint-imports

unit: install-dev
	$(BIN)/pytest -n 2 --dist worksteal

explore: install-dev
	$(BIN)/pytest -n 2 -m hypothesis --hypothesis-profile explore

format: install-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "edgebci needs Python 3.11; found $$($(PYTHON) --version). Install it or run: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/torch: $(VENV)/python constraints.txt
	$(BIN)/python edgebci/torch_download.py $(TORCH_INDEX)
	$(BIN)/pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(BIN)/pip install --quiet --editable '.[train]'
	touch $@

$(VENV)/installed-dev: $(VENV)/torch pyproject.toml
	$(BIN)/pip install --quiet --editable '.[train,dev]'
	touch $(VENV)/installed $@

clean:
	rm -rf $(VENV) build dist runs *.egg-info
