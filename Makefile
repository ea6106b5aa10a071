# SPDX-License-Identifier: Apache-2.0
# pvimg. `make` builds out/pvimg; `make help` names the rest.

PREFIX ?= /usr/local
DESTDIR ?=
RECIPE ?= ubuntu-2g
ARGS ?=
FUZZ_SECONDS ?= 30
SANITIZE ?=
WERROR ?=
# what `make check` runs: all tiers, or TIERS="unit cli"
TIERS ?=

ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= $(firstword $(wildcard $(addprefix /usr/bin/,clang-14 clang clang-18 clang-17 clang-16 clang-15 clang-19)) clang)
CLANG_TIDY ?= $(firstword $(wildcard $(addprefix /usr/bin/,clang-tidy-14 clang-tidy clang-tidy-18)) clang-tidy)
PKG_CONFIG ?= pkg-config

# pkg-config's name:Debian's package
PKG_DEBS := libcyaml:libcyaml-dev yaml-0.1:libyaml-dev jansson:libjansson-dev libarchive:libarchive-dev \
	ext2fs:libext2fs-dev com_err:comerr-dev fdisk:libfdisk-dev uuid:uuid-dev blkid:libblkid-dev \
	libcurl:libcurl4-openssl-dev openssl:libssl-dev libseccomp:libseccomp-dev zlib:zlib1g-dev libzstd:libzstd-dev \
	libdeflate:libdeflate-dev libxxhash:libxxhash-dev expat:libexpat1-dev
PKGS := $(foreach p,$(PKG_DEBS),$(firstword $(subst :, ,$(p))))

comma := ,
# out/obj, or out/obj-address-undefined with SANITIZE=address,undefined
OBJ := out/obj$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
SAN_OBJ := out/obj-address-undefined
FUZZ_OBJ := out/obj-fuzz
BIN := $(if $(SANITIZE),$(OBJ)/pvimg,out/pvimg)

WARN := -Wall -Wextra -Wshadow -Wundef -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes \
	-Wjump-misses-init -Wmaybe-uninitialized
CLANG_WARN := -Wall -Wextra -Wshadow -Wundef -Wvla -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
OPTIMIZE ?= -O2 -g
STD := -std=gnu11 -D_GNU_SOURCE
ifeq ($(SANITIZE),)
HARDEN := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
HARDEN_LD := -pie -Wl,-z,relro,-z,now
else
HARDEN := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN_LD := -fsanitize=$(SANITIZE)
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null)
ALL_CFLAGS = $(STD) $(OPTIMIZE) $(WARN) $(if $(WERROR),-Werror) $(HARDEN) -iquote builder $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(HARDEN_LD) $(LDFLAGS)
DATADIR := $(PREFIX)/share/pvimg

