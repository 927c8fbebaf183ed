# winnow. `make help` lists what can be made; `make` builds build/winnow.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:

# As many jobs as there are processors; a make called by this one shares its jobs.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory

# V=1 shows the commands.
Q       = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

BUILD  ?= build
PYTHON ?= /usr/bin/python3

# ---- flags -------------------------------------------------------------------------------------------------
ifeq ($(origin CC),default)
CC := gcc
endif
STANDARD := -std=c17 -D_GNU_SOURCE
INCLUDES := -Iinclude -Iworker -Icommon -I$(BUILD)/generated
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wformat=2 -Wcast-qual -Wvla -Wno-overlength-strings
# Not among the flags below: an object that was built without it is as good.
ERRORS   := $(if $(CI)$(SANITIZE),-Werror)
ifneq ($(COVERAGE),)
HARDENED := -O0 -g --coverage -fprofile-update=atomic
else ifeq ($(SANITIZE),)
HARDENED := -O2 -g -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fvisibility=hidden
else
HARDENED := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all -U_FORTIFY_SOURCE
endif
ALL_CFLAGS  = $(STANDARD) $(INCLUDES) $(WARNINGS) $(HARDENED) $(CFLAGS)
ALL_LDFLAGS = -Wl,--as-needed $(if $(SANITIZE),-fsanitize=address$(comma)undefined,-Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now) $(LDFLAGS)
LIBRARIES  := -lmicrohttpd -lz -lrdkafka -ljson-c -lpq -luuid -lcrypto -linih -lpthread -lm
comma      := ,

# libpq-fe.h stands in a folder of its own; everything else is on the compiler's own path.
INCLUDES += -isystem /usr/include/postgresql

# ---- sources -----------------------------------------------------------------------------------------------
COMMON_SOURCES := $(wildcard common/*.c)
WORKER_SOURCES := $(wildcard worker/*.c worker/*/*.c)
MIGRATIONS     := $(sort $(wildcard migrations/*.up.sql))
TEST_SOURCES   := $(wildcard $(addsuffix /test_*.c,tests/unit tests/golden tests/property tests/sim tests/broker))
FUZZ_SOURCES   := $(wildcard tests/fuzz/fuzz_*.c)
BENCH_SOURCES  := $(wildcard tests/bench/bench_*.c tests/bench/peers/bench_*.c tests/differential/answers.c)
PAGE_SOURCES   := worker/console/embed.sh $(wildcard $(addprefix worker/console/web/,*.* src/* src/*/*))
LINKED_SOURCES := $(TEST_SOURCES) $(FUZZ_SOURCES) $(BENCH_SOURCES)

COMMON_OBJECTS := $(COMMON_SOURCES:%.c=$(BUILD)/obj/%.o)
WORKER_OBJECTS := $(WORKER_SOURCES:%.c=$(BUILD)/obj/%.o)
TEST_PROGRAMS  := $(TEST_SOURCES:%.c=$(BUILD)/%)
FUZZ_PROGRAMS  := $(FUZZ_SOURCES:%.c=$(BUILD)/%)
BENCH_PROGRAMS := $(BENCH_SOURCES:%.c=$(BUILD)/%)

# ---- the product -------------------------------------------------------------------------------------------
.PHONY: all
all: $(BUILD)/winnow ## build build/winnow (the default)

EMBEDDED := $(addprefix $(BUILD)/obj/,migrations.o page.o documents.o)
$(BUILD)/winnow: $(WORKER_OBJECTS) $(EMBEDDED) $(BUILD)/libcommon.a $(BUILD)/sources
	$(call Q,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(WORKER_OBJECTS) $(EMBEDDED) $(BUILD)/libcommon.a $(LIBRARIES)

$(BUILD)/libcommon.a: $(COMMON_OBJECTS) $(BUILD)/sources
	@rm -f $@
	$(call Q,AR,$@)$(AR) rcsD $@ $(COMMON_OBJECTS)

$(BUILD)/obj/%.o: %.c $(BUILD)/flags | $(BUILD)/generated/version.h
	@mkdir -p $(@D)
	$(call Q,CC,$<)$(CC) $(ALL_CFLAGS) $(ERRORS) -MMD -MP -c -o $@ $<

# The SQL files travel inside the binary.
$(BUILD)/migrations.c: migrations/embed.sh $(MIGRATIONS)
	@mkdir -p $(@D)
	$(call Q,EMBED,$@)sh migrations/embed.sh $(MIGRATIONS) > $@

$(BUILD)/obj/migrations.o: $(BUILD)/migrations.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call Q,CC,$<)$(CC) $(ALL_CFLAGS) $(ERRORS) -MMD -MP -c -o $@ $<

