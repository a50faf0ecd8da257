# One word per chore. `make demo` and `make test` set up everything they need; both are quick the second time.
PYTHON ?= python3
BIN := .venv/bin
SCREEN := -screen 0 1600x1000x24

.PHONY: setup demo test lint screenshots tissue-sheets benchmark coverage null learning wheel clean

setup: .venv/ready

.venv/ready: setup.cfg pyproject.toml constraints.txt scripts/system_libraries.sh
	sh scripts/system_libraries.sh
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip setuptools wheel
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[dev]"
	touch $@

demo: .venv/ready
	$(BIN)/python -m scripts.demo

# The whole suite, then the window's tests once more on PyQt6: napari is dropping PyQt5.
test: .venv/ready
	QT_API=pyqt5 PYTEST_QT_API=pyqt5 $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)
	QT_API=pyqt6 PYTEST_QT_API=pyqt6 $(BIN)/python -m pytest -m gui $(ARGS)

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari_mil/napari.yaml

screenshots: .venv/ready
	$(BIN)/python -m scripts.screenshots screenshots

tissue-sheets: .venv/ready
	$(BIN)/python -m scripts.tissue_sheets tissue-sheets

benchmark: .venv/ready
	$(BIN)/python -m pip install --quiet --no-deps --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.run docs/benchmarks.md
	$(BIN)/python -m benchmarks.dendrogram

# How often intervals hold the truth, and what is found in noise: written to docs/intervals.md.
coverage: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.coverage

# Finished rows are kept below build/, so that it can be stopped and goes on.
learning: .venv/ready
	$(BIN)/python -m pip install --quiet --no-deps --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.learning docs/learning.md
	$(BIN)/python -m benchmarks.mil_assumption docs/mil_assumption.md

null: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.null

wheel: .venv/ready
	$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf .venv build dist *.egg-info demo-output screenshots tissue-sheets
