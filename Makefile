# make demo    fine-tune the small model on a new voice, generate and score: minutes on a CPU
# make check   style, types and the fast tests: for every save
# make test    style, types and all tests
# make docs    the documentation as a site, in site/
PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell command -v python$(version))) python3)
VENV := .venv
BIN := $(VENV)/bin
RUN := demo-$(shell date +%Y%m%d-%H%M%S)
# one process of tests a core, at most eight: each holds one to two GB
WORKERS ?= logical
PYTEST := $(BIN)/pytest -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

export WANDB_MODE ?= offline
export TOKENIZERS_PARALLELISM ?= false
# images set it; without bytecode every process of the tests compiles the package again
unexport PYTHONDONTWRITEBYTECODE
# model files that tests and the evaluation may use, when they lie beside the checkout (see dia/judges/events.py)
ifneq ($(wildcard ../shared/models/.),)
export DIA_MODELS ?= $(abspath ../shared/models)
endif

.PHONY: demo check test lint docs install
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt scripts/install.sh
	bash scripts/install.sh $(PYTHON) $(VENV)
	touch $@

demo: install
	$(BIN)/python -m dia.train +recipe=demo run_name=$(RUN)
	$(BIN)/python -m dia.prepare data=new_voice_test codec=codec_open
	$(BIN)/python -m dia.eval ckpt=runs/$(RUN) baseline=dia_open data=new_voice_test suite=quick

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy dia

check: lint
	$(PYTEST) -m "not slow"

test: lint
	$(PYTEST)

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
