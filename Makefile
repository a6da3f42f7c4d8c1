# provenance: build with PGXS, test, demo
#
#   make [PG_CONFIG=...]              build against that PostgreSQL (15 to 18)
#   make install                      install into it
#   make installcheck                 regression and isolation tests against a
#                                     running server that has it installed
#   make check [LAYERS=...] [TESTS=...]   all tests, in a scratch folder, with
#                                     private servers; see test/lib/check.sh
#   make demo [KEEP=1] [CRM_DATA=dir] a guided tour
#   make check-versions               the tests on PostgreSQL 17 and 18
#   make check-all [CHECK_BUDGET=5100]   check, then check-versions as far as
#                                     that many seconds go; what CI runs
#   make check-cassert                the tests on a server with assertions
#   make bench, make bench-long       measurements
#   make stress [STRESS_SECONDS=600] [STRESS_SEED=...]   random changes from
#                                     many sessions, against a model
#   make freeze                       keeps this version's extension script for
#                                     good, at its release; test/upgrade/freeze.sh
#
# check, demo and bench install what they miss from Debian's packages, after
# saying so (test/lib/require.sh). The extension's version stands in
# provenance.control and nowhere else in the build.

TOPDIR := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

# Goals that bring their own PostgreSQL or need none: without PGXS.
DRIVERS = check check-all check-versions check-cassert demo bench bench-long stress core-check freeze

ifneq (,$(filter $(DRIVERS),$(MAKECMDGOALS)))

.PHONY: $(MAKECMDGOALS)
.NOTPARALLEL:

export PG_CONFIG LAYERS TESTS KEEP CRM_DATA PROVENANCE_VECTORS STRESS_SECONDS STRESS_SEED STRESS_BULK

check:
	@$(TOPDIR)/test/lib/check.sh

demo:
	@$(TOPDIR)/test/lib/demo.sh

check-all:
	@$(TOPDIR)/test/lib/all.sh

check-versions:
	@$(TOPDIR)/test/lib/versions.sh

check-cassert:
	@$(TOPDIR)/test/lib/cassert.sh

bench bench-long:
	@$(TOPDIR)/test/lib/bench.sh $@

stress:
	@$(TOPDIR)/test/lib/stress.sh

freeze:
	@$(TOPDIR)/test/upgrade/freeze.sh

core-check:
	$(MAKE) -C $(TOPDIR)/test/core check

# The other goals of a mixed command line take the ordinary way.
$(filter-out $(DRIVERS),$(MAKECMDGOALS)):
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) $@

else

EXTENSION = provenance
EXTVERSION := $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" $(TOPDIR)/provenance.control)

