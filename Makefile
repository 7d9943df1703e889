# Every target does the set-up it needs; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# llama.cpp is compiled once, for this processor, without the parts Corral does not load. Its AMX
# kernels are left out: GCC before 11.5, 12.4, 13.3 and 14 compiles their tile set-up wrongly
# (GCC bug 114098), and every quantized model then dies at its first prompt.
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF -DCMAKE_C_FLAGS=-U__AMX_INT8__ -DCMAKE_CXX_FLAGS=-U__AMX_INT8__
export CMAKE_BUILD_PARALLEL_LEVEL ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY)  ## create .venv and install everything into it (compiles llama.cpp once, minutes)

$(READY): requirements.lock pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Corral needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || { echo "==> creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "==> installing the pinned packages; llama.cpp is compiled the first time, which takes minutes"
	@$(BIN)/pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

PROTOS   := $(wildcard proto/corral/v1/*.proto)
SERVICES := $(addprefix proto/corral/v1/,model_manager.proto inference.proto server.proto)
STUBS    := clients/python

.PHONY: proto
proto: $(READY)  ## format and lint the contract, generate the stubs
	cd proto && ../$(BIN)/buf format -w && ../$(BIN)/buf lint
	rm -rf $(STUBS)/corral/v1 && mkdir -p $(STUBS)/corral/v1 && touch $(STUBS)/corral/v1/__init__.py
	PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(STUBS) --pyi_out=$(STUBS) $(PROTOS)
	PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto --grpc_python_out=$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(SERVICES)
