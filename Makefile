# Thin names over plain commands; nothing here is needed to build or test.

export KEEPA_FIXTURES ?= $(abspath ../shared/fixtures/keepa)

tool := go tool -modfile=tools/go.mod
FUZZTIME ?= 30s
MUTANTS ?= 2
LAWS ?= 200
UPGRADE ?= HEAD~20

BENCH_ROWS ?= 10000000

.PHONY: release vuln help up build demo test race fuzz lint fmt bench bench-warehouse bench-recorder soak laws bench-decide bench-grant bench-replay golden check check-long kill mutants odd damage counts s2 cluster stored bench-idle bench-grown bench-cpu bench-deals upgrade

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## run everything on this machine (Ctrl-C stops)
	go run ./cmd/ratchet up

build: ## every command as a binary in bin/
	go build -o bin/ ./cmd/...

demo: ## six simulated hours in half a minute, then the report
	go run ./cmd/ratchet up --simulate --for 6h --speed 720

test: ## what to run after an edit: no whole process, no engine, no long wait
	go test -short ./...

race: ## the same under the race detector
	go test -race -short -shuffle=on ./...

bench-grant: ## from affordable to claimed, p50 and p99, against the bar of 250 ms (3 minutes)
	go test -run '^$$' -bench BenchmarkAffordableToClaim -benchtime 100x ./pipeline/tokend

bench-idle: ## what `ratchet up` asks NATS, writes and computes, at rest and busy, without ClickHouse and with it (16 minutes)
	go test -run '^$$' -bench BenchmarkIdle -benchtime 1x -timeout 60m ./test/processes

bench-grown: ## the same, start, memory and commands, with a million messages each in SEEN and VERDICTS and 100,000 deals (40 minutes)
	go test -run '^$$' -bench BenchmarkGrown -benchtime 1x -timeout 90m ./test/processes

bench-cpu: ## what a decision costs in CPU time, in all processes and NATS together, against the bar of 5 ms (2 minutes)
	go test -run '^$$' -bench BenchmarkCPUPerDecision -benchtime 1x -timeout 10m ./test/processes

bench-decide: ## decisions a second on one core, against the bars of 20,000 glances and 2,000 peeks
	go test -run '^$$' -bench BenchmarkDecisions -cpu 1 ./pipeline/domain/verdict

bench-replay: ## a replay against the raw loop and the plain one, and how answers are stored (minutes)
	go test -run '^$$' -bench 'Replay|Storage' -benchtime 1x -timeout 30m ./pipeline/ops/replay

laws: ## the laws of the tokens over millions of steps; LAWS=200 runs of each (minutes)
	go test -count=1 -timeout 30m ./pipeline/domain/token -long -rapid.nofailfile -rapid.checks=$(LAWS)
	go test -count=1 -timeout 30m ./pipeline/domain/watermark -long

fuzz: ## every fuzz target for FUZZTIME (default 30s)
	.ci/fuzz $(FUZZTIME)

lint: fmt ## every linter of .golangci.yaml
	$(tool) golangci-lint run ./...

vuln: ## known vulnerabilities that our code reaches
	.ci/vuln

fmt: ## one format for all files
	$(tool) gofumpt -w .

bench: ## every benchmark, once
	go test -run '^$$' -bench . -benchmem ./...

bench-warehouse: ## every named question over a year of BENCH_ROWS verdicts, against its bar
	RATCHET_BENCH_ROWS=$(BENCH_ROWS) go test -run '^$$' -bench BenchmarkQuestions -benchtime 1x -timeout 30m ./pipeline/platform/warehouse

bench-recorder: ## the recorder against a raw loop and a plain insert, and how long until a verdict is in SQL (a minute)
	go test -run '^$$' -bench 'BenchmarkRecorder|BenchmarkVisible' -benchtime 1x -timeout 10m ./pipeline/recorder

bench-deals: ## 100,000 deals from ClickHouse: time to the first line and to the last, and memory (minutes)
	RATCHET_BENCH_DEALS=100000 go test -run '^$$' -bench BenchmarkDeals -benchtime 1x -timeout 30m ./pipeline/ops/cli

soak: ## the scenario every change is measured by
	go run ./cmd/ratchet soak backlog400

mutants: ## plant each kept error and see that its test notices; MUTANTS=2 at the same time, THIRD=0 to 2 (minutes)
	go run ./test/mutants -j $(MUTANTS) $(if $(THIRD),-third $(THIRD))

kill: ## kill -9 every daemon around each of its statements; minutes
	RATCHET_KILL=all go test -count=1 -timeout 30m ./test/kill

damage: ## every file of a store and every kind of key, damaged in every way, one and two at a time; most of an hour
	RATCHET_DAMAGE=all go test -count=1 -timeout 120m -v ./test/damage

counts: ## what is found, stored and visible, as every place says it, at 1,000 random sequences (minutes)
	RATCHET_COUNTS=1000 go test -count=1 -timeout 60m -v -run EveryPlace ./test/newcomer

odd: ## every shape of an element and every whole answer, for every kind of call (half an hour)
	RATCHET_ODD=all go test -count=1 -timeout 60m -v ./test/odd

upgrade: ## daemons of the build UPGRADE and of this one side by side, forth and back, books equal (minutes)
	RATCHET_UPGRADE=$$(git rev-list -1 --first-parent $(UPGRADE)) go test -count=1 -timeout 20m -v ./test/stored/upgrade

release: ## static binaries for Linux and macOS in dist/, with checksums and software bills of materials
	tools/release/release dist

cluster: ## three nats-servers, two of every daemon, each fault once (8 minutes); more: ratchet soak cluster --faults 200
	.ci/cluster

s2: ## do compressed streams with three replicas survive kill -9? and without compression, and migrated (6 minutes)
	RATCHET_S2=1 go test -count=1 -v -timeout 20m ./test/kill/s2

golden: ## write generated files anew; read the difference before you commit it
	go test ./docs -update

stored: ## record one message of each kind as those of RELEASE, before it is released
	go test ./test/stored -run TestRecord -record $(RELEASE)

check: ## everything that CI runs, in the same order
	.ci/run

check-long: ## what takes too long for every change; an hour
	.ci/long