SRC := $(sort $(wildcard builder/*.c))
LIB_SRC := $(filter-out builder/main.c,$(SRC))
LIB_OBJ := $(LIB_SRC:builder/%.c=$(OBJ)/%.o)
LIB := $(OBJ)/libpvimg.a
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
# what unit tests share
UNIT_HELP := $(filter-out $(UNIT_SRC),$(sort $(wildcard tests/unit/*.c)))
UNIT_HELP_OBJ := $(UNIT_HELP:tests/unit/%.c=$(OBJ)/unit/%.o)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(OBJ)/unit/%)
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
REPLAY_BIN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(OBJ)/fuzz/replay_%)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/fuzz_%.c=$(FUZZ_OBJ)/fuzz_%)
SHELL_FILES := $(sort $(wildcard scripts/* scripts/dom0/* scripts/xl/* scripts/guest/* tests/*/*.sh tests/bin/* tests/ssh/xl tests/run \
	tests/bench/formats tests/bench/peers/* tests/check-ubuntu .ci/run))

# V=1 shows whole commands
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %s %s\n' $(1) '$(2)')

# all cores, unless the caller said how many
ifeq ($(filter -j% --jobserver%,$(MAKEFLAGS))$(filter-out 0,$(MAKELEVEL)),)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 1)
endif
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all help deps image unit replay tests-built check check-built san-built bench check-ubuntu check-xen check-publish check-xapi fuzz \
	fuzz-built \
	analyze analyze-built check-headers install clean FORCE

all: $(BIN)

help:
	@echo 'make                     build out/pvimg'
	@echo 'make deps                install what this machine lacks to build and run (apt)'
	@echo 'make image [RECIPE=..]   deps, build, and build an image (ubuntu-2g)'
	@echo 'make check [TIERS=..]    deps, build, all tests; ends with N passed, N failed, N skipped'
	@echo 'make bench               pvimg against others and its goals; out/bench/bench.json and bench.svg'
	@echo 'make check-xen           images that verify must not pass, under Xen (slow)'
	@echo 'make check-publish       publishing to stand-ins and real servers, and what they do to one (slow)'
	@echo 'make check-xapi XAPI_URL=xapi://HOST   the same against a real XenServer or XCP-ng pool'
	@echo 'make check-ubuntu        ubuntu-2g from a real mirror, booted'
	@echo 'make fuzz                every fuzzer for FUZZ_SECONDS=30'
	@echo 'make analyze             clang-tidy, cppcheck, shellcheck; ANALYZER=1: gcc -fanalyzer too'
	@echo 'make install PREFIX= DESTDIR=   program, data, man pages, completions'
	@echo 'make clean               remove built objects (images in out/images stay)'
	@echo 'SANITIZE=address,undefined, WERROR=1, V=1 (whole commands): with any of them'

deps:
	@scripts/deps build

image:
	@scripts/deps build
	@$(MAKE) all
	@out/pvimg build $(RECIPE) $(ARGS)

# ---- objects -------------------------------------------------------------------------------------------------------

# Rewritten when the flags change, so that everything is built again. Says what is missing.
$(OBJ)/flags: FORCE
	@mkdir -p $(@D)/unit $(@D)/fuzz
	@command -v $(PKG_CONFIG) >/dev/null 2>&1 || { \
		echo "make: pkg-config is missing: 'make deps' installs it, or apt-get install pkg-config" >&2; exit 1; }
	@missing=; for p in $(PKG_DEBS); do \
		$(PKG_CONFIG) --exists "$${p%%:*}" || missing="$$missing $${p##*:}"; done; \
	if [ -n "$$missing" ]; then \
		echo "make: libraries are missing: 'make deps' installs them, or apt-get install$$missing" >&2; exit 1; fi
	@echo '$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(PKG_LIBS)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# The one file that knows where the data is installed.
$(OBJ)/flags-main: FORCE | $(OBJ)/flags
	@echo '$(DATADIR)' >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(OBJ)/main.o: builder/main.c $(OBJ)/flags $(OBJ)/flags-main
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -DPV_DATADIR='"$(DATADIR)"' -MMD -MP -c $< -o $@

$(OBJ)/%.o: builder/%.c $(OBJ)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Made anew: an object whose source is gone must go too.
$(LIB): $(LIB_OBJ)
	@rm -f $@
	@ar rcs $@ $^

$(BIN): $(OBJ)/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $^ -o $@ $(PKG_LIBS)

# ---- tests ---------------------------------------------------------------------------------------------------------

$(OBJ)/unit/%.o: tests/unit/%.c $(OBJ)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/unit -MMD -MP -c $< -o $@

$(OBJ)/unit/test_%: $(OBJ)/unit/test_%.o $(UNIT_HELP_OBJ) $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $^ -o $@ $(PKG_LIBS) $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null || echo -lcmocka)

unit: $(UNIT_BIN)

$(OBJ)/fuzz/%.o: tests/fuzz/%.c $(OBJ)/flags
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(OBJ)/fuzz/replay_%: $(OBJ)/fuzz/fuzz_%.o $(OBJ)/fuzz/replay.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $^ -o $@ $(PKG_LIBS)

replay: $(REPLAY_BIN)

san-built:
	@$(MAKE) SANITIZE=address,undefined unit replay

tests-built: all unit san-built

check:
	@scripts/deps check
	@$(MAKE) check-built

check-built: tests-built
	@tests/run $(TIERS)

bench:
	@scripts/deps bench
	@$(MAKE) all
	@tests/bench/run

check-xen:
	@scripts/deps check
	@$(MAKE) all
	@tests/run xen

check-publish:
	@scripts/deps publish
	@$(MAKE) all
	@tests/run publish

# XAPI_URL=xapi://HOST[:PORT][/STORAGE]: a real pool instead of the stand-in
check-xapi:
	@[ -n "$(XAPI_URL)" ] || { echo 'check-xapi: XAPI_URL=xapi://HOST and a password in PVIMG_XAPI_PASSWORD are wanted' >&2; exit 2; }
	@scripts/deps check
	@$(MAKE) all
	@XAPI_URL='$(XAPI_URL)' ONLY=publish/30-xapi tests/run publish

check-ubuntu:
	@scripts/deps check
	@$(MAKE) all
	@tests/check-ubuntu

$(FUZZ_OBJ)/%.o: builder/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CLANG) $(STD) -O1 -g $(CLANG_WARN) -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
		-iquote builder $(PKG_CFLAGS) -MMD -MP -c $< -o $@

$(FUZZ_OBJ)/fuzz_%: tests/fuzz/fuzz_%.c $(LIB_SRC:builder/%.c=$(FUZZ_OBJ)/%.o)
	$(call say,LD,$@)
	$(Q)$(CLANG) $(STD) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -iquote builder $(PKG_CFLAGS) \
		$^ -o $@ $(PKG_LIBS)

fuzz-built: $(FUZZ_BIN)

# New inputs go to out/, the corpus in tests/ is only read.
fuzz:
	@scripts/deps analyze
	@$(MAKE) fuzz-built
	@set -e; for f in $(FUZZ_BIN); do n=$${f##*/fuzz_}; mkdir -p out/fuzz/$$n; echo "== $$n"; \
		corpus=tests/fuzz/corpus/$$n; [ -d $$corpus ] || corpus=; \
		$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
			-artifact_prefix=out/fuzz/$$n- out/fuzz/$$n $$corpus; done

# ---- analysis ------------------------------------------------------------------------------------------------------

analyze:
	@scripts/deps analyze
	@$(MAKE) analyze-built

analyze-built:
	$(CLANG_TIDY) --quiet $(SRC) -- $(STD) -iquote builder $(PKG_CFLAGS) -DPV_DATADIR='"$(DATADIR)"'
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -D_GNU_SOURCE --enable=warning,portability \
		--suppress=missingIncludeSystem -Ibuilder builder
	shellcheck $(SHELL_FILES)
	$(if $(ANALYZER),$(MAKE) all SANITIZE= OPTIMIZE='-O1 -fanalyzer' OBJ=out/obj-analyzer BIN=out/obj-analyzer/pvimg)

check-headers:
	@set -e; for h in builder/*.h; do \
		echo "#include \"$${h##*/}\"" | $(CC) $(STD) $(WARN) -Werror -iquote builder $(PKG_CFLAGS) \
			-fsyntax-only -x c - || { echo "$$h does not compile alone" >&2; exit 1; }; done

