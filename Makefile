# `make` lists the targets. Each is one line of a tool that can be run by hand as well.

BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help start demo setup test check format settings ci

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1	\2/p' $(MAKEFILE_LIST) | expand -t 12

start:  ## Start the service
	./start.sh

demo:  ## Run an example workflow on a service of its own
	./start.sh demo

setup:  ## Prepare .venv with the development tools
	./start.sh setup

test:  ## Run the tests
	./start.sh test

check: setup  ## Check the format, the lint rules and the types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .

format: setup  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

settings: setup  ## Write .env.example from config.py
	$(BIN)/python config.py > .env.example

ci:  ## Run everything that a change has to pass
	.ci/run
