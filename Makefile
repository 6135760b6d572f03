# CloudAlpha. `make serve` and `make test` do all the set-up themselves, on a fresh clone too.
#   make serve    the demo: a local folder over FTP and SFTP (options: make serve ARGS="DIR --ftp-port 0")
#   make test     all tests, the fast ones first (options: make test ARGS="-k sftp")
#   make check    style, types, import directions, documentation in step
#   make bench    measured against other servers
#   make docs     docs/settings.md and docs/commands.md, from the code
#   make fuzz     the property tests, for long (options: make fuzz EXAMPLES=100000)
#   make soak     every client in a loop, one killed every few seconds (options: make soak MINUTES=60); as root
#   make clean    removes what the above made

VENV ?= .venv
SWIFT_VENV := .venv-swift
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2
SLOW_WORKERS ?= 3
EXAMPLES ?= 20000
MINUTES ?= 15
ARGS ?=

.PHONY: serve test check bench docs fuzz soak clean packages swift

serve: $(VENV)/.installed
	@exec $(BIN)/cloudalpha serve $(ARGS)

# Slow tests run in a pass of their own, where much is waiting for servers; pytest says 5 when a pass has no tests.
test: $(VENV)/.dev packages swift
	$(PYTEST) -n $(WORKERS) -m "not slow" $(ARGS) || [ $$? -eq 5 ]
	$(PYTEST) -n $(SLOW_WORKERS) -m "slow" $(ARGS) || [ $$? -eq 5 ]

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q tests/test_imports.py tests/test_docs.py

bench: $(VENV)/.dev packages
	$(BIN)/python -m benchmarks --readme $(ARGS)
	$(BIN)/python -m benchmarks.s3 $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

fuzz: $(VENV)/.dev
	HYPOTHESIS_PROFILE=fuzz FUZZ_EXAMPLES=$(EXAMPLES) $(PYTEST) -n $(WORKERS) -m hypothesis --timeout=0 $(ARGS)

soak: $(VENV)/.dev packages
	$(BIN)/python -m tests.end_to_end.soak --minutes $(MINUTES)

clean:
	rm -rf $(VENV) $(SWIFT_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Missing programs skip the tests that need them, each with its reason; continuous integration needs all.
packages:
	@.ci/packages tests/packages.txt || [ "$(CI)" != true ]

# The same for OpenStack Swift, whose virtual environment is its own: it needs an old setuptools.
swift:
	@$(MAKE) --no-print-directory $(SWIFT_VENV)/.installed || [ "$(CI)" != true ]

# Repeated runs install nothing: a stamp is as new as the installation, which is redone when setup.cfg changes.
$(VENV)/bin/pip:
	@.ci/venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/pip
	@echo "Installing CloudAlpha into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: setup.cfg pyproject.toml | $(VENV)/bin/pip
	@echo "Installing CloudAlpha and its tools into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[all,dev]"
	@touch $@ $(VENV)/.installed

$(SWIFT_VENV)/.installed: tests/servers/swift_requirements.txt
	@.ci/venv $(SWIFT_VENV)
	@echo "Installing OpenStack Swift into $(SWIFT_VENV) ..."
	@$(SWIFT_VENV)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
