# smtplb: build, tests and tools. `make help` lists the targets.

VERSION = 0.1.0
LIBURING_VERSION = $(shell pkg-config --modversion liburing)
VARIANT ?= release
B := build$(if $(filter-out release,$(VARIANT)),/$(VARIANT))

PREFIX ?= /usr/local
DESTDIR ?=
UNIT_DIR ?= $(PREFIX)/lib/systemd/system
ZSH_DIR ?= $(PREFIX)/share/zsh/site-functions

CC = gcc
WARN = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
	-Wvla -Wswitch-enum -Wundef -Werror=format-security
HARDEN = -fstack-protector-strong -fstack-clash-protection -fPIE
CPPFLAGS_ALL = -I. -D_GNU_SOURCE -DSMTPLB_VERSION='"$(VERSION)"' \
	-DLIBURING_VERSION='"$(LIBURING_VERSION)"' $(VARIANT_CPPFLAGS) $(CPPFLAGS)
CFLAGS_ALL = -std=gnu11 -g $(WARN) $(HARDEN) $(VARIANT_CFLAGS) $(CFLAGS) $(if $(WERROR),-Werror)
LDFLAGS_ALL = -pie -Wl,-z,relro -Wl,-z,now $(VARIANT_LDFLAGS) $(LDFLAGS)
LDLIBS = -lssl -lcrypto -lev -luring -lconfuse -lmaxminddb -lmicrohttpd -ljansson -lm -pthread

# One build folder a variant; each sets its compiler and flags here and nowhere else.
ifeq ($(VARIANT),release)
VARIANT_CPPFLAGS = -D_FORTIFY_SOURCE=2
VARIANT_CFLAGS = -O2
else ifeq ($(VARIANT),clang)
CC = clang
VARIANT_CPPFLAGS = -D_FORTIFY_SOURCE=2
VARIANT_CFLAGS = -O2
else ifeq ($(VARIANT),asan)
CC = clang
VARIANT_CFLAGS = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
VARIANT_LDFLAGS = -fsanitize=address,undefined
else ifeq ($(VARIANT),tsan)
CC = clang
VARIANT_CFLAGS = -O1 -fno-omit-frame-pointer -fsanitize=thread
VARIANT_LDFLAGS = -fsanitize=thread
else ifeq ($(VARIANT),fuzz)
CC = clang
VARIANT_CFLAGS = -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
VARIANT_LDFLAGS = -fsanitize=address,undefined
else ifeq ($(VARIANT),coverage)
CC = clang
VARIANT_SRC = tests/coverage_exit.c
VARIANT_CFLAGS = -O0 -fprofile-instr-generate -fcoverage-mapping
VARIANT_LDFLAGS = -fprofile-instr-generate -Wl,--wrap=_exit
else
$(error VARIANT=$(VARIANT): use release, clang, asan, tsan, fuzz or coverage)
endif

