# reconcert: see README.md. Targets: deps deps-dev all run test unit conformance e2e bench soak fuzz
# check-asan check-tsan check-clang coverage floors complexity install clean.

CC ?= gcc
PKG_CONFIG ?= pkg-config
BUILD ?= build
PREFIX ?= /usr/local
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wwrite-strings -Wvla -Werror
HARDENING := -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection -fPIE \
             -ftrivial-auto-var-init=zero
LINKING := -pie -Wl,-z,relro,-z,now
OPTIMISE ?= -O2 -g
SANITIZE ?=
ifneq ($(SANITIZE),)
HARDENING := -fPIE -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LINKING := -pie -fsanitize=$(SANITIZE)
endif
# 1: for make coverage, which counts the branches as they are written.
COVERAGE ?=
ifneq ($(COVERAGE),)
OPTIMISE := -O0 -g
HARDENING := -fPIE --coverage
LINKING := -pie --coverage
endif
CFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE -I. -MMD -MP -fvisibility=hidden $(OPTIMISE) $(WARNINGS) \
             $(HARDENING) $(CFLAGS)

# When this was built, the same for who builds it again: a system clock before it is wrong (clock.h).
BUILT_AT := $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null || date +%s))
$(BUILD)/reconciler/base/clock.o: CFLAGS_ALL += -DCLOCK_BUILT_AT=$(BUILT_AT)

LIBS := $(shell $(PKG_CONFIG) --libs yaml-0.1 libssl libcrypto libcurl libcjson libevent_core \
          libseccomp libcap-ng libcares libpsl libpcre2-8 libnghttp2 zlib 2>/dev/null) -lm -lpthread

# A floor is a folder; each becomes an archive that a test may link alone.
FLOORS := base spec core pki acme net snapshot store storage io publish issue feed admin control serve \
          settings supervisor cli
