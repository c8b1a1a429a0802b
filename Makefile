# persistconn: a bare `make` lists the targets.
NODE_BIN := node_modules/.bin
STAMP    := node_modules/.installed
WASM     := lib/wire/llhttp/generated/llhttp-wasm.ts
VITEST   := $(NODE_BIN)/vitest --config spec/vitest.config.ts
FUZZ_RUNS = $(or $(RUNS),2000)
# One seed for all files, so that one line repeats the run.
FUZZ_SEED := $(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom | tr -d ' '))
REPORT   := coverage/spec-report.json
REPORTED := $(VITEST) run --reporter=default --reporter=json --outputFile.json=$(REPORT)

.DEFAULT_GOAL := help
.PHONY: help run test check spec scenarios mutants fuzz simulate canaries bench bench-quick interop articles leaks build nightly fix clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WASM): $(STAMP) lib/wire/llhttp/extract-wasm.mjs
	node lib/wire/llhttp/extract-wasm.mjs
	@touch $@

run: $(WASM) ## real requests, with timelines: against an embedded origin, or URL=http://…
	@$(NODE_BIN)/tsx spec/demo/run.ts $(URL)

test: $(WASM) ## the specs, a fuzz smoke, and whether each of Go's own tests has its answer
	$(REPORTED)
	$(NODE_BIN)/tsx spec/go-scenarios/run.ts $(REPORT) --check

check: $(WASM) ## everything static: types, lint, format, import rules and cycles, leftovers
	$(NODE_BIN)/tsc --noEmit -p .
	$(NODE_BIN)/biome check --config-path=.biome.json --error-on-warnings .
	$(NODE_BIN)/depcruise --config .dependency-cruiser.cjs lib spec fuzz
	$(NODE_BIN)/knip
	@! git grep -nwE 'TODO|FIXME|XXX' -- lib spec fuzz bench ':!*/generated/*' || (echo "leftovers: finish them or take them away" && false)

spec: $(WASM) ## one spec: FILE=spec/pool or a file
	$(VITEST) run $(FILE)

scenarios: $(WASM) ## spec/go-scenarios.md anew, from a run: which spec answers which of Go's own tests
	$(REPORTED)
	$(NODE_BIN)/tsx spec/go-scenarios/run.ts $(REPORT)

mutants: $(WASM) ## which rows of Go's tests notice a mistake, until each has met enough: PASSES=0 SEED=1 AGAIN=spec/redirect
	$(NODE_BIN)/tsx spec/go-scenarios/mutants.ts $(or $(PASSES),1000) $(or $(SEED),1) $(AGAIN)

fuzz: $(WASM) ## the properties, deeper: RUNS=5000 SEED=1 NAME=pool, and AT= ONLY= as a failure prints them
	@echo "SEED=$(FUZZ_SEED) RUNS=$(FUZZ_RUNS)"
	@RUNS=$(FUZZ_RUNS) SEED=$(FUZZ_SEED) AT='$(AT)' ORACLES=install \
	  $(VITEST) run fuzz/$(NAME) --testTimeout=86400000 --hookTimeout=600000 $(if $(ONLY),-t '$(ONLY)')

simulate: $(WASM) ## the simulator for a night, over all cores: RUNS=100000 SEED=1 REQUESTS=100
	RUNS=$(RUNS) SEED=$(SEED) REQUESTS=$(REQUESTS) node --import tsx fuzz/simulator/run.ts

canaries: $(WASM) ## deliberate bugs, each of which the suite must catch: NAME=unsolicited
	node --import tsx fuzz/canaries/run.ts $(NAME)

build: $(WASM) ## dist/: what is published
	rm -rf dist
	$(NODE_BIN)/tsc -p lib/tsconfig.json
	@chmod +x dist/cli/main.js

bench: build ## side by side with the peers: ARGS="--scenario get-2kib-x64 --rounds 7"
	cd bench && npm ci --no-audit --no-fund --loglevel=error && node --import tsx run.ts $(ARGS)

bench-quick: build ## the same in under two minutes, to see that it runs
	cd bench && npm ci --no-audit --no-fund --loglevel=error && node --import tsx run.ts --quick $(ARGS)

interop: $(WASM) ## against nginx, Apache, HAProxy, Caddy, Node, Squid, Tinyproxy, Dante: ARGS=--quick
	$(NODE_BIN)/tsx spec/interop/run.ts $(ARGS)

articles: $(WASM) ## the two articles as experiments
	$(NODE_BIN)/tsx spec/articles/run.ts $(ARGS)

leaks: $(WASM) ## a hundred thousand requests with aborts and closes, and what they leave: ARGS="10000 SEED"
	node --expose-gc --import tsx spec/e2e/leaks.ts $(ARGS)

nightly: check test ## everything, whole
	$(MAKE) fuzz RUNS=50000
	$(MAKE) simulate RUNS=100000
	$(MAKE) canaries
	$(MAKE) leaks
	$(MAKE) articles
	$(MAKE) interop
	$(MAKE) bench

fix: $(STAMP) ## format, and what lint can mend by itself
	$(NODE_BIN)/biome check --config-path=.biome.json --write .

clean: ## what was built
	rm -rf dist coverage lib/wire/llhttp/generated