LIB_SRC := $(wildcard acl/*.c conf/*.c health/*.c lb/wire/*.c lb/io/*.c lb/admin/*.c) \
	$(filter-out lb/main.c,$(wildcard lb/*.c))
ACL_BENCH_SRC := $(wildcard bench/acl_*.c)
TRACKER_BENCH_SRC := $(wildcard bench/tracker_*.c)
LOAD_SRC := $(wildcard bench/load_*.c)
BENCH_SRC := $(ACL_BENCH_SRC) $(TRACKER_BENCH_SRC) $(LOAD_SRC)
SINK_SRC := $(filter-out $(BENCH_SRC),$(wildcard bench/*.c))
UNIT_SRC := $(wildcard tests/unit/test_*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
SOURCES := $(LIB_SRC) lb/main.c $(SINK_SRC) $(BENCH_SRC) $(UNIT_SRC) $(FUZZ_SRC) tests/fuzz/replay.c \
	tests/coverage_exit.c
HEADERS := $(wildcard */*.h */*/*.h)

LIB := $(B)/libsmtplb.a
MAN := $(patsubst conf/man/%.scd,$(B)/man/%,$(wildcard conf/man/*.scd))
UNITS := $(UNIT_SRC:%.c=$(B)/%)
REPLAYS := $(FUZZ_SRC:%.c=$(B)/%.replay)
FUZZERS := $(FUZZ_SRC:%.c=$(B)/%)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $@; )# V=1 shows the commands themselves
OBJ = $(patsubst %.c,$(B)/obj/%.o,$(1))

.PHONY: all deps deps-build deps-test deps-tools deps-bench deps-deb demo run test unit system lab package kernel lint format \
	fuzz asan tsan coverage mutation bench bench-quick install deb clean help
.DEFAULT_GOAL := all
.SECONDARY:
MAKEFLAGS += --no-print-directory

all: deps-build ## build/smtplb and build/sink
	@$(MAKE) -j$$(nproc) $(B)/smtplb $(B)/sink

$(B)/smtplb: $(B)/obj/lb/main.o $(LIB)
$(B)/sink: $(call OBJ,$(SINK_SRC)) $(LIB)
$(B)/acl_bench: $(call OBJ,$(ACL_BENCH_SRC)) $(LIB)
$(B)/tracker_bench: $(call OBJ,$(TRACKER_BENCH_SRC)) $(LIB)
$(B)/load: $(call OBJ,$(LOAD_SRC)) $(LIB)
$(UNITS): $(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(LIB)
$(REPLAYS): $(B)/tests/fuzz/%.replay: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(LIB)
$(FUZZERS): $(B)/tests/fuzz/%: $(B)/obj/tests/fuzz/%.o $(LIB)
$(UNITS): LDLIBS := -lcheck -lsubunit -lrt $(LDLIBS)
$(B)/acl_bench: LDLIBS := -lmaxminddb $(LDLIBS)
$(FUZZERS): VARIANT_LDFLAGS := -fsanitize=fuzzer,address,undefined

$(B)/smtplb $(B)/sink $(B)/load $(B)/acl_bench $(B)/tracker_bench $(UNITS) $(REPLAYS) $(FUZZERS): $(call OBJ,$(VARIANT_SRC))
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o %.a,$^) $(LDLIBS)

$(LIB): $(call OBJ,$(LIB_SRC)) $(B)/obj/page.o
	@rm -f $@
	$(call say,AR)$(AR) rcs $@ $^

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(B)/man/%: conf/man/%.scd
	@mkdir -p $(@D)
	$(call say,MAN)scdoc <$< >$@

# The status page, made one piece.
$(B)/page.c: $(wildcard lb/admin/page/*)
	@mkdir -p $(@D)
	$(call say,PAGE)lb/admin/page/pack lb/admin/page >$@.new && mv $@.new $@

$(B)/obj/page.o: $(B)/page.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

-include $(B)/obj/page.d
-include $(patsubst %.o,%.d,$(call OBJ,$(SOURCES)))

# What must be installed, by what it is needed for. Postfix, Exim, nginx, Prometheus, Chromium, qemu are not here:
# tests/peers unpacks them below build/ and installs nothing.
DEPS_BUILD = gcc libc6-dev make pkg-config libev-dev libconfuse-dev libmaxminddb-dev libmicrohttpd-dev libjansson-dev liburing-dev libssl-dev \
	python3 scdoc
DEPS_TEST = check libsubunit-dev python3-pytest python3-pytest-xdist python3-jsonschema mmdb-bin openssl iproute2 util-linux apt dpkg bash zsh
DEPS_BENCH = strace iproute2 util-linux apt dpkg
DEPS_DEB = debhelper dpkg-dev fakeroot lintian mmdebstrap debian-archive-keyring
DEPS_TOOLS = clang clang-format clang-tidy cppcheck libclang-rt-14-dev llvm

deps: deps-build deps-test deps-tools deps-bench deps-deb ## install the Debian packages that everything below needs

deps-build deps-test deps-tools deps-bench deps-deb:
	@tests/deps $(DEPS_BUILD) \
		$(if $(filter deps-test deps-tools,$@),$(DEPS_TEST)) \
		$(if $(filter deps-bench,$@),$(DEPS_BENCH)) \
		$(if $(filter deps-deb,$@),$(DEPS_DEB)) \
		$(if $(filter deps-tools,$@),$(DEPS_TOOLS))

demo: all ## send mail through two relays, kill one on the way, show that none was lost
	@bench/demo

run: all ## the demo's set-up, left running to play with
	@bench/demo --stay

test: deps-test ## every test: unit, system and (as root) the lab
	@$(MAKE) -j$$(nproc) $(B)/smtplb $(B)/sink $(B)/load $(UNITS) $(REPLAYS)
	@$(MAKE) unit system lab

unit: $(UNITS) $(REPLAYS) ## unit tests, and the fuzz corpora replayed
	@tests/unit/run $(UNITS) -- $(REPLAYS)

system: $(B)/smtplb $(B)/sink $(B)/load ## the balancer against scripted peers on loopback
	@set -e; for engine in $(or $(ENGINES),$$(tests/engines)); do \
		echo "  tests/system under $$engine"; \
		SMTPLB_BUILD=$(B) SMTPLB_ENGINE=$$engine /usr/bin/python3 -m pytest -q -n 4 tests/system; \
	done

lab: deps-test ## real mail servers in network namespaces (root)
	@$(MAKE) -j$$(nproc) $(B)/smtplb
	@set -e; for engine in $$(tests/engines); do \
		echo "  tests/lab under $$engine"; \
		SMTPLB_BUILD=$(B) SMTPLB_ENGINE=$$engine tests/lab/run; \
	done

package: deps-test deb ## install the .deb into a clean Debian, start it there, remove it (root)
	@$(MAKE) -j$$(nproc) $(B)/sink
	@SMTPLB_BUILD=$(B) tests/package/run

KERNEL_LINES ?= 'engine = libev' 'engine = io_uring'
kernel: all deps-test ## smoke tests under Debian 12's kernel in qemu; KERNEL_LINES="'workers = 1'": so configured
	@SMTPLB_BUILD=$(B) tests/kernel/run $(KERNEL_LINES)

asan: deps-tools ## unit and system tests under AddressSanitizer and UBSan
	@$(MAKE) -j$$(nproc) VARIANT=asan asan-run

asan-run: ENGINES = $(lastword $(shell tests/engines))
asan-run: unit system

tsan: deps-tools ## the threaded unit tests and the system tests under ThreadSanitizer
	@$(MAKE) -j$$(nproc) VARIANT=tsan tsan-run

tsan-run: ENGINES = libev
tsan-run: unit system

clang-build: deps-tools
	@$(MAKE) -j$$(nproc) $(B)/smtplb $(B)/sink $(B)/load $(UNITS) $(REPLAYS)

# Every program writes what it took at its end; %8m: side by side, merged, as whichever user.
coverage: deps-tools ## branch coverage of unit and system tests: the report, build/coverage/html
	@$(MAKE) -j$$(nproc) VARIANT=coverage clang-build
	@rm -rf build/coverage/profiles && mkdir -m 777 build/coverage/profiles
	@umask 0; LLVM_PROFILE_FILE=$(CURDIR)/build/coverage/profiles/%8m.profraw \
		$(MAKE) VARIANT=coverage unit system
	@tests/coverage build/coverage

FILES ?= acl/addr.c lb/wire/proxy.c lb/wire/greeting.c
mutation: deps-test ## change one thing at a time in FILES="a.c b.c" and see the tests fail
	@tests/mutation $(if $(SAMPLE),--sample $(SAMPLE)) $(FILES)

FUZZ_SECONDS ?= 60
fuzz: deps-tools ## run each fuzz target for FUZZ_SECONDS (60)
	@$(MAKE) -j$$(nproc) VARIANT=fuzz fuzz-build
	@tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ_SRC:%.c=build/fuzz/%)

fuzz-build: $(FUZZERS)

# cppcheck reads no system headers: what jansson's loop is, it has to be told.
CPPCHECK_MACROS = '-Djson_array_foreach(array,i,value)=while ((value = json_array_get(array, i = json_array_size(array))))'

lint: deps-tools ## clang-format, clang-tidy, cppcheck, include direction
	@echo "  clang-format, includes, cppcheck, clang-tidy"
	@clang-format --dry-run -Werror $(SOURCES) $(HEADERS)
	@tests/lint/includes $(SOURCES) $(HEADERS)
	@cppcheck -q --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem -I. -D_GNU_SOURCE $(CPPCHECK_MACROS) -j$$(nproc) $(LIB_SRC) lb/main.c $(SINK_SRC) $(BENCH_SRC)
	@printf '%s\n' $(LIB_SRC) lb/main.c $(SINK_SRC) $(BENCH_SRC) | xargs -P$$(nproc) -I{} \
		clang-tidy --quiet {} -- -std=gnu11 $(CPPFLAGS_ALL) 2>/dev/null

format: ## let clang-format rewrite the C sources
	clang-format -i $(SOURCES) $(HEADERS)

bench: all deps-bench ## beside HAProxy, nginx, pen and NAT; how cost grows; slow sessions, reading along, scrapes, large acls
	@$(MAKE) $(B)/load $(B)/acl_bench $(B)/tracker_bench
	@bench/run
	@bench/growth
	@bench/tracker
	@bench/slow
	@bench/scrape
	@bench/acl

bench-quick: all deps-bench ## the first of these with fewer rounds and sessions: 4 minutes
	@$(MAKE) $(B)/load
	@bench/run --quick

# The unit and the man pages are written for /usr.
AT_PREFIX = sed -E -i 's,/usr/(sbin|share/doc)/smtplb,$(PREFIX)/\1/smtplb,g'
DOC = $(DESTDIR)$(PREFIX)/share/doc/smtplb
install: $(B)/smtplb $(MAN) ## into DESTDIR, below PREFIX (/usr/local)
	install -D -m 755 $(B)/smtplb $(DESTDIR)$(PREFIX)/sbin/smtplb
	install -D -m 644 -t $(DOC) conf/minimal.conf conf/full.conf conf/systemd/smtplb.socket lb/admin/openapi.json LICENSE
	install -D -m 644 -t $(DOC)/monitoring conf/monitoring/alerts.yml conf/monitoring/dashboard.json
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 $(filter %.5,$(MAN))
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(filter %.8,$(MAN))
	install -D -m 644 conf/systemd/smtplb.service $(DESTDIR)$(UNIT_DIR)/smtplb.service
	$(AT_PREFIX) $(DESTDIR)$(UNIT_DIR)/smtplb.service $(DESTDIR)$(PREFIX)/share/man/man[58]/smtplb*
	install -D -m 644 conf/systemd/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/smtplb.conf
	install -D -m 644 conf/systemd/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/smtplb.conf
	install -D -m 644 conf/completion/smtplb.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/smtplb
	install -D -m 644 conf/completion/_smtplb $(DESTDIR)$(ZSH_DIR)/_smtplb

# In a copy, because dpkg-buildpackage writes beside the sources and into them. lintian reads all
# three: the source, the package and what goes with them.
deb: deps-deb ## build/deb/smtplb_VERSION_ARCH.deb, as lintian accepts it
	@test "$$(dpkg-parsechangelog -S Version)" = $(VERSION) || { \
		echo "debian/changelog is not for $(VERSION), the Makefile's VERSION" >&2; exit 1; }
	@rm -rf build/deb && mkdir -p build/deb/smtplb
	@tar -c --exclude=./.git --exclude=./build --exclude=__pycache__ --exclude=.pytest_cache . | \
		tar -x -C build/deb/smtplb
	@cd build/deb/smtplb && dpkg-buildpackage -J -us -uc >../build.log 2>&1 || { cat ../build.log; exit 1; }
	@lintian --allow-root --display-info --pedantic --fail-on error,warning,info,pedantic build/deb/*.changes
	@rm -rf build/deb/smtplb
	@ls build/deb/smtplb_*.deb

clean: ## remove what was built
	rm -rf build

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile
