# make demo         install, then run the whole chain on the teacher in examples/; SERVER=1 reports the
#                   run to the configured Prefect server, otherwise it has a temporary one
# make test         install, then lint, types, import contracts, docs and the quick tests
# make test-server  install, then the tests that need a Prefect server, PostgreSQL, S3, namespaces
#                   or a browser
# make docs         install, then update the generated parts of the pages and build docs/_build
# make slow         install, then the tests that take minutes each
# make device       on a Jetson: install what builds engines there, without torch

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Test processes at a time; each runs torch with one thread.
WORKERS ?= $(shell nproc)
PYTEST := $(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal
export PREFECT_SERVER_ANALYTICS_ENABLED := false
# The first start of Prefect's server creates its database, which can take more than its 20 seconds.
export PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS := 120

.PHONY: demo test lint types contracts docs quick test-server slow device install clean

# Prefect's own profile `ephemeral` names no server.
demo: install
	$(if $(SERVER),,env --unset=PREFECT_API_URL PREFECT_PROFILE=ephemeral) \
		PREFECT_LOGGING_LEVEL=ERROR $(BIN)/python -m flows.distill_and_quantize examples/mnist_lenet5/run.yaml

# The checks use one core each and run side by side; the tests then use all cores.
test: install
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint types contracts docs
	$(MAKE) --no-print-directory quick

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

quick: install
	$(PYTEST)

# A file's tests share their servers, so they run in one process.
test-server: install $(VENV)/browser
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "server and not slow"

$(VENV)/browser: $(VENV)/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --group browser
	touch $@

# Every warning is an error, such as a link to a page or anchor that is missing.
docs: install
	$(BIN)/python docs/update_pages.py
	$(BIN)/sphinx-build --fail-on-warning --nitpicky --keep-going --quiet docs docs/_build

slow: install
	$(BIN)/pytest -m slow
	$(BIN)/pytest --hypothesis-profile=slow -m "hypothesis and not slow and not server"

# --system-site-packages: TensorRT's Python bindings come with JetPack.
device:
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(BIN)/pip install --disable-pip-version-check --constraint constraints-device.txt --editable '.[flows]'

install: $(VENV)/installed

# Install torch first, by its exact version: a version range would select the CUDA build (several GB).
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/pip install --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,flows]' --group dev
	touch $@

clean:
	rm -rf $(VENV)
