# What a person types. Everything needs Rust, git and make alone; what more a target can use is said by it.

CARGO ?= cargo
TARGET = $(or $(CARGO_TARGET_DIR),target)

# Minutes for each body of `make fuzz`; seconds of `make soak`.
MINUTES ?= 20
SECONDS = 600
# A source tree of HAProxy 3.4.0, a vtest program, and the scorer, for `make regtests`.
HAPROXY_SRC ?=
VTEST ?=
SCORE ?= ../shared/regtests/score.py
# The real program for `make compat` (the one on PATH unless told), and parts of names of its cases.
HAPROXY ?=
CASE ?=
# How many broken programs `make compat-mutate` tries, and what draws them.
MUTANTS ?= 200
SEED ?= 1
# What `make bench` measures (part of a workload's name) and how often, where its figures go besides the terminal, and
# further words for it; how many requests `make instructions` counts, and of which program; the list that `make ledger`
# reads anew.
WORKLOAD ?=
ROUNDS ?= 5
JSON ?=
PLOT ?=
BENCH_ARGS ?=
COUNT ?= 2000
PROGRAM ?=
NAMES ?=

.PHONY: help run build check test docs keywords ledger fuzz soak netns compat compat-record compat-mutate regtests bench instructions clean

help:
	@echo 'make run       build rproxy and the demo origin, run both with examples/mptcp.cfg until Ctrl-C'
	@echo 'make check     format, lints, unit tests: seconds, before every commit'
	@echo 'make test      everything that proves the product; installs test tools where it may'
	@echo 'make build     the release program, $(TARGET)/release/rproxy'
	@echo 'make docs      the documentation of the code; make keywords: docs/keywords.md from the rows'
	@echo 'make ledger [NAMES=file]: what became of each name that HAProxy knows; from a list of names, written anew'
	@echo 'make fuzz      every fuzz body for MINUTES=20 each'
	@echo 'make soak      SECONDS=600 of mixed traffic: memory, descriptors and pools must stay level'
	@echo 'make netns     MPTCP over two paths between network namespaces (root)'
	@echo 'make compat    [HAPROXY=...] [CASE=...]: rproxy and a real haproxy side by side, every difference shown'
	@echo 'make compat-record HAPROXY=... [CASE=...]: what HAProxy 3.4.0 does with cases and examples, written down anew'
	@echo 'make compat-mutate: breaks copies of rproxy in 200 ways; the cases must notice nearly all'
	@echo 'make regtests  HAPROXY_SRC=... VTEST=... [UPDATE=1]: the regression tests of HAProxy 3.4.0, against the last score'
	@echo 'make bench     [HAPROXY="a b"] [WORKLOAD=part] [ROUNDS=5] [SECONDS=4] [JSON=file] [PLOT=file]: cost per request, side by side'
	@echo 'make instructions [PROGRAM=...]: instructions per request, counted by callgrind'
	@echo 'make clean     remove what was built'

build:
	$(CARGO) build --locked --release

run:
	$(CARGO) build --locked --release --bin rproxy --example mptcp-backend
	@exec bash examples/run.sh '$(TARGET)/release'

check:
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) test --locked --workspace --lib --bins

test:
	@bash tests/all.sh

docs:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --workspace --no-deps --document-private-items

keywords:
	$(CARGO) run --locked -q -p haproxy-compat -- keywords > $(TARGET)/keywords.md
	mv $(TARGET)/keywords.md docs/keywords.md

ledger:
	@$(CARGO) run --locked -q -p haproxy-compat -- ledger $(NAMES)

fuzz:
	FUZZ_SECONDS=$$(( $(MINUTES) * 60 )) $(CARGO) test --locked --profile fuzz --test fuzz_replay -- --nocapture

soak:
	SOAK_SECONDS=$(SECONDS) $(CARGO) test --locked --profile fuzz --test soak -- --nocapture

netns:
	$(CARGO) test --locked --test netns -- --nocapture --test-threads 1

compat:
	@bash haproxy-compat/haproxy.sh '$(HAPROXY)'
	$(CARGO) build --locked -q --workspace --bins
	$(TARGET)/debug/haproxy-compat run $(if $(HAPROXY),--haproxy '$(HAPROXY)') $(CASE)

compat-record:
	@test -n '$(HAPROXY)' || { echo 'HAPROXY=<program of version 3.4.0> is needed'; exit 2; }
	$(CARGO) build --locked -q -p haproxy-compat
	$(TARGET)/debug/haproxy-compat record --haproxy '$(HAPROXY)' $(CASE)

compat-mutate:
	$(CARGO) build --locked -q --workspace --bins
	$(TARGET)/debug/haproxy-compat mutate --count $(MUTANTS) --seed $(SEED)

regtests: build
	@test -n '$(HAPROXY_SRC)' -a -n '$(VTEST)' || { echo 'HAPROXY_SRC=<source tree of 3.4.0> and VTEST=<program> are needed'; exit 2; }
	@test -f '$(SCORE)' || { echo 'no scorer at $(SCORE) (SCORE=...)'; exit 2; }
	-python3 '$(SCORE)' --haproxy-src '$(HAPROXY_SRC)' --vtest '$(VTEST)' --proxy '$(abspath $(TARGET))/release/rproxy' \
	    --json '$(abspath $(TARGET))/regtests.json' > '$(abspath $(TARGET))/regtests.txt'
	@python3 haproxy-compat/regtests.py '$(abspath $(TARGET))/regtests.json' $(if $(UPDATE),--update)

bench: SECONDS = 4
bench:
	@WANTED='wrk nginx h2load taskset' bash haproxy-compat/bench/tools.sh
	$(CARGO) build --locked --release --bin rproxy --bin rproxy-bench -p rproxy -p rproxy-bench
	$(TARGET)/release/rproxy-bench $(foreach program,$(HAPROXY),--haproxy '$(program)') \
	    $(if $(WORKLOAD),--workload '$(WORKLOAD)') --rounds '$(ROUNDS)' --seconds '$(SECONDS)' \
	    $(if $(JSON),--json '$(JSON)') $(if $(PLOT),--plot '$(PLOT)') $(BENCH_ARGS)

instructions:
	@WANTED=valgrind bash haproxy-compat/bench/tools.sh
	$(CARGO) build --locked --release --bin rproxy --bin rproxy-bench -p rproxy -p rproxy-bench
	@COUNT='$(COUNT)' bash haproxy-compat/bench/instructions.sh \
	    '$(or $(PROGRAM),$(TARGET)/release/rproxy)' '$(TARGET)/release/rproxy-bench'

clean:
	$(CARGO) clean