# A winnow that does not know the newest migration, for tests of an upgrade.
$(BUILD)/winnow_before: $(WORKER_OBJECTS) $(BUILD)/obj/migrations_before.o $(BUILD)/winnow
	$(call Q,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) \
		$(filter-out %/migrations.o,$(EMBEDDED)) $(BUILD)/libcommon.a $(LIBRARIES)

$(BUILD)/migrations_before.c: migrations/embed.sh $(MIGRATIONS)
	@mkdir -p $(@D)
	$(call Q,EMBED,$@)sh migrations/embed.sh $(filter-out $(lastword $(MIGRATIONS)),$(MIGRATIONS)) > $@

$(BUILD)/obj/migrations_before.o: $(BUILD)/migrations_before.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call Q,CC,$<)$(CC) $(ALL_CFLAGS) $(ERRORS) -MMD -MP -c -o $@ $<

# So do the contract of the HTTP API and its reference.
DOCUMENTS := openapi.json docs.html docs.js docs.css
$(BUILD)/documents.c: worker/console/embed.sh $(addprefix worker/console/,$(DOCUMENTS))
	@mkdir -p $(@D)
	$(call Q,EMBED,$@)sh worker/console/embed.sh document_files worker/console $(DOCUMENTS) > $@

$(BUILD)/obj/documents.o: $(BUILD)/documents.c worker/console/page.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call Q,CC,$<)$(CC) $(ALL_CFLAGS) $(ERRORS) -MMD -MP -c -o $@ $<

# So does the console's page, where npm can bundle it; all variants of the build share it. See build.sh.
PAGE := build/page
$(PAGE)/page.c: $(PAGE_SOURCES) $(PAGE)/npm
	$(call Q,PAGE,$@)sh worker/console/web/build.sh $(PAGE)

$(BUILD)/obj/page.o: $(PAGE)/page.c worker/console/page.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(call Q,CC,$<)$(CC) $(ALL_CFLAGS) $(ERRORS) -c -o $@ $<

$(PAGE)/npm: FORCE
	$(call write_if_changed,$(shell command -v npm))

.PHONY: page
page: ## bundle the console's page with npm, which is installed when missing; make alone goes on without
	@tests/lib/deps.sh page
	@grep -qs index.html $(PAGE)/page.c || rm -f $(PAGE)/page.c
	@$(MAKE) $(PAGE)/page.c
	@grep -q index.html $(PAGE)/page.c || { echo 'make page: there is no page; the reason is above' >&2; exit 1; }

# Files that are looked at in every run and written only when their text changes, so that what depends on them is
# rebuilt then and only then: the version, the compiler with its flags, and the list of sources.
define write_if_changed
@mkdir -p $(@D); printf '%s\n' '$(1)' > $@.new$$$$; \
if cmp -s $@.new$$$$ $@; then rm -f $@.new$$$$; else mv $@.new$$$$ $@; fi
endef

# The release that is being worked on, for builds outside git; see version.sh.
RELEASE := 0.9.0
VERSION := $(shell sh worker/packaging/version.sh $(RELEASE))
$(BUILD)/generated/version.h: FORCE
	$(call write_if_changed,#define WINNOW_VERSION "$(VERSION)")

$(BUILD)/flags: FORCE
	$(call write_if_changed,$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS))

$(BUILD)/sources: FORCE
	$(call write_if_changed,$(COMMON_SOURCES) $(WORKER_SOURCES))

.PHONY: FORCE
FORCE:

# ---- test programs -----------------------------------------------------------------------------------------
# Each tests/*/test_*.c, fuzz_*.c and bench_*.c is one program, linked with libcommon.a. What else it needs it
# names in lines of its own:     // link: worker/settings.c tests/fake/source_fake.c
# (paths of .c files from the root of the repository; the word "migrations" is the embedded SQL).
$(BUILD)/tests.mk: tests/lib/link_rules.awk $(LINKED_SOURCES)
	@mkdir -p $(@D)
	@awk -v build=$(BUILD) -f tests/lib/link_rules.awk $(LINKED_SOURCES) /dev/null > $@

