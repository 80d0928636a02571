# Two commands from nothing: `make run` and `make test`. Only Python >= 3.11 and make are needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run environment paper findings test slow check claims outputs notebooks browser bench peers explore docs dist clean help

help:            ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/run.stamp  ## compare theory and simulation on the default tree and the 8-item table, into results/
	$(BIN)/workbench compare --task tree --out results/tree --force
	$(BIN)/workbench compare --task table:rumelhart --out results/rumelhart --force
	@echo
	@echo "Open results/tree/report.html and results/rumelhart/report.html in a browser."

paper: $(VENV)/run.stamp  ## the paper's abstract, sentence by sentence, into results/paper
	$(BIN)/workbench paper --out results/paper --force
	@echo
	@echo "Open results/paper/paper.html in a browser."

findings: $(VENV)/run.stamp  ## run every study and write docs/findings.md from the results
	-$(BIN)/workbench study --all --out results/findings --force
	$(BIN)/python docs/write_findings.py results/findings

# A file's tests stay with one worker, which makes what they share once; the longest files begin (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

test: $(VENV)/dev.stamp  ## the tests, but for slow ones and those in a browser; ALSO=notebooks: these in the same run
	$(PYTEST) $(if $(ALSO),--nbmake --nbmake-timeout=240,-p no:nbmake) -m "not browser and not slow" $(ALSO) tests workbench

slow: $(VENV)/dev.stamp  ## the tests that take more than five seconds: killed runs, full disks, signals, powers
	$(PYTEST) -p no:nbmake -m slow tests

check: $(VENV)/dev.stamp  ## style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

claims: outputs  ## every closed form, the main job and every figure, by the program itself
	$(BIN)/workbench verify --quiet

outputs: $(VENV)/run.stamp  ## the main job and every figure, by the program itself; results are thrown away
	@out=$$(mktemp -d) && trap 'rm -rf "$$out"' EXIT && \
	$(BIN)/workbench compare --task tree --out "$$out/tree" --quiet && \
	$(BIN)/workbench figures --out "$$out/figures" --formats png --no-animations

notebooks: $(VENV)/dev.stamp  ## run every notebook from top to bottom
	$(PYTEST) --nbmake --nbmake-timeout=240 notebooks

browser: $(VENV)/browser.stamp  ## the explorer in Chromium, and its server; screenshots into .artifacts/browser
	WORKBENCH_BROWSER=required $(BIN)/python -m pytest -n 2 --dist loadfile -m browser tests/test_browser_*.py tests/test_explorer_guard.py tests/test_standalone.py

bench: $(VENV)/dev.stamp  ## measure speed; prints ratios within one run, and writes benchmarks/README.md
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/docs.stamp  ## the documentation, into docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

dist: $(VENV)/dist.stamp  ## wheel and sdist into dist/, checked from an installed wheel; FULL=1: every Python, extra and lower bound
	$(BIN)/python .ci/dist.py $(if $(FULL),--full)

peers:           ## an environment of its own with other libraries, for `make bench` to compare with
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[peers]'
	@# kronfluence asks for torchvision and never imports it; beside a torch of another build it breaks transformers.
	.venv-peers/bin/python -m pip uninstall --quiet --disable-pip-version-check --yes torchvision

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/run.stamp

explore: $(VENV)/explore.stamp  ## sliders and linked panels in the browser
	$(BIN)/workbench explore

$(VENV)/explore.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[explore]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/browser.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[browser]'
	@touch $@ $(VENV)/dev.stamp $(VENV)/explore.stamp $(VENV)/run.stamp

environment: | $(VENV)/bin/python  ## what every step needs, in one installation
	$(PIP) -e '.[browser,docs,dist]'
	@touch $(addprefix $(VENV)/,run.stamp dev.stamp explore.stamp browser.stamp docs.stamp dist.stamp)

$(VENV)/dist.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[dist]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/docs.stamp: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) -e '.[docs]'
	@touch $@ $(VENV)/run.stamp

clean:           ## remove the environment and the results
	rm -rf $(VENV) .venv-peers results docs/_build docs/_written
