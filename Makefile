# make demo   install, then the whole chain on the teacher in examples/
# make test   install, then lint, types and the quick tests
# make slow   install, then the tests that take minutes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: demo test slow install clean

demo: install
	PREFECT_LOGGING_LEVEL=ERROR $(BIN)/python -m flows.distill_and_quantize examples/mnist_lenet5/run.yaml

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest

slow: install
	$(BIN)/pytest -m slow

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
