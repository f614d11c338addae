# Everything happens in .venv, made from this file, pyproject.toml and constraints.txt alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BACKENDS := $(VENV)/.backends
STANDARDS := .venv-standards
DOCUMENTATION := .venv-docs
OLDEST := .venv-oldest
WORKERS ?= 2

# What needs no extra; the rest needs Keras, scikit-learn or the catalogue. (tests/test_schemas.py compares with what the
# newest pydantic generates.)
OLDEST_TESTS := tests/records tests/cli/test_commands.py tests/archive/test_verifying.py tests/archive/test_trust.py \
	tests/test_naming.py tests/export/test_zip.py

export TF_CPP_MIN_LOG_LEVEL ?= 3
# Empty: bytecode is written where a machine would forbid it. The tests start thousands of processes, and an
# environment is made without bytecode, of which most would never be read.
export PYTHONDONTWRITEBYTECODE :=

PIP_INSTALL := -m pip install --quiet --no-compile

BROWSERS := chromium chromium-browser google-chrome

.PHONY: browser standards documentation demo test lint types imports unit packaging oldest stress schemas records docs reports sample pictures peers bench clean

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

$(DOCUMENTATION)/.installed: docs/building/requirements.txt
	$(PYTHON) -m venv $(DOCUMENTATION)
	$(DOCUMENTATION)/bin/python -m pip install --quiet --upgrade pip --constraint constraints.txt
	$(DOCUMENTATION)/bin/python $(PIP_INSTALL) --requirement docs/building/requirements.txt
	touch $@

documentation: $(DOCUMENTATION)/.installed   ## what makes the site and checks wheel and sdist, in an environment of its own

$(OLDEST)/.installed: pyproject.toml   # the lowest versions that pyproject.toml allows of what the base install needs
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python $(PIP_INSTALL) uv==0.13.9
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python --resolution lowest-direct .
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST)/bin/python pytest pytest-timeout pytest-xdist hypothesis jsonschema pyyaml
	touch $@

demo: $(INSTALLED)          ## train a CNN on handwritten digits, archive it, verify the archive
	$(BIN)/python examples/digits_cnn.py --root runs
	$(BIN)/archiver verify --deep $$(ls -td runs/digits_cnn_base*_models | head -n 1)

test:                       ## the whole suite; what does not fill two cores by itself runs beside something else
	$(MAKE) --jobs=3 --output-sync=target $(BACKENDS) standards documentation browser
	$(MAKE) --jobs=5 --output-sync=target lint types imports docs packaging
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

packaging: $(INSTALLED) documentation   ## build the wheel, use it from another directory without TensorFlow
	PYTEST_DEBUG_TEMPROOT=$${TMPDIR:-/tmp} $(BIN)/python -m pytest -m packaging -q   # whole environments: not in memory

oldest: $(OLDEST)/.installed ## verifying, records and the command line with the oldest versions of what they need
	PYTHONPATH=. $(OLDEST)/bin/python -m pytest -q -W default $(OLDEST_TESTS)   # they warn of what came after them

stress: $(BACKENDS)         ## the random campaigns in full, those of Hypothesis among them
	ARCHIVER_STRESS=1 $(BIN)/python -m pytest -n $(WORKERS) -m "stress or hypothesis" -q

schemas: $(INSTALLED)       ## write schemas/ anew from the record classes
	$(BIN)/python -m tests.write_schemas

records: $(INSTALLED)       ## write docs/records.md anew from the schemas and docs/details.toml
	$(BIN)/python -m tests.records_reference

docs: $(DOCUMENTATION)/.installed   ## build the documentation into site/ (open site/index.html), and check every link in it
	NO_MKDOCS_2_WARNING=1 $(DOCUMENTATION)/bin/python -m mkdocs build --strict --quiet
	$(DOCUMENTATION)/bin/python -m docs.building.links site

reports: $(INSTALLED)       ## write docs/reports/ anew: the reports of two examples
	$(BIN)/python -m tests.write_reports

sample: $(INSTALLED)        ## write the sample archive of the documentation anew, and its seal id into docs/sample.md
	$(BIN)/python -m tests.write_sample

pictures: $(INSTALLED) browser   ## write docs/pictures/ anew: a report, the dashboard, the architecture
	$(BIN)/python -m tests.write_pictures

peers: $(INSTALLED)         ## environments of the tools that we are measured against; what does not install is said
	$(BIN)/python -m benchmarks.peers.environments

bench: peers standards      ## run all benchmarks, write benchmarks/RESULTS.md (QUICK=1: small sizes, below build/)
	$(BIN)/python -m benchmarks.results

clean:
	rm -rf $(VENV) $(STANDARDS) $(DOCUMENTATION) $(OLDEST) .venv-peers dist build site
