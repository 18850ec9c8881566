# Everything that is done with Keyturn's source. Needs make, Python 3.11 or newer, and for the image Docker.

PYTHON ?= python3
IMAGE  ?= keyturn:latest
TESTS  ?= test --ignore=test/image
WORKERS ?= 2
# What is tried in many ways: one part (`make faults PART=rotation`), these tests, or by default all parts, one after the
# other. Of each kind of run, how many are spoilt by one fault (or `all`, and then of all else every way is tried) and by
# two, and in which sample.
PART   ?=
FAULTS ?= $(PART_$(PART))
SPOILT ?= all
# How many wrong answers each kind of run gets: so many, `each` field and request once, or `all` in every way, in which
# the clients' own test has them all the same.
ANSWERS ?= each
PAIRS  ?= 10
SEED   ?= 7
IMAGE_TESTS ?= test/image

BIN    := .venv/bin
READY  := .venv/ready
# pytest compiles the tests anew at each run where Python may not write down what it has compiled.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

# The parts of `make faults`, each a matter of some ten to thirty minutes on two cores.
PARTS            := rotation pull replication answers model rotate fleet threats rest
MATRIX           := test/faults/test_matrix.py::test_
PART_rotation    := $(MATRIX)a_spoilt_rotation_breaks_no_promise $(foreach each,races_of_rotations other_worlds,test/faults/test_$(each).py)
PART_pull        := $(MATRIX)a_spoilt_pull_breaks_no_promise $(MATRIX)each_kind_of_fault_is_tried test/pull
PART_replication := $(MATRIX)a_spoilt_replication_breaks_no_promise test/faults/test_races_of_replications.py test/replicate
PART_answers     := test/faults/test_wrong_answers.py test/faults/test_slow_and_huge.py test/clients
PART_model       := test/rotate/test_model.py
PART_rotate      := test/rotate --ignore=test/rotate/test_model.py
PART_fleet       := test/fleet
PART_threats     := test/test_threats.py
PART_rest        := $(TESTS) $(foreach each,faults pull replicate clients rotate fleet test_threats.py,--ignore=test/$(each))

# Wheels alone, each with its hash; what they need is locked beside them. One package has no wheel: it is built with the
# locked setuptools, since pip would fetch another one without a hash.
INSTALL := pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all:

.DEFAULT_GOAL := help
.PHONY: help setup demo sandbox test faults mutants lint docs image image-test bench release audit arm64 lock clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

setup: $(READY) ## Make .venv with everything that the other targets need

$(READY): requirements/build.txt requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m $(INSTALL) -r requirements/build.txt
	$(BIN)/python -m $(INSTALL) --no-build-isolation --no-binary bitbucket-pipes-toolkit -r requirements/dev.txt
	@touch $@

demo: $(READY) ## Rotate a key over 111 days, pull and replicate secrets, in the sandbox
	$(BIN)/python -m sandbox.demo

sandbox: $(READY) ## Start the sandbox with its page, and print how to run the pipe in it
	$(BIN)/python -m sandbox

test: $(READY) ## Run the tests; those of the image are apart
	$(PYTEST) $(TESTS)

ifneq ($(strip $(FAULTS)),)
faults: $(READY)
	@echo "$(or $(PART),$(FAULTS)); the parts are $(PARTS)"
	SPOILT=$(SPOILT) ANSWERS=$(ANSWERS) PAIRS=$(PAIRS) SEED=$(SEED) $(PYTEST) --durations=5 $(FAULTS)
else
faults: $(READY) ## Spoil every request in every way: hours; PART=rotation, pull, replication, answers, model, … is one part
	$(if $(PART),$(error there is no part $(PART); the parts are $(PARTS)))
	@failed=; for part in $(PARTS); do $(MAKE) --no-print-directory faults PART=$$part || failed="$$failed $$part"; done; \
	  [ -z "$$failed" ] || { echo "make faults: failed:$$failed" >&2; exit 1; }
endif

mutants: $(READY) ## Change the pipe in 200 small ways and see that tests fail; SEED=1
	$(BIN)/python -m test.mutants --workers $(WORKERS) --seed $(SEED)

lint: $(READY) ## Check style, types, the Dockerfile and the pipeline
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.bitbucket-pipelines bitbucket-pipelines.yml
	$(BIN)/cfn-lint --non-zero-exit-code informational infra/*.yaml
	if command -v terraform >/dev/null; then terraform fmt -check -recursive infra; fi

docs: $(READY) ## Write variables, policies and commands into README and docs/
	$(BIN)/python -m test.readme
	$(BIN)/python -m test.threats

image: ## Build the image
	docker build $(if $(PIP_INDEX_URL),--build-arg PIP_INDEX_URL) $(if $(BASE),--build-arg BASE="$(BASE)") \
	  --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"$$/\1/p' pipe/__init__.py)" \
	  --build-arg REVISION="$$(git describe --always --abbrev=40 --exclude='*' --dirty)" --tag $(IMAGE) .

image-test: $(READY) ## Run the image that `make image` has built
	KEYTURN_IMAGE=$(IMAGE) $(BIN)/python -m pytest $(IMAGE_TESTS)

bench: $(READY) ## Measure start-up, requests, many targets and size
	KEYTURN_IMAGE=$(IMAGE) $(BIN)/python -m bench

release: $(READY) ## Build the image reproducibly, push and sign it: IMAGE, BASE with its digest, KEY; see docs/publish.md
	IMAGE="$(filter-out keyturn:latest,$(IMAGE))" BASE="$(BASE)" KEY="$(KEY)" release/publish.sh

audit: ## Look for known vulnerabilities in what is locked; fails where that cannot be told
	$(PYTHON) -m venv .audit
	.audit/bin/python -m $(INSTALL) -r requirements/audit.txt
	.audit/bin/pip-audit --strict --disable-pip --require-hashes \
	  -r requirements/runtime.txt -r requirements/dev.txt -r requirements/build.txt

# What has no wheel is pure Python.
arm64: ## See that each package of the image can be had for arm64, too; nothing is installed
	sed '/^bitbucket-pipes-toolkit/,/# via/d' requirements/runtime.txt >.arm64.txt
	$(PYTHON) -m pip install --quiet --dry-run --no-deps --require-hashes --only-binary :all: --python-version 3.13 \
	  --platform manylinux2014_aarch64 --platform manylinux_2_28_aarch64 --platform manylinux_2_34_aarch64 \
	  --target .arm64 -r .arm64.txt
	rm .arm64.txt

lock: ## Lock the requirements anew; needs uv
	cd requirements && for set in build runtime dev audit; do \
	  uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --quiet --upgrade --override override.txt --output-file $$set.txt $$set.in; \
	done

clean: ## Remove what the other targets have made
	rm -rf .venv .audit dist .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
