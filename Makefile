# make run   set up, train the default model if there is none, serve it
# make test  set up, then lint, types and tests
PYTHON ?= python3
BIN := .venv/bin
DEFAULT_MODEL := models/nasbench201-cifar10

.PHONY: run test clean
.DELETE_ON_ERROR:

run: $(DEFAULT_MODEL)/manifest.json
	$(BIN)/python -m service

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

clean:
	rm -rf .venv

# The stamps are files in .venv: a set-up that was cut off starts again, a finished one costs nothing.
.venv/installed: pyproject.toml constraints.txt | .venv/created
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	touch $@

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "crlso needs Python 3.11 or newer as $(PYTHON); name another: make PYTHON=python3.12 run" >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	touch $@

# make models/nasbench201-cifar100/manifest.json trains that one too.
models/nasbench201-%/manifest.json: | .venv/installed
	$(BIN)/python -m crlso.train --space nasbench201 --dataset $* --out $(@D) --seed 0
