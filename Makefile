# Backprop Explorer. Needs Python 3.11 or later; everything else is installed into $(VENV).
#
#   make explore      serve the page on this machine and open it
#   make check        format, lint, types and the fast tests: under two minutes
#   make test         everything, in a browser too
#   make figures      measure again what README says is measured
#   make screenshots  take the pictures of README again
#   make notebooks    run the notebooks again, and keep what they show
#
# PYTHON=python3.12 picks the interpreter of a new environment, VENV=folder the environment,
# ARGS="my_model:loss --port 6000" what explore is told, WORKERS=2 how many tests run at a time,
# MARKS="not once" which of them.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= auto
MARKS ?=
ARGS ?=

run := $(VENV)/bin/python -m
asked := pyproject.toml $(wildcard constraints/*.txt)

# The versions that CI runs with, where this Python is one of CI's; else what pyproject.toml asks for.
pins = $(wildcard constraints/py$(shell $(VENV)/bin/python -c 'import sys; print("%d%d" % sys.version_info[:2])').txt)
# Most of what pip would compile is never imported.
install = $(run) pip install -qq --no-compile --disable-pip-version-check $(addprefix -c ,$(pins))
marked = $(if $(MARKS),-m "$(MARKS)")
pytest = $(run) pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal --ignore tests/browser
browser = CHROMIUM="$$($(VENV)/bin/python scripts/find_browser.py --install)" && export CHROMIUM

needs = Backprop Explorer needs Python 3.11 or later: name one, as in make explore PYTHON=python3.12
is_new = 'import sys; sys.exit(sys.version_info < (3, 11))'

.PHONY: help explore check test style unit pages figures screenshots notebooks

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

explore: $(VENV)/.explore
	@$(VENV)/bin/backprop-explorer serve $(ARGS)

check: style
	$(pytest) -m "not slow"

test: style unit pages

unit pages: export TESTS_CACHE = $(abspath $(VENV))/.compiled
unit: $(VENV)/.test
	rm -rf $(TESTS_CACHE)
	$(pytest) $(marked)

pages: $(VENV)/.test
	$(browser) && $(run) pytest -n $(WORKERS) --maxprocesses 2 --dist loadfile --no-loadscope-reorder $(marked) tests/browser

style: $(VENV)/.test
	$(run) ruff format --check .
	$(run) ruff check .
	$(run) mypy

figures: $(VENV)/.test
	$(browser) && for script in benchmarks/[a-z]*.py; do $(run) benchmarks.$$(basename $$script .py) || exit 1; done

screenshots: $(VENV)/.test
	$(browser) && $(run) scripts.screenshots

notebooks: $(VENV)/.test
	$(run) scripts.notebooks

$(VENV)/.test: $(asked) | $(VENV)/.made
	@echo "Installing into $(VENV) what the tests need; this takes a minute or two."
	@$(install) -e '.[test]'
	@$(run) engine.build_kernel
	@touch $@ $(VENV)/.explore

$(VENV)/.explore: $(asked) | $(VENV)/.made
	@echo "Installing into $(VENV); this takes a minute or two, the first time only."
	@$(install) -e .
	@$(run) engine.build_kernel
	@touch $@

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here; $(needs)."; exit 1; }
	@$(PYTHON) -c $(is_new) || { echo "$(PYTHON) is too old; $(needs)."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@
