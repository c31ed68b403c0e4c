# make demo   the draft's figure 2 on a host of its own          ARGS="--break eth0" cuts a network off
# make test   the tests, on real networks inside this machine    ARGS="-k dhcp -x" goes to pytest
# make check  format, lint, types, documentation
# make fuzz   every parser, fed with what nobody would write     ARGS="--seconds 600 dhclient" is one, for long
# make benchmarks   what trimif costs, beside other ways         ARGS="latency" is one comparison alone
# make docs   the documentation, in docs/_build/html
# make clean  removes all that these made
#
# Each does its own set-up: a virtual environment in .venv, and, as root, the Debian packages that the lab needs.
# A second run finds both and is fast. PYTHON=/path/to/python3 chooses the interpreter of a new .venv.

BIN := .venv/bin
STAMPS := .venv/stamps
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
export PYTHON

.PHONY: help demo test fuzz benchmarks check ruff flake8 mypy verifytypes docs clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(STAMPS)/trimif
	@$(BIN)/trimif demo $(ARGS)

test: $(STAMPS)/test
	@.ci/install-lab-packages
	@.ci/unpack-lab-packages
	$(BIN)/python -m pytest $(ARGS)

fuzz: $(STAMPS)/test
	$(BIN)/python -m tests.fuzz $(ARGS)

benchmarks: $(STAMPS)/test
	@.ci/install-lab-packages
	@$(BIN)/python -m benchmarks $(ARGS)

check: ruff flake8 mypy verifytypes docs

ruff: $(STAMPS)/check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

flake8: $(STAMPS)/check
	$(BIN)/python -m flake8 trimif tests docs

# The tests' and the documentation's modules are type-checked too, so their libraries must be there.
mypy: $(STAMPS)/check $(STAMPS)/test $(STAMPS)/docs
	$(BIN)/python -m mypy

# --verifytypes looks for the package with the python that is first on PATH.
verifytypes: $(STAMPS)/check
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes trimif --ignoreexternal

docs: $(STAMPS)/docs
	$(BIN)/python -m sphinx --quiet --nitpicky --fail-on-warning --keep-going docs docs/_build/html

clean:
	rm -rf .venv .lab docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMPS)/venv:
	@.ci/make-venv
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/trimif: $(STAMPS)/venv pyproject.toml
	@echo "Installing trimif into .venv"
	@$(INSTALL) --editable '.[cli,asyncio,dbus,http]'
	@touch $@

# The dependency groups of pyproject.toml.
$(STAMPS)/test $(STAMPS)/check $(STAMPS)/docs: $(STAMPS)/trimif
	@echo "Installing what 'make $(@F)' needs into .venv"
	@$(INSTALL) --group $(@F)
	@touch $@
