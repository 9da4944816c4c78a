# make demo   prepare, train, speak and score a small dialogue model, in minutes on a CPU
# make test   style, types and tests
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUN := demo-$(shell date +%Y%m%d-%H%M%S)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export WANDB_MODE ?= offline
export TOKENIZERS_PARALLELISM ?= false
# model files that tests and the evaluation may use, when they lie beside the checkout (see dia/judges/events.py)
ifneq ($(wildcard ../shared/models/.),)
export DIA_MODELS ?= $(abspath ../shared/models)
endif

.PHONY: demo test lint install
install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[all]'
	touch $@

demo: install
	$(BIN)/python -m dia.train +recipe=demo run_name=$(RUN)
	$(BIN)/python -m dia.eval ckpt=runs/$(RUN) before=dia_nano suite=quick

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy dia

test: lint
	$(BIN)/pytest
