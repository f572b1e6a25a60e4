PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-slow lint clean

# From GRIB files to a verified ensemble, on weather that jaxrain carries with it.
demo: $(VENV)/base.done
	$(BIN)/python -m jaxrain.prepare --config configs/demo.yaml
	$(BIN)/python -m jaxrain.train --config configs/demo.yaml
	$(BIN)/python -m jaxrain.sample runs/demo --output runs/demo/test.nc --split test --overwrite
	$(BIN)/python -m jaxrain.verify runs/demo/test.nc --report runs/demo/report

test: $(VENV)/dev.done lint
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(VENV)/dev.done
	$(BIN)/python -m pytest -n 2 -m slow

lint: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/python.done:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxrain needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/base.done: $(VENV)/python.done pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/dev.done: $(VENV)/python.done pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/base.done

clean:
	rm -rf $(VENV) build dist
