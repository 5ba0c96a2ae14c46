# One verb per task. Each makes the virtual environment and installs what it needs by itself.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: run test lint format bench fuzz clean
.DEFAULT_GOAL := test

$(STAMP): pyproject.toml scripts/setup
	scripts/setup "$(PYTHON)" "$(VENV)"
	touch $@

run: $(STAMP)
	$(BIN)/echelon run examples/demo/main.py

test: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	benchmarks/setup
	$(BIN)/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(BIN)/python -m benchmarks

fuzz: $(STAMP)
	ECHELON_FUZZ_ROUNDS=$${ECHELON_FUZZ_ROUNDS:-20000} $(BIN)/python -m pytest tests/fuzz --timeout=0

clean:
	rm -rf $(VENV) .echelon .mypy_cache .pytest_cache .ruff_cache build dist
