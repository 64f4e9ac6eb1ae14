# reconcert: see README.md. Targets: deps all run test bench soak fuzz check-asan floors complexity install.

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
CFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE -I. -MMD -MP -fvisibility=hidden $(OPTIMISE) $(WARNINGS) \
             $(HARDENING) $(CFLAGS)

LIBS := $(shell $(PKG_CONFIG) --libs yaml-0.1 libssl libcrypto libcurl libcjson libevent_core \
          libseccomp libcap-ng libcares libpsl libpcre2-8 libnghttp2 zlib 2>/dev/null) -lm -lpthread

# A floor is a folder; each becomes an archive that a test may link alone.
FLOORS := base spec core pki acme store storage io snapshot serve admin control cli
source_of = $(sort $(wildcard reconciler/$(1)/*.c))
SOURCES_spec := $(sort $(wildcard spec/*.c spec/entities/*.c))
$(foreach f,$(filter-out spec,$(FLOORS)),$(eval SOURCES_$(f) := $(call source_of,$(f))))
SOURCES_top := $(filter-out reconciler/main.c,$(wildcard reconciler/*.c))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))
ARCHIVES := $(foreach f,$(FLOORS) top,$(BUILD)/lib$(f).a)
# Every archive, twice over where floors look at each other's symbols: order does not matter.
LINK_ALL := -Wl,--start-group $(ARCHIVES) -Wl,--end-group

.PHONY: all deps run test unit conformance e2e bench soak fuzz check-asan check-clang floors \
        complexity install clean
all: $(BUILD)/reconcert $(BUILD)/reconcert-watch

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c -o $@ $<

define archive_rule
$(BUILD)/lib$(1).a: $(call objects,$(SOURCES_$(1)))
	$(Q)rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach f,$(FLOORS) top,$(eval $(call archive_rule,$(f))))

$(BUILD)/reconcert: $(BUILD)/reconciler/main.o $(ARCHIVES)
	$(Q)$(CC) $(LINKING) -o $@ $< $(LINK_ALL) $(LIBS)

# A program of its own, GPL-2.0: it shares no object, not even a header, with the rest.
WATCHER := $(call objects,$(wildcard reconciler/watcher/*.c))
$(BUILD)/reconcert-watch: $(WATCHER)
	$(Q)$(CC) $(LINKING) -o $@ $^ -linotifytools

# tests/unit/<floor>/test_<noun>.c: one program each.
UNIT_SOURCES := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SOURCES))
UNIT_SUPPORT := $(call objects,$(sort $(wildcard tests/support/*.c)))
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(UNIT_SUPPORT) $(ARCHIVES)
	$(Q)$(CC) $(LINKING) -o $@ $< $(UNIT_SUPPORT) $(LINK_ALL) $(LIBS) -lcunit

unit-programs: $(UNIT_PROGRAMS)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