$(TEST_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call Q,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libcommon.a -lcunit $(LIBRARIES)

# Without libFuzzer, a fuzz target replays the files it is given.
$(FUZZ_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/obj/tests/fuzz/replay_main.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call Q,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libcommon.a $(LIBRARIES)

$(BENCH_PROGRAMS): $(BUILD)/%: $(BUILD)/obj/%.o $(BUILD)/libcommon.a
	@mkdir -p $(@D)
	$(call Q,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(BUILD)/libcommon.a $(LIBRARIES)

# A broker for development, of librdkafka's mock cluster, in a process of its own.
$(BUILD)/devbroker: $(BUILD)/obj/tests/lib/devbroker.o
	$(call Q,LINK,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBRARIES)

.PHONY: programs sanitized-programs
programs: $(BUILD)/winnow $(BUILD)/winnow_before $(TEST_PROGRAMS) $(FUZZ_PROGRAMS) $(BENCH_PROGRAMS) $(BUILD)/devbroker
sanitized-programs: $(filter-out $(BUILD)/tests/broker/%,$(TEST_PROGRAMS)) $(FUZZ_PROGRAMS)

# ---- to run ------------------------------------------------------------------------------------------------
.PHONY: demo screenshots test lint unit golden property replay sim broker cli dlq doctor packaging differential integration crash chaos hostile recovery campaign soak mutants sanitize coverage fuzz bench bench-growth bench-peers bench-latency bench-console bench-indexes bench-micro instructions
demo: ## the whole thing in 20 seconds; KAFKA=real: on Apache Kafka; KEEP=1: leave it running
	@tests/lib/deps.sh $(if $(filter real,$(KAFKA)),kafka,demo)
	@$(MAKE) $(BUILD)/winnow $(if $(filter real,$(KAFKA)),,$(BUILD)/devbroker)
	@KAFKA='$(KAFKA)' KEEP='$(KEEP)' $(PYTHON) tests/demo/demo.py

screenshots: ## the pictures of the console that the README shows, taken anew
	@tests/lib/deps.sh test
	@$(MAKE) page
	@$(MAKE) $(BUILD)/winnow $(BUILD)/devbroker
	@$(PYTHON) tests/console/screenshots.py

test: ## install what is missing, then run every suite; ends with "N passed, N failed"
	@tests/lib/deps.sh test
	@$(PYTHON) tests/run

lint: ## purity, include cycles, foreign headers, sizes, formatting, static analysis
	@$(PYTHON) tests/run lint

unit golden property replay sim broker cli dlq packaging: ## one suite alone (replay: the fuzz corpus)
	@$(PYTHON) tests/run $@

differential: ## JSON, amounts, timestamps and hashes against a second implementation; SEED= ROUNDS=
	@tests/lib/deps.sh test
	@$(PYTHON) tests/run $@

doctor: ## winnow doctor: each fault in turn, and its mend carried out as it is printed
	@tests/lib/deps.sh test
	@$(PYTHON) tests/run $@

integration: ## the scenarios, on a real Kafka and a real PostgreSQL
	@tests/lib/deps.sh test
	@$(PYTHON) tests/run $@ outages steering workers

crash: ## a worker ends at each socket call and each step of one batch, in every way
	@tests/lib/deps.sh test
	@$(PYTHON) tests/run $@

chaos: ## kill -9, restarts, cut connections …, then the account; SEED= MINUTES= WORKERS= PARTITIONS= SHIELD= for more
	@tests/lib/deps.sh test
ifeq ($(SEED)$(MINUTES)$(WORKERS)$(PARTITIONS)$(SHIELD),)
	@$(PYTHON) tests/run $@
else
	@$(MAKE) $(BUILD)/winnow
	@$(PYTHON) tests/chaos/chaos.py $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(WORKERS),--workers $(WORKERS)) $(if $(PARTITIONS),--partitions $(PARTITIONS)) $(if $(SHIELD),--shield $(SHIELD))
endif

mutants: ## take out one line of defence after the other; a named test must notice; MUTANTS='NAME …' for some
	@tests/lib/deps.sh test
	@$(PYTHON) tests/mutants/run.py $(MUTANTS)

COUNT ?= 1000000
hostile: ## COUNT=1000000 hostile messages through a pool of 4: each a row, a duplicate or a dead letter; SEED=
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow
	@$(PYTHON) tests/integration/hostile/hostile.py --count $(COUNT) $(if $(SEED),--seed $(SEED))

recovery: ## how long it takes to be back after kill -9, a restart, TERM; KILLS=50 RESTARTS=20 STOPS=10 SEED=
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow
	@$(PYTHON) tests/chaos/recovery.py $(if $(SEED),--seed $(SEED)) $(if $(KILLS),--kills $(KILLS)) \
	  $(if $(RESTARTS),--restarts $(RESTARTS)) $(if $(STOPS),--stops $(STOPS))

campaign: ## 10 runs of chaos of MINUTES=6.5 each, or one for each of SEEDS="…"; results are in build/campaign.jsonl
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow
	@$(PYTHON) tests/chaos/campaign.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEEDS),--seeds $(SEEDS))

