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
.PHONY: help run test check spec scenarios tour mutants mutation fuzz simulate canaries bench bench-quick bench-trace bench-growth bench-micro bench-tuning bench-profile interop chaos soak articles leaks build package api new-user runtimes nightly fix clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(WASM): $(STAMP) lib/wire/llhttp/extract-wasm.mjs lib/wire/llhttp/spans.wat
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
	$(NODE_BIN)/depcruise --config .dependency-cruiser.cjs lib spec fuzz .build
	$(NODE_BIN)/knip
	$(MAKE) package
	@! git grep -nwE 'TODO|FIXME|XXX' -- lib spec fuzz bench .build ':!*/generated/*' || (echo "leftovers: finish them or take them away" && false)

spec: $(WASM) ## one spec: FILE=spec/pool or a file
	$(VITEST) run $(FILE)

scenarios: $(WASM) ## spec/go-scenarios.md anew, from a run: which spec answers which of Go's own tests
	$(REPORTED)
	$(NODE_BIN)/tsx spec/go-scenarios/run.ts $(REPORT)

tour: $(WASM) ## the guides' diagrams and the tour's traces anew, as the program is now
	$(NODE_BIN)/tsx spec/tour/pages.ts

mutants: $(WASM) ## which rows of Go's tests notice a mistake, until each has met enough: PASSES=0 SEED=1 AGAIN=spec/redirect
	$(NODE_BIN)/tsx spec/go-scenarios/mutants.ts $(or $(PASSES),1000) $(or $(SEED),1) $(AGAIN)

mutation: $(WASM) ## mutants of pool/, conn/, wire/ and the rules, and who survives: AREA=pool, FILES=lib/pool/slot.ts FORCE=1
	node --import tsx spec/mutation/run.ts $(AREA)

fuzz: $(WASM) ## the properties, deeper: RUNS=5000 SEED=1 NAME=pool, and AT= ONLY= as a failure prints them
	@echo "SEED=$(FUZZ_SEED) RUNS=$(FUZZ_RUNS)"
	@RUNS=$(FUZZ_RUNS) SEED=$(FUZZ_SEED) AT='$(AT)' ORACLES=install \
	  $(VITEST) run fuzz/$(NAME) --testTimeout=86400000 --hookTimeout=600000 $(if $(ONLY),-t '$(ONLY)')

simulate: $(WASM) ## the simulator for a night, over all cores: RUNS=100000 SEED=1 REQUESTS=100
	RUNS=$(RUNS) SEED=$(SEED) REQUESTS=$(REQUESTS) node --import tsx fuzz/simulator/run.ts

canaries: $(WASM) ## deliberate bugs, each of which the suite must catch: NAME=unsolicited
	node --import tsx fuzz/canaries/run.ts $(NAME)

build: $(WASM) ## dist/: what is published
	$(NODE_BIN)/tsx .build/run.ts

package: build ## what is published: its size by parts, its manifest, its types as every kind of importer sees them
	$(NODE_BIN)/tsx .build/package.ts

api: $(WASM) ## the API reference, in coverage/api: a name that is used and not published, or a dead link, is an error
	$(NODE_BIN)/typedoc --options .typedoc.json

new-user: build ## installs the packed package in an empty folder, pastes each example of the README there, and bundles it
	$(NODE_BIN)/tsx spec/package/new-user.ts
	$(NODE_BIN)/tsx spec/package/bundles.ts

runtimes: build ## all specs on Node 20, 22, 24 and 26, and a named core on Bun and Deno: ARGS="--core"
	$(NODE_BIN)/tsx spec/runtimes/run.ts $(ARGS)

# The peers and what the bench draws with; `npm ci` takes its time, so once is enough.
bench/node_modules/.installed: bench/package.json bench/package-lock.json
	cd bench && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

BENCH := cd bench && node --import tsx
bench: build bench/node_modules/.installed ## side by side with the peers: ARGS="--group must --rounds 7"
	$(BENCH) run.ts $(ARGS)

bench-quick: build bench/node_modules/.installed ## every part of the bench once with tiny counts, in under two minutes: does it run?
	$(BENCH) run.ts --quick $(ARGS)
	$(BENCH) trace-cost.ts --quick
	$(BENCH) growth.ts --quick
	$(BENCH) micro.ts --quick
	$(BENCH) tuning.ts --quick
	$(BENCH) profile.ts --quick --scenario get-2kib-x64
	$(BENCH) import.ts --rounds 15

bench-trace: build bench/node_modules/.installed ## what trace hooks cost, on and off, in pairs of processes: ARGS="--pairs 60"
	$(BENCH) trace-cost.ts $(ARGS)

bench-growth: build bench/node_modules/.installed ## cost and memory as everything grows: ARGS="--only idle,waiting" or "--soak 10000000"
	$(BENCH) growth.ts $(ARGS)

bench-micro: build bench/node_modules/.installed ## parser, writer, queue, pool, headers against alternatives: ARGS="--only parser"
	$(BENCH) micro.ts $(ARGS)

bench-tuning: build bench/node_modules/.installed ## the tables of bench/TUNING.md: ARGS=--write puts them there
	$(BENCH) tuning.ts $(ARGS)

bench-profile: build bench/node_modules/.installed ## where the CPU goes, and what each limit would need: ARGS="--scenario get-2kib-x64,post-2kib-x64"
	$(BENCH) profile.ts $(ARGS)

interop: $(WASM) ## against nginx, Apache, HAProxy, Caddy, Node, Squid, Tinyproxy, Dante: ARGS=--quick
	$(NODE_BIN)/tsx spec/interop/run.ts $(ARGS)

chaos: $(WASM) ## faults of the real kernel, ours beside undici and node:http, as root on Linux: ARGS="--quick --only loss --seed 1"
	cd bench && npm ci --no-audit --no-fund --loglevel=error
	$(NODE_BIN)/tsx spec/chaos/run.ts $(ARGS)

soak: $(WASM) ## 64 workers and their faults against nginx: memory and handles stay flat: MINUTES=5 SEED=1
	node --expose-gc --import tsx spec/e2e/soak.ts $(or $(MINUTES),5) $(SEED)

articles: $(WASM) ## the two articles as experiments
	$(NODE_BIN)/tsx spec/articles/run.ts $(ARGS)

leaks: $(WASM) ## a hundred thousand requests with aborts and closes, and what they leave: ARGS="10000 SEED"
	node --expose-gc --import tsx spec/e2e/leaks.ts $(ARGS)

nightly: check test ## everything, whole
	$(MAKE) fuzz RUNS=50000
	$(MAKE) simulate RUNS=100000
	$(MAKE) canaries
	$(MAKE) mutation
	$(MAKE) leaks
	$(MAKE) articles
	$(MAKE) new-user
	$(MAKE) runtimes
	$(MAKE) interop
	$(MAKE) chaos
	$(MAKE) soak MINUTES=60
	$(MAKE) bench
	$(MAKE) bench-trace
	$(MAKE) bench-growth
	$(MAKE) bench-growth ARGS="--soak 10000000"

fix: $(STAMP) ## format, and what lint can mend by itself
	$(NODE_BIN)/biome check --config-path=.biome.json --write .

clean: ## what was built
	rm -rf dist coverage lib/wire/llhttp/generated
