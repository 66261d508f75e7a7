# The whole contributor manual: install, run, check, test, slow, bench, wheel. CI calls check and test.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: install run check test slow docs bench wheel lock clean

install: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $(READY)

run: install  ## train the example here, with progress on screen; Ctrl-C leaves it running
	$(BIN)/surreal create examples/cheetah-ppo.yaml --set metadata.name=cheetah-ppo-$$(date +%m%d-%H%M%S)

check: install  ## style, types, layer contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: install  ## the default suite: under 13 minutes on two cores; a third of it waits for processes
	@# its processes would compile the modules anew each time where PYTHONDONTWRITEBYTECODE is set
	$(BIN)/python -m compileall -q algorithms cli orchestrator protocol provisioner src/surreal/__init__.py
	$(BIN)/pytest -n 3 --dist worksteal

slow: install  ## learning to a bar, long fault tests, extras that are installed
	$(BIN)/pytest -m slow --timeout 3600

docs: install  ## the documentation site, built strictly into site/
	$(BIN)/mkdocs build --strict

bench: install  ## beside raw pyzmq, and beside the peers installed under PEERS (see docs/results.md)
	$(BIN)/surreal bench protocol
	$(BIN)/python benchmarks beside.streams --peers "$${PEERS:-../peers}"
	$(BIN)/python benchmarks beside.ppo --peers "$${PEERS:-../peers}"

wheel: install
	$(BIN)/python -m hatchling build -t wheel

LOCKS    := orchestrator/container
COMPILE  := uv pip compile --constraint constraints.txt --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade -q
# what torch needs on every machine, and so is in requirements.txt already
OF_TORCH := filelock fsspec jinja2 markupsafe mpmath networkx setuptools sympy typing-extensions

lock:  ## what the image installs, at today's versions; needs uv on PATH. torch-cpu.txt says how it is kept
	$(COMPILE) pyproject.toml --extra gcs --extra s3 --torch-backend cpu --python-platform x86_64-manylinux_2_28 \
	  --no-emit-package torch -o $(LOCKS)/requirements.txt
	echo torch | $(COMPILE) - --constraint $(LOCKS)/requirements.txt --python-platform x86_64-manylinux_2_28 \
	  $(addprefix --no-emit-package=,$(OF_TORCH)) -o $(LOCKS)/torch-cuda.txt

clean:
	rm -rf $(VENV) dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