MODULE_big = provenance
MODULE_DIRS = core types ledger capture prove verify partner guard
SOURCES := $(patsubst $(TOPDIR)/%,%,$(sort \
	$(foreach d,$(MODULE_DIRS),$(wildcard $(TOPDIR)/src/$(d)/*.c)) \
	$(TOPDIR)/src/module.c))
INCLUDED := $(wildcard $(TOPDIR)/src/*.h $(TOPDIR)/src/*/*.h)
OBJS = $(SOURCES:.c=.o)

# The script is put together from its parts; deltas between versions are files
# of their own.
SCRIPT = src/sql/provenance--$(EXTVERSION).sql
SCRIPT_PARTS := $(sort $(wildcard $(TOPDIR)/src/sql/[0-9][0-9]_*.sql))
DATA_built = $(SCRIPT)
DATA := $(patsubst $(TOPDIR)/%,%,$(sort $(wildcard $(TOPDIR)/src/sql/provenance--*--*.sql)))
# Of released versions, not installed. A database that is not upgraded yet calls
# the functions that they name.
FROZEN := $(patsubst $(TOPDIR)/%,%,$(sort $(wildcard $(TOPDIR)/test/upgrade/provenance--*.sql)))

PG_CPPFLAGS = -I$(TOPDIR)/src
PG_CFLAGS = -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers $(WERROR)
SHLIB_LINK = -lcrypto

# Messages about a ledger of another version name this one.
src/ledger/columns.o src/ledger/columns.bc: override CPPFLAGS += -DPROVENANCE_VERSION='"$(EXTVERSION)"'
src/ledger/columns.o src/ledger/columns.bc: $(TOPDIR)/provenance.control

# A program without a database. PGXS builds a program or a library, not both;
# what it does with scripts (all, install, uninstall, clean) is what is needed.
VERIFIER = provenance-verify
SCRIPTS_built = $(VERIFIER)
VERIFIER_OBJS := $(patsubst $(TOPDIR)/%.c,%.o,$(sort $(wildcard $(TOPDIR)/src/verifier/*.c)))
VERIFIER_CORE = $(filter src/core/%,$(OBJS))

# The library exports what SQL names, of any released version, and the worker entry points that the
# headers declare with PGDLLEXPORT.
SHLIB_EXPORTS = build/exports.txt

REGRESS := $(patsubst $(TOPDIR)/sql/%.sql,%,$(sort $(wildcard $(TOPDIR)/sql/*.sql)))
REGRESS_OPTS = --inputdir=$(TOPDIR)
ISOLATION := $(patsubst $(TOPDIR)/test/isolation/specs/%.spec,%,$(sort $(wildcard $(TOPDIR)/test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(TOPDIR)/test/isolation

EXTRA_CLEAN = build $(VERIFIER_OBJS)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

ifeq (,$(PGXS))
$(error $(PG_CONFIG) cannot be run. Install the package postgresql-server-dev-NN \
(NN: 15 to 18), or name a pg_config with PG_CONFIG=)
endif
ifeq (,$(wildcard $(PGXS)))
$(error $(PGXS) does not exist: the server's headers are not installed. Install \
the package postgresql-server-dev-NN for $(shell $(PG_CONFIG) --version), or name a pg_config with PG_CONFIG=)
endif

# A PostgreSQL built with LLVM wants bitcode too, from the very clang that it
# was configured with. Without that clang the extension works all the same.
GLOBAL := $(dir $(PGXS))../Makefile.global
global_value = $(shell sed -n 's/^$(1)[ \t]*=[ \t]*//p' $(GLOBAL))
ifneq (2,$(words $(shell command -v $(call global_value,CLANG)) \
	$(wildcard $(call global_value,LLVM_BINPATH)/llvm-lto)))
override with_llvm := no
endif

include $(PGXS)

# Input functions have soft errors from 16 on.
ifeq (15,$(MAJORVERSION))
override REGRESS := $(filter-out %_soft,$(REGRESS))
endif

VPATH_DIRS := $(shell mkdir -p build $(sort $(dir $(OBJS) $(VERIFIER_OBJS))))

# PostgreSQL's packages are built without dependency tracking: rebuild all
# when a header changes.
$(OBJS) $(OBJS:.o=.bc) $(VERIFIER_OBJS): $(INCLUDED)

$(VERIFIER_OBJS): override CPPFLAGS += -DPROVENANCE_VERSION='"$(EXTVERSION)"'
src/verifier/main.o: $(TOPDIR)/provenance.control

$(VERIFIER): $(VERIFIER_OBJS) $(VERIFIER_CORE)
	$(CC) $(CFLAGS) $(VERIFIER_OBJS) $(VERIFIER_CORE) $(LDFLAGS) $(LDFLAGS_EX) -lcrypto -o $@$(X)

$(SCRIPT): $(SCRIPT_PARTS) $(TOPDIR)/provenance.control
	mkdir -p $(@D)
	cat $(SCRIPT_PARTS) > $@

build/exports.txt: $(SCRIPT) $(addprefix $(TOPDIR)/,$(DATA) $(FROZEN) test/lib/exports.sh) $(INCLUDED)
	mkdir -p $(@D)
	$(TOPDIR)/test/lib/exports.sh $(TOPDIR)/src $(SCRIPT) $(addprefix $(TOPDIR)/,$(DATA) $(FROZEN)) > $@

endif
