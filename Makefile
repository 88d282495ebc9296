# Everything sets itself up from the locked files in requirements/, needs only PyPI, and leaves nothing outside this
# folder. README.md says what each target is for.

SHELL := /bin/sh
PYTHON ?= $(shell tools/find_python.sh)
LAYER := layers/switchboard/python
SOURCES := $(LAYER)/switchboard functions sandbox tests benchmarks tools
BUILT := .aws-sam/build
DEMO ?= 1
SNAPSTART ?= off
# Without byte code each process would compile all that it imports, and each worker rewrite all tests.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run stop test test-fast proof coverage check docs bench bench-full build deploy clean lock

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/sandbox/ready .venv/emulator/ready ## bring up everything on this machine and play the story (DEMO=0: no story)
	@DEMO=$(DEMO) .venv/sandbox/bin/python -m sandbox up

stop: ## end what `make run` started
	@if [ -x .venv/sandbox/bin/python ]; then .venv/sandbox/bin/python -m sandbox down; else echo "Nothing was ever started here."; fi

test: .venv/dev/ready .venv/emulator/ready .venv/sandbox/ready ## all tests, the deployed template on the emulator among them
	@.venv/dev/bin/python -c "import platform; print('Testing on', platform.python_implementation(), platform.python_version())"
	@.venv/dev/bin/pytest -q -n 3

test-fast: .venv/dev/ready ## the tests that need no AWS, neither the emulator nor moto
	@.venv/dev/bin/pytest -q -n 2 --ignore tests/system --ignore tests/contract --ignore tests/unit/handlers

proof: .venv/dev/ready .venv/emulator/ready .venv/sandbox/ready ## all tests, every search to its deepest bound: about an hour
	@SWITCHBOARD_PROOF=1 .venv/dev/bin/pytest -q -n 3 -m "" --timeout 3600

coverage: .venv/dev/ready ## what the tests without the emulator cover: 95 % of the layer, all of its domain
	@.venv/dev/bin/pytest -q -n 3 --ignore tests/system -m "not proof and not interleaved" --cov --cov-report=
	@.venv/dev/bin/coverage report --fail-under=95 --skip-covered
	@.venv/dev/bin/coverage report --fail-under=100 --skip-covered --include='*/switchboard/domain/*'

check: .venv/dev/ready .venv/sam/ready .venv/checkov/ready docs ## lint, words, types, import rules, template lint, scans, pages
	.venv/dev/bin/ruff check .
	.venv/dev/bin/ruff format --check .
	@# The changelog and the style page name the retired words.
	git ls-files -z '*.py' '*.md' '*.yaml' '*.toml' '*.sh' Makefile ':!CHANGELOG.md' ':!docs/style.md' | xargs -0 .venv/dev/bin/codespell
	.venv/dev/bin/python tools/check_language.py
	.venv/dev/bin/python tools/check_metric_names.py
	.venv/dev/bin/mypy
	PYTHONPATH=.:$(LAYER) .venv/dev/bin/lint-imports --no-cache
	.venv/sam/bin/sam validate --lint --region ap-northeast-1
	@mkdir -p build && PYTHONPATH=.:$(LAYER) .venv/dev/bin/python -m tools.write_translated_template > build/translated.json
	.venv/checkov/bin/checkov --config-file .checkov.yaml --file build/translated.json
	@# On a copy: the hook rewrites its baseline's line numbers.
	@cp .secrets.baseline build/secrets.baseline
	@# 1 is a new secret; 3 says only that lines with known ones have moved.
	git ls-files -z ':!.secrets.baseline' | xargs -0 sh -c '.venv/dev/bin/detect-secrets-hook --baseline build/secrets.baseline "$$@" || test $$? -eq 3' scan
	.venv/dev/bin/openapi-spec-validator docs/openapi.yaml
	@# Links, names and tables of the pages.
	.venv/dev/bin/pytest -q tests/docs

docs: .venv/docs/ready ## the pages under docs/ as a site, in build/site
	@.venv/docs/bin/python -m tools.build_site

bench: .venv/dev/ready .venv/bench/ready ## benchmarks, as ratios within one run
	@.venv/dev/bin/python -m benchmarks

bench-full: .venv/dev/ready .venv/bench/ready .venv/emulator/ready .venv/sandbox/ready ## the same with all that takes long, `make test` among it
	@CROWD_CONTAINERS=7,16,50,100,200,500,1000,2000 PACE_SECONDS=120 PACE_REAL_SECONDS=60 \
		.venv/dev/bin/python -m benchmarks --full

build: .venv/sam/ready ## what `make deploy` uploads (SNAPSTART=on: published versions, started from snapshots)
	PATH="$$(dirname $(PYTHON)):$$PATH" .venv/sam/bin/sam build
	@.venv/sam/bin/python tools/check_built_template.py $(BUILT)/template.yaml
	@if [ "$(SNAPSTART)" = on ]; then .venv/sam/bin/python tools/publish_versions.py $(BUILT)/template.yaml; fi
	@# Lambda cannot write byte code beside a layer's sources: without it every cold start would compile them again.
	$(PYTHON) -m compileall -q --invalidation-mode unchecked-hash -s $(BUILT)/SwitchboardLayer -p /opt $(BUILT)/SwitchboardLayer

deploy: build ## the real thing, to the AWS account your environment names
	.venv/sam/bin/sam deploy --guided

lock: ## pin again what pyproject.toml asks for
	tools/lock.sh

clean: ## remove all that was built or installed here
	@$(MAKE) --no-print-directory stop
	rm -rf .venv .sandbox .aws-sam build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment a purpose. A lock file that has changed makes it anew.
.venv/%/ready: requirements/%.lock
	@echo "Setting up .venv/$* with $$($(PYTHON) --version)"
	@rm -rf .venv/$*
	@$(PYTHON) -m venv .venv/$*
	@.venv/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@.venv/$*/bin/python -m pip check --disable-pip-version-check >/dev/null
	@touch $@