source_of = $(sort $(wildcard reconciler/$(1)/*.c reconciler/$(1)/*/*.c))
SOURCES_spec := $(sort $(wildcard spec/*.c spec/entities/*.c))
$(foreach f,$(filter-out spec,$(FLOORS)),$(eval SOURCES_$(f) := $(call source_of,$(f))))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
ARCHIVES := $(foreach f,$(FLOORS),$(BUILD)/lib$(f).a)
# Every archive, twice over where floors look at each other's symbols: order does not matter.
LINK_ALL := -Wl,--start-group $(ARCHIVES) -Wl,--end-group

.SECONDARY: # keep the tests' objects
.PHONY: all deps deps-dev run test unit unit-programs conformance e2e bench soak fuzz check-asan \
        check-tsan check-clang coverage print-syntax-check floors complexity install clean
all: $(BUILD)/reconcert $(BUILD)/reconcert-watch

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

define archive_rule
$(BUILD)/lib$(1).a: $(call objects,$(SOURCES_$(1)))
	$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FLOORS),$(eval $(call archive_rule,$(f))))

# Renamed into place: who runs it meanwhile, or starts it now, has a whole one.
$(BUILD)/reconcert: $(BUILD)/reconciler/main.o $(ARCHIVES)
	$(Q)$(CC) $(LINKING) -o $@.new $< $(LINK_ALL) $(LIBS) && mv -f $@.new $@

# A program of its own, GPL-2.0: it shares no object, not even a header, with the rest.
WATCHER := $(call objects,$(wildcard reconciler/watcher/*.c))
$(BUILD)/reconcert-watch: $(WATCHER)
	$(Q)$(CC) $(LINKING) -o $@.new $^ -linotifytools && mv -f $@.new $@

# tests/unit/<floor>/test_<noun>.c: one program each.
UNIT_SOURCES := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))
# What tests share, as an archive: a program gets what it asks for.
UNIT_SUPPORT := $(BUILD)/tests/libsupport.a
$(UNIT_SUPPORT): $(call objects,$(sort $(wildcard tests/support/*.c)))
	$(Q)rm -f $@ && ar rcs $@ $^
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_SUPPORT) $(ARCHIVES)
	$(Q)$(CC) $(LINKING) -o $@ $(filter %.o,$^) $(UNIT_SUPPORT) $(LINK_ALL) $(LIBS) -lcunit
# What takes the place of ours, or of libc's, in the programs that ask for it here.
$(addprefix $(BUILD)/tests/unit/feed/,test_remote test_tickets): $(BUILD)/tests/fakes/fake_time.o
$(addprefix $(BUILD)/tests/unit/feed/,test_workers test_workers_fault): \
  $(addprefix $(BUILD)/tests/fakes/,fed.o fake_time.o)
$(addprefix $(BUILD)/tests/unit/issue/,test_authority test_issuance): \
  $(addprefix $(BUILD)/tests/fakes/,issuing.o fake_time.o)
$(addprefix $(BUILD)/tests/unit/control/test_,announce approval control families outcome pass prefix \
  start visit): \
  $(addprefix $(BUILD)/tests/fakes/,controlled.o fake_time.o)

unit-programs: $(UNIT_PROGRAMS)

# The conformance cases lie outside of this tree; without them the runner says what it skips.
CASES ?= ../shared/cases
CONFORMANCE := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/conformance/run_*.c))
$(BUILD)/tests/conformance/%: $(BUILD)/tests/conformance/%.o $(UNIT_SUPPORT) $(ARCHIVES)
	$(Q)$(CC) $(LINKING) -o $@ $< $(UNIT_SUPPORT) $(LINK_ALL) $(LIBS)

# Preloaded into control by tests that need a full disk or a death at the n-th write.
FAULTS := $(BUILD)/tests/e2e/faults.so
$(BUILD)/tests/e2e/faults.so: tests/e2e/faults.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE $(OPTIMISE) $(WARNINGS) -fPIC -shared -o $@ $< -ldl

# ---- what people type. Each asks a second make for the build: only that one sees new packages. ----
JOBS := $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(shell nproc))
SUBMAKE := +$(Q)$(MAKE) --no-print-directory $(if $(Q),-s) $(JOBS)
PYTHON ?= python3

deps:
	@tests/support/deps.sh
deps-dev:
	@tests/support/deps.sh --dev

run: deps
	$(SUBMAKE) all
	@exec $(PYTHON) examples/local/run.py

# make test TESTS='unit/spec e2e/test_issue' runs what begins with one of these words.
TESTS ?=
RUN_TESTS = $(PYTHON) tests/support/run_tests.py --build $(BUILD) --cases $(CASES)
test: deps
	$(SUBMAKE) all unit-programs $(CONFORMANCE) $(FAULTS)
	@$(RUN_TESTS) $(TESTS)
unit conformance e2e:
	$(SUBMAKE) TESTS=$@ test

# SOAK scales how often and how long; .ci/run takes a tenth. SEED makes a run repeatable.
SOAK ?= 1.0
SEED ?= 1
soak: deps
	$(SUBMAKE) all $(FAULTS) $(addprefix $(BUILD)/tests/bench/,fillstore tlsload)
	@$(PYTHON) tests/soak/soak.py --build $(BUILD) --scale $(SOAK) --seed $(SEED)

# make bench ROWS='a d' runs only these rows of the table.
ROWS ?=
BENCH_SHARED := $(BUILD)/tests/bench/leaf.o
BENCH_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(filter-out %/leaf.c,$(wildcard tests/bench/*.c)))
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BENCH_SHARED) $(ARCHIVES)
	$(Q)$(CC) $(LINKING) -o $@ $< $(BENCH_SHARED) $(LINK_ALL) $(LIBS)
bench: deps
	$(SUBMAKE) all $(BENCH_PROGRAMS)
	@$(PYTHON) tests/bench/bench.py --build $(BUILD) $(ROWS)

# The whole suite under the address and undefined-behaviour sanitizers.
check-asan: deps
	$(SUBMAKE) BUILD=build/asan SANITIZE=address,undefined test
# The rooms that keep state, by their unit tests alone: under the thread sanitizer, and how many of
# their branches are taken.
PROVED := $(filter $(notdir $(wildcard reconciler/*)),issue publish feed control)
PROVED_PROGRAMS = $(patsubst %.c,$(1)/%,$(foreach r,$(PROVED),$(wildcard tests/unit/$(r)/test_*.c)))
check-tsan: deps
	$(SUBMAKE) BUILD=build/tsan SANITIZE=thread $(call PROVED_PROGRAMS,build/tsan) \
		build/tsan/tests/unit/storage/test_contract
	@$(PYTHON) tests/support/run_tests.py --build build/tsan $(addprefix unit/,$(PROVED)) \
		unit/storage/test_contract
coverage: deps
	$(SUBMAKE) BUILD=build/coverage COVERAGE=1 $(call PROVED_PROGRAMS,build/coverage)
	@$(PYTHON) tests/support/coverage.py --build build/coverage $(PROVED)
# Every source file through clang with the same warnings.
check-clang: deps-dev
	@find spec reconciler tests -name '*.c' -print0 | xargs -0 -n 8 clang -fsyntax-only \
	  -std=gnu17 -D_GNU_SOURCE -DCLOCK_BUILT_AT=0 -I. $(WARNINGS) && echo "clang: no warnings"

# The compiler as above, for sources that follow, to check and no more.
print-syntax-check:
	@echo $(CC) -fsyntax-only -std=gnu17 -D_GNU_SOURCE -I. $(OPTIMISE) $(WARNINGS)

# libFuzzer: tests/fuzz/fuzz_x.c with its corpus in tests/fuzz/x; FUZZ='fuzz_json' picks some.
FUZZ_SECONDS ?= 60
FUZZ ?= $(basename $(notdir $(sort $(wildcard tests/fuzz/fuzz_*.c))))
fuzz: deps-dev
	$(SUBMAKE) BUILD=build/fuzz CC=clang SANITIZE=address,undefined,fuzzer-no-link \
	  $(addprefix build/fuzz/tests/fuzz/,$(FUZZ))
	@tests/fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ)
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(UNIT_SUPPORT) $(ARCHIVES)
	$(Q)$(CC) -pie -fsanitize=address,undefined,fuzzer -o $@ $< $(UNIT_SUPPORT) $(LINK_ALL) $(LIBS)

# Who includes whom, what pure floors call, what nobody calls.
floors: deps
	$(SUBMAKE) $(ARCHIVES)
	@$(PYTHON) tests/floors/floors.py --build $(BUILD)
complexity: deps
	@$(PYTHON) tests/floors/complexity.py

# The manual page and the completion are what the program says of itself.
$(BUILD)/reconcert.1: $(BUILD)/reconcert
	$(Q)$< help --man >$@.new && mv $@.new $@
$(BUILD)/reconcert.bash: $(BUILD)/reconcert
	$(Q)$< help --completion >$@.new && mv $@.new $@

BIN := $(DESTDIR)$(PREFIX)/bin
MAN := $(DESTDIR)$(PREFIX)/share/man/man1
COMPLETIONS := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
# Control's own user, on this machine only.
OWN_USER := _reconcert
ADD_USER := getent passwd $(OWN_USER) >/dev/null || useradd --system --user-group --no-create-home \
            --home-dir /nonexistent --shell /usr/sbin/nologin $(OWN_USER)
install: all $(BUILD)/reconcert.1 $(BUILD)/reconcert.bash
	install -d $(BIN) $(MAN) $(COMPLETIONS)
	install -m 755 $(BUILD)/reconcert $(BUILD)/reconcert-watch $(BIN)
	install -m 644 $(BUILD)/reconcert.1 $(MAN)
	install -m 644 $(BUILD)/reconcert.bash $(COMPLETIONS)/reconcert
	$(if $(DESTDIR),,@$(ADD_USER) || echo "no user $(OWN_USER) was added: see acme_user in README.md")

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name peers -prune -o -type f -name '*.d' -print 2>/dev/null)
