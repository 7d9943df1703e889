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
	@grep -hE '^[a-z-]+:.*  ##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(READY)  ## create .venv and install everything into it (compiles llama.cpp once, minutes)

$(READY): requirements.lock pyproject.toml clients/python/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Corral needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || { echo "==> creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "==> installing the pinned packages; llama.cpp is compiled the first time, which takes minutes"
	@$(BIN)/pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock
	@$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e clients/python -e .
	@touch $@

# -- running ------------------------------------------------------------------

.PHONY: run
run: $(READY)  ## serve the embedded demo model on 127.0.0.1:50051
	@exec $(BIN)/corral serve

# -- the contract -------------------------------------------------------------

PROTOS   := $(wildcard proto/corral/v1/*.proto)
SERVICES := $(addprefix proto/corral/v1/,model_manager.proto inference.proto server.proto)
STUBS    := clients/python

# Language and folder of each; Java, C++, C# and Kotlin generate theirs when they are built.
OTHER_STUBS := go:clients/go/corral/v1 typescript:clients/typescript/src/gen rust:clients/rust/src/gen

# $(call generate,FOLDER): the Python stubs, below FOLDER.
define generate
	rm -rf $(1)/corral/v1 && mkdir -p $(1)/corral/v1 && touch $(1)/corral/v1/__init__.py
	PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(1) --pyi_out=$(1) $(PROTOS)
	PATH="$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto --grpc_python_out=$(1) --mypy_grpc_out=quiet:$(1) $(SERVICES)
endef

.PHONY: proto
proto: $(READY)  ## format and lint the contract, generate the stubs
	cd proto && ../$(BIN)/buf format -w && ../$(BIN)/buf lint
	$(call generate,$(STUBS))
	$(BIN)/python -m contract
	$(foreach each,$(OTHER_STUBS),clients/generate.sh $(subst :, ,$(each)) &&) true

# -- checking -----------------------------------------------------------------

SOURCES := server clients/python tests demo bench contract clients/conformance

.PHONY: check
check: lint type check-proto  ## everything CI checks beyond the tests
	$(BIN)/pytest -q tests/test_architecture.py

.PHONY: lint
lint: $(READY)  ## ruff: lint and format
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

.PHONY: type
type: $(READY)  ## mypy, strict
	$(BIN)/mypy server/corral_server clients/python/corral clients/python/examples clients/python/conformance clients/conformance tests bench contract
	$(BIN)/mypy demo

.PHONY: check-proto
check-proto: $(READY)  ## the contract is clean and the stubs are its own
	cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	$(call generate,.cache/stubs)
	diff -r --exclude=__pycache__ .cache/stubs/corral/v1 $(STUBS)/corral/v1 || { echo "the stubs are not current: make proto"; exit 1; }
	$(BIN)/python -m contract --check
	@for each in $(OTHER_STUBS); do \
	  language=$${each%%:*}; fresh=.cache/stubs-$$language; \
	  clients/generate.sh $$language $$fresh; \
	  test ! -d $$fresh || diff -r $$fresh $${each#*:} || { echo "the $$language stubs are not current: make proto"; exit 1; }; \
	done

.PHONY: test
test: $(READY)  ## run the tests
	$(BIN)/pytest

.PHONY: test-clients
test-clients: $(READY)  ## build every client, run its examples and the conformance cases; test the load generator
	clients/cpp/setup.sh || true
	$(BIN)/python -m clients.conformance.run $(if $(CI),--require-all)
	@command -v cargo >/dev/null || { echo "==> the load generator is not tested: no cargo"; exit $(if $(CI),1,0); }; \
	  cd bench/generator && cargo test --quiet

# What only comparing needs; not part of setup.
BENCHED := $(VENV)/.benched
$(BENCHED): $(READY)
	$(BIN)/pip install --disable-pip-version-check --quiet $$($(BIN)/python -c \
	  'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"])')
	@touch $@

.PHONY: bench-peer
bench-peer: $(BENCHED)  ## build llama-server to compare with (once, minutes)
	$(BIN)/python -m bench.peer

.PHONY: bench-generator
bench-generator:  ## build what loads both servers (needs Rust; a minute)
	@command -v cargo >/dev/null || { echo "==> cargo is missing: install Rust 1.88 or newer"; exit 1; }
	cargo build --quiet --release --manifest-path bench/generator/Cargo.toml

.PHONY: bench
bench: bench-generator bench-peer  ## measure Corral beside llama-server, and what it promises (about twenty-five minutes)
	$(BIN)/python -m bench.compare --quick
	$(BIN)/python -m bench.edge
	$(BIN)/python -m bench.promises
	$(BIN)/python -m bench.neighbours

.PHONY: bench-full
bench-full: bench-generator bench-peer  ## all workloads and models, into bench/results (hours)
	$(BIN)/python -m bench.compare --full

# -- standard tools -----------------------------------------------------------

GO_TOOLS := $(CURDIR)/.cache/go-tools

# $(call go-tool,MODULE@VERSION,PACKAGE): in a module of its own, so that tools share no versions.
define go-tool
	folder=$$(mktemp -d) && cd $$folder && go mod init tools 2>/dev/null && go mod edit -require=$(1) && \
	  GOBIN=$(GO_TOOLS) go install -mod=mod $(2) && rm -r $$folder
endef

.PHONY: tools
tools:  ## install the standard gRPC tools of docs/tools.md (needs Go)
	$(call go-tool,github.com/fullstorydev/grpcurl@v1.9.4,github.com/fullstorydev/grpcurl/cmd/grpcurl)
	$(call go-tool,github.com/bojand/ghz@v0.93.0,github.com/bojand/ghz/cmd/ghz)
	$(call go-tool,github.com/grpc-ecosystem/grpc-health-probe@v0.4.61,github.com/grpc-ecosystem/grpc-health-probe)
	$(call go-tool,github.com/ktr0731/evans@v0.10.11,github.com/ktr0731/evans)

# -- the demo model -----------------------------------------------------------

DEMO_VENV := .cache/demo-venv

.PHONY: demo-model
demo-model: $(READY)  ## make the embedded demo model anew (an hour) and grade it
	@test -x $(DEMO_VENV)/bin/python || $(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --disable-pip-version-check --quiet $$($(BIN)/python -c \
	  'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["demo"])')
	$(DEMO_VENV)/bin/python -m demo.build
	$(BIN)/python -m demo.evaluate --failures

# -- the rest -----------------------------------------------------------------

.PHONY: lock
lock: $(READY)  ## resolve requirements.lock anew, hashes and no addresses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	  --extra dev --extra cli --no-emit-package corral-client \
	  pyproject.toml clients/python/pyproject.toml -o requirements.lock

.PHONY: clean
clean:  ## remove what was installed, built and cached
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf clients/*/build clients/*/target clients/typescript/dist clients/typescript/node_modules
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
