# Everything happens in .venv, made from this file, pyproject.toml and constraints.txt alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BACKENDS := $(VENV)/.backends
STANDARDS := .venv-standards
WORKERS ?= 2

export TF_CPP_MIN_LOG_LEVEL ?= 3
# Empty: bytecode is written where a machine would forbid it. The tests start thousands of processes, and an
# environment is made without bytecode, of which most would never be read.
export PYTHONDONTWRITEBYTECODE :=

PIP_INSTALL := -m pip install --quiet --no-compile

BROWSERS := chromium chromium-browser google-chrome

.PHONY: browser standards demo test lint types imports unit packaging stress schemas docs reports bench clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable ".[dev]"
	touch $(INSTALLED)

$(BACKENDS): $(INSTALLED)   # the other backends of Keras, for the tests alone
	$(BIN)/python $(PIP_INSTALL) --constraint constraints.txt --editable ".[dev,jax,torch]"
	touch $(BACKENDS)

$(STANDARDS)/.installed: tests/standards/requirements.txt
	$(PYTHON) -m venv $(STANDARDS)
	$(STANDARDS)/bin/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	$(STANDARDS)/bin/python $(PIP_INSTALL) --requirement tests/standards/requirements.txt
	touch $@

$(STANDARDS)/.node_installed: tests/standards/package.json $(STANDARDS)/.installed
	@if command -v npm >/dev/null; then cp tests/standards/package.json $(STANDARDS)/ \
		&& npm install --prefix $(STANDARDS) --no-package-lock --ignore-scripts --no-audit --no-fund --silent && touch $@; \
	else echo "no npm: the tests with ajv are skipped" >&2; fi

standards: $(STANDARDS)/.installed $(STANDARDS)/.node_installed   ## other people's validators, for the tests alone

demo: $(INSTALLED)          ## train a CNN on handwritten digits, archive it, verify the archive
	$(BIN)/python examples/digits_cnn.py --root runs
	$(BIN)/archiver verify --deep $$(ls -td runs/digits_cnn_base*_models | head -n 1)

test:                       ## the whole suite; what does not fill two cores by itself runs beside something else
	$(MAKE) --jobs=3 --output-sync=target $(BACKENDS) standards browser
	$(MAKE) --jobs=4 --output-sync=target lint types imports packaging
	$(MAKE) unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

imports: $(INSTALLED)
	$(BIN)/lint-imports

browser:                    ## the browser in which the dashboard is tested; without the right to install one, it is not
	@for name in $(BROWSERS); do command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else echo "no Chromium: the tests of the dashboard are skipped" >&2; fi

unit: $(BACKENDS) standards browser
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not packaging" -q

packaging: $(INSTALLED)     ## build the wheel, use it from another directory without TensorFlow
	PYTEST_DEBUG_TEMPROOT=$${TMPDIR:-/tmp} $(BIN)/python -m pytest -m packaging -q   # whole environments: not in memory

stress: $(BACKENDS)         ## the random campaigns in full, those of Hypothesis among them
	ARCHIVER_STRESS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "stress or hypothesis" -q

schemas: $(INSTALLED)       ## write schemas/ anew from the record classes
	$(BIN)/python -m tests.write_schemas

docs: $(INSTALLED)          ## write docs/records.md anew from the schemas and docs/details.toml
	$(BIN)/python -m tests.records_reference

reports: $(INSTALLED)       ## write docs/reports/ anew: the reports of two examples
	$(BIN)/python -m tests.write_reports

bench: $(INSTALLED)         ## print the tables of benchmarks/
	for file in overhead sampling report startup verify memory_estimate snapshots resume cache feeding augmentation statistics catalog repair diff faults store scale; do $(BIN)/python -m benchmarks.$$file || exit 1; done

clean:
	rm -rf $(VENV) $(STANDARDS) dist build
