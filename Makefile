# wildtag: `make demo` shows it, `make up` runs it, `make test` tests it. Needs Python 3.11 or newer and nothing else.
#
# ARGS      for the command that is run: make test ARGS='tests/unit -x'
# PYTHON    the interpreters to try, in this order
# PIP_FLAGS for pip, such as an index that has torch for your hardware

.POSIX:
.PHONY: help demo up test install develop lint docs clean constraints

VENV = .venv
ARGS =
PYTHON = python3 python3.14 python3.13 python3.12 python3.11
PIP_FLAGS =
TORCH = 2.13.0

MAKE_VENV = sh ops/make-venv.sh $(VENV) $(PYTHON)

# pip itself comes first: an old one needs twice the time to work out the rest. Modules are compiled when they are
# first imported: compiling all of them takes longer than everything else.
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --no-input install --no-compile --prefer-binary \
	-c constraints.txt $(PIP_FLAGS)
LOG = $(VENV)/install.log
INSTALL = echo "Installing wildtag and what it needs into $(VENV): one or two minutes, and only now."; \
	{ $(PIP) pip && $(PIP) -e ".[$$extras]"; } > $(LOG) 2>&1 & \
	while kill -0 $$! 2> /dev/null; do \
		if [ -t 1 ]; then printf '\r%-78.78s' "$$(tail -n 1 $(LOG))"; fi; sleep 1; \
	done; \
	if [ -t 1 ]; then printf '\r%78s\r' ''; fi; \
	wait $$! || { tail -n 25 $(LOG); echo "The installation failed; all that pip said is in $(LOG)."; exit 1; } >&2

# --strict makes every warning an error; not with --quiet, which hides warnings from it, too. The variable switches off a
# notice of Material about its successor.
MKDOCS = NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict

help:
	@echo 'make demo     tag some photographs from start to end, and stop'
	@echo 'make up       run everything on this machine until Ctrl-C'
	@echo 'make test     run all tests'
	@echo 'make install  only install, into $(VENV)'
	@echo 'make lint     style, types, import contracts and documentation'
	@echo 'make docs     build the documentation into build/site'
	@echo 'make clean    remove $(VENV) and everything else that was made here'

demo: $(VENV)/installed
	@exec $(VENV)/bin/wildtag demo $(ARGS)

up: $(VENV)/installed
	@exec $(VENV)/bin/wildtag up $(ARGS)

# What starts whole stacks, one after the other, in one process, and all others, the browser's stack too, beside it.
# ARGS='-n 0' runs everything in one process.
test: $(VENV)/developing
	@exec $(VENV)/bin/python -m pytest -n 2 --no-loadscope-reorder $(ARGS)

install: $(VENV)/installed

develop: $(VENV)/developing

lint: $(VENV)/developing
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(MKDOCS) --site-dir build/checked-site

docs: $(VENV)/developing
	$(MKDOCS)
	@echo 'The documentation is in build/site/index.html'

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Versions move only here: takes the newest of everything that pyproject.toml allows, and pins it. Packages that only some
# versions of Python need stand with a marker ("; python_version …"), and are kept: look after them by hand.
constraints:
	rm -rf $(VENV)
	$(MAKE_VENV)
	$(VENV)/bin/python -m pip --quiet install --no-compile --upgrade pip
	$(VENV)/bin/python -m pip --quiet install --no-compile $(PIP_FLAGS) 'torch==$(TORCH)' -e '.[embedded,dev]'
	{ grep '^#' constraints.txt; { grep ' ; ' constraints.txt; \
		$(VENV)/bin/python -m pip freeze --all --exclude-editable | sed 's/+.*//'; \
	} | sort --stable --ignore-case --unique --field-separator='=' --key=1,1; } > pins
	mv pins constraints.txt

$(VENV)/installed: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@extras=embedded; $(INSTALL)
	@touch $@

$(VENV)/developing: pyproject.toml constraints.txt
	@$(MAKE_VENV)
	@extras=embedded,dev; $(INSTALL)
	@touch $(VENV)/installed $@
