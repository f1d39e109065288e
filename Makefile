# make demo   install, then the whole chain on the teacher in examples/
# make test   install, then lint, types and the quick tests
# make docs   install, then build the documentation in docs/_build (part of make test)
# make slow   install, then the tests that take minutes
# make device on a Jetson: install what builds engines there, no torch (targets/README.md)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: demo test docs slow device install clean

demo: install
	PREFECT_LOGGING_LEVEL=ERROR $(BIN)/python -m flows.distill_and_quantize examples/mnist_lenet5/run.yaml

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

# Every warning is an error, such as a link to a page or anchor that is missing.
docs: install
	$(BIN)/sphinx-build --fail-on-warning --nitpicky --keep-going --quiet docs docs/_build

slow: install
	$(BIN)/pytest -m slow

# Of the system's packages it sees what it does not pin itself: TensorRT's bindings.
device:
	$(PYTHON) -m venv --system-site-packages $(VENV)
	$(BIN)/pip install --disable-pip-version-check --constraint constraints-device.txt --editable '.[flows]'

install: $(VENV)/installed

# torch first and by its exact version: a wider request would bring the CUDA build of several GB.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/pip install --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,flows]' --group dev
	touch $@

clean:
	rm -rf $(VENV)
