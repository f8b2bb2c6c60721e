# Two commands on a fresh machine (Python >= 3.11 with venv, git, make):
#   make demo    set up and run the main job: TPP-DAMON against no tiering, tables and pictures in demo/
#   make test    set up and pass the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: demo late test test-slow bench lint kernel docs site notebooks clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(VENV)/.ready
	$(BIN)/numasim compare demo --out demo

late: $(VENV)/.ready ## the same kdamonds, started after DRAM is full: the quota that never grows
	$(BIN)/numasim compare late_start --out demo/late_start

test: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow and not bench'

test-slow: $(VENV)/.ready ## also the statistical and acceptance tests, a few minutes
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not bench'

notebooks: $(VENV)/.ready ## every notebook from top to bottom, apart from the quick suite; about two minutes each
	$(BIN)/python -m pytest -n 0 -m slow tests/smoke/test_notebooks.py

bench: $(VENV)/.ready ## all benchmarks, about half an hour on a quiet machine; benchmarks/results.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,bench]'
	$(BIN)/python -m benchmarks

lint: $(VENV)/.ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

kernel: $(VENV)/.ready ## bundled recordings of a real kernel beside the same runs, simulated: a verdict and pictures
	$(BIN)/numasim validate tests/data/ground_truth --out results/kernel

REPRODUCED := micron_interleave micron_transition hmsdk_redis hmsdk_residency damon_overhead \
  migration_throughput loaded_latency_skx mlp_consistency shared_page

reproduce: $(VENV)/.ready ## published results held against simulated ones; renews the table of the front page
	$(BIN)/numasim reproduce $(REPRODUCED) --out results/reproduce --readme README.md

REPRODUCED_LONG := tpp_web tpp_migration pmbench pmbench_limit taobench taobench_misses \
  colloid_gups colloid_gups_prefetching colloid_latency graph500 graph500_rate llama_hmsdk

reproduce-long: $(VENV)/.ready ## those that take longer: their rows of the same table
	$(BIN)/numasim reproduce $(REPRODUCED_LONG) --out results/reproduce --readme README.md

docs: $(VENV)/.ready ## renew the table of policies in docs/policies.md
	$(BIN)/python -c "from pathlib import Path as P; from numasim.features import renewed; \
	  page = P('docs/policies.md'); page.write_text(renewed(page.read_text('utf-8')), 'utf-8')"

site: $(VENV)/.ready ## the documentation as a site, in build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,docs]'
	$(BIN)/python -m sphinx --fail-on-warning --quiet docs build/site

clean:
	rm -rf $(VENV) demo results build docs/reference dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