# ---- installation --------------------------------------------------------------------------------------------------

D := $(DESTDIR)$(PREFIX)
install: all
	install -d '$(D)/bin' '$(D)/share/pvimg' '$(D)/share/man/man1' '$(D)/share/man/man5' \
		'$(D)/share/bash-completion/completions' '$(D)/share/zsh/site-functions'
	install -m 0755 out/pvimg '$(D)/bin/pvimg'
	rm -rf '$(D)/share/pvimg/recipes' '$(D)/share/pvimg/overlays' '$(D)/share/pvimg/scripts'
	cp -R recipes overlays scripts '$(D)/share/pvimg/'
	chmod -R u=rwX,go=rX '$(D)/share/pvimg'
	for m in man/*.1; do [ ! -f "$$m" ] || install -m 0644 "$$m" '$(D)/share/man/man1/'; done
	for m in man/*.5; do [ ! -f "$$m" ] || install -m 0644 "$$m" '$(D)/share/man/man5/'; done
	[ ! -f completion/pvimg.bash ] || \
		install -m 0644 completion/pvimg.bash '$(D)/share/bash-completion/completions/pvimg'
	[ ! -f completion/_pvimg ] || install -m 0644 completion/_pvimg '$(D)/share/zsh/site-functions/_pvimg'

clean:
	rm -rf out/obj out/obj-* out/fuzz out/pvimg

-include $(wildcard $(OBJ)/*.d $(OBJ)/unit/*.d $(OBJ)/fuzz/*.d $(FUZZ_OBJ)/*.d)