soak: ## full load for MINUTES=10 with WORKERS=2: memory and open files must stay flat, the account exact
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow $(BUILD)/tests/bench/bench_produce
	@$(PYTHON) tests/soak/soak.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(WORKERS),--workers $(WORKERS))

sanitize: ## unit, golden, property, corpus and simulation under ASan and UBSan
	@$(PYTHON) tests/run $@

coverage: ## which lines of common/ and worker/ all suites together run; build/coverage.txt lists the others
	@tests/lib/deps.sh coverage
	@$(PYTHON) tests/run $@

# EVENTS= WORKLOAD= WORKERS= REPEAT= SEED= and BENCH_… reach it through the environment.
bench: ## speed on real servers, as a ratio to COPY; WORKLOAD="live loose" WORKERS="2 4" EVENTS= REPEAT= SEED= to narrow
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow $(BUILD)/tests/bench/bench_produce $(BUILD)/tests/bench/bench_copy
	@$(PYTHON) -B tests/bench/bench.py

bench-growth: ## speed and views at 1, 10 and ROWS=50000000 rows stored; BACKLOG= PACE= WORKERS= REPEAT= SEED= POSTGRES= to change it
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow $(addprefix $(BUILD)/tests/bench/bench_,produce pace)
	@$(PYTHON) -B tests/bench/growth.py

bench-peers: ## beside other consumers, on the same servers and an equal table; PEERS="go python" EVENTS= WORKERS= REPEAT=
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow $(BUILD)/tests/bench/peers/bench_messages
	@$(PYTHON) -B tests/bench/peers/bench_peers.py

bench-latency: ## append to commit under steady loads, an idle pool, its start, network delay; LOADS= SECONDS= PARTS= to narrow
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow $(addprefix $(BUILD)/tests/bench/bench_,produce pace relay)
	@$(PYTHON) -B tests/bench/latency.py

bench-console: ## events a second into the console; pages, totals, export at ROWS=10000000; SPREAD=days KEPT= ASK= PARTS="submit pages"
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow
	@for part in $${PARTS:-submit pages}; do $(PYTHON) -B tests/bench/console_$$part.py || exit; done

bench-indexes: ## what each index for people's filters would cost the live rate; SETS="none brin" EVENTS= WORKERS= REPEAT=
	@tests/lib/deps.sh test
	@$(MAKE) $(BUILD)/winnow $(BUILD)/tests/bench/bench_produce
	@$(PYTHON) -B tests/bench/indexes.py

bench-micro: ## JSON check, normalization, hash, a worker's step, encoding: ns an event
	@$(MAKE) $(BUILD)/tests/bench/bench_micro
	@for part in json normalize hash step encode; do $(BUILD)/tests/bench/bench_micro $$part; done

instructions: ## instructions an event against tests/bench/instructions.txt; ACKNOWLEDGE=1 writes it anew
	@tests/lib/deps.sh test
ifeq ($(ACKNOWLEDGE),)
	@$(PYTHON) tests/run $@
else
	@$(MAKE) $(BUILD)/tests/bench/bench_micro
	@$(PYTHON) -B tests/bench/instructions.py --acknowledge
endif

FUZZ_SECONDS ?= 60
fuzz: ## libFuzzer (clang) on each target for FUZZ_SECONDS=60, with executions, coverage and findings
	@tests/lib/deps.sh fuzz
	@$(PYTHON) tests/fuzz/fuzz.py --seconds $(FUZZ_SECONDS)

include worker/packaging/packaging.mk

# ---- housekeeping ------------------------------------------------------------------------------------------
.PHONY: deps format clean help
deps: ## install the Debian packages and Kafka jars that are missing
	@tests/lib/deps.sh test

format: ## clang-format on every C file
	clang-format -i $(wildcard $(addsuffix /*.[ch],include common worker worker/* tests/*))

clean: ## remove build/
	rm -rf build

help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { sub(/^unit golden .*/, "unit golden …", $$1); \
	 line = sprintf("  make %-12s", $$1); count = split($$2, words, " "); \
	 for (i = 1; i <= count; i++) { if (length(line words[i]) > 78) { print line; line = sprintf("%19s", "") } \
	 line = line " " words[i] } print line }' $(MAKEFILE_LIST)

ifeq ($(filter clean help format deps,$(MAKECMDGOALS)),)
ifneq ($(strip $(LINKED_SOURCES)),)
include $(BUILD)/tests.mk
endif
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
endif
