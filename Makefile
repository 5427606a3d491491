# make demo and make test set everything up in .venv by themselves: they need Python 3.11 or newer,
# a C compiler and a package index. Other targets are listed at .PHONY.
PYTHON ?= python3
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
# Ninja would look for make's job server, which recipes do not have, and tell that it is not there.
unexport MAKEFLAGS
.DEFAULT_GOAL := test
.PHONY: demo fuzz test test-c accuracy reproduce test-python test-slow faults load test-freethreaded test-peers test-downstream test-distributed test-gallery lint bench bench-guard bench-ports bench-distributed bench-interfaces bench-streaming bench-tabular docs sanitize sanitize-c sanitize-python sanitize-python-address sanitize-python-thread memcheck analyze platforms trust wheel audit clean

# In CI a warning is an error.
CNN_WERROR := $(if $(CI),ON,OFF)

VENV := .venv
BUILD := build/python
WHEEL := build/wheel
BENCH_VENV := build/bench-venv
TABULAR_VENV := build/tabular-venv
# What Sphinx writes beside the sources of the site.
SITE := docs/gallery docs/api/generated docs/c/generated docs/performance/machines
ARGS ?=
# Whatever runs in the environment finds the other programs in it: cmake ninja, pytest cmake.
IN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
# -P keeps the current folder off sys.path: here `import cnn` would find the sources, which have
# no _core, instead of the installed package.
RUN := $(IN) python -P
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
CMAKE := $(IN) cmake
CTEST := $(IN) ctest --output-on-failure --no-tests=error --parallel $$(getconf _NPROCESSORS_ONLN)

SOURCES := $(shell find cnn csrc cmake -type f ! -path '*/__pycache__/*') \
           CMakeLists.txt pyproject.toml LICENSE $(wildcard README.md)

# `make TARGET`: each prints what it does. -----------------------------------------------------

demo: $(VENV)/installed
	$(RUN) -m cnn demo

test: test-c test-python

# In the folder of the package: kernels, which take longest to compile, are the same for both.
test-c: $(VENV)/installed
	$(CMAKE) -S . -B $(BUILD) -DCNN_BUILD_TESTS=ON
	$(CMAKE) --build $(BUILD)
	$(CTEST) --test-dir $(BUILD)

# The largest error of each activation and function of vmath.h, of the losses and their gradients:
# every float32, 10^8 float64. `make accuracy ARGS="tanh gelu"` measures only these functions, BITS=32 or
# BITS=64 only this type.
# Needs MPFR of the system: apt-get install libmpfr-dev.
ACCURACY := build/accuracy
BITS ?=
accuracy: $(VENV)/build-tools
	$(CMAKE) -S . -B $(ACCURACY) -G Ninja -DCNN_BUILD_TESTS=ON -DCNN_ACCURACY=ON -DCNN_WERROR=$(CNN_WERROR)
	$(CMAKE) --build $(ACCURACY) --target test_accuracy test_losses_32 test_losses_64
	$(ACCURACY)/tests/c/test_accuracy --all$(BITS) $(ARGS)
	$(if $(ARGS),,$(ACCURACY)/tests/c/test_losses_32 --all)
	$(if $(ARGS),,$(ACCURACY)/tests/c/test_losses_64 --all)

# The hashes of tests/c/reproduce with each instruction set, number of threads, split of the batches and
# state of the host, each with each; `make test-c` tries ten of these.
reproduce: $(VENV)/installed
	$(CMAKE) -S . -B $(BUILD) -DCNN_BUILD_TESTS=ON
	$(CMAKE) --build $(BUILD) --target reproduce
	$(BUILD)/tests/c/reproduce --all

# The examples of Dask run in `make test-distributed`.
test-python: $(VENV)/installed $(VENV)/test-tools $(VENV)/test-polars-tools
	$(RUN) -c 'import cnn; assert "site-packages" in cnn.__file__, cnn.__file__'
	$(RUN) -m pytest -n auto --dist worksteal --doctest-modules \
	    --ignore-glob="*/cnn/distributed/*dask*" --pyargs cnn tests

test-slow: $(VENV)/installed $(VENV)/test-tools
	$(RUN) -m pytest tests -m slow

# The tests of threads, arrays and training with a free-threaded Python, `make test-freethreaded
# PYTHON_FT=python3.13t`, in an environment of its own with the newest packages that have wheels for it.
PYTHON_FT ?= python3.14t
FREETHREADED := build/freethreaded
FREETHREADED_TESTS := $(addprefix tests/test_,free_threading.py threads.py fit.py arrays.py \
    bad_arrays.py bad_core_calls.py hostile.py interfaces.py derivatives.py shards.py streams.py \
    optimizers.py saving.py pickle.py)
test-freethreaded:
	@$(PYTHON_FT) -c 'import sys; sys.exit(getattr(sys, "_is_gil_enabled", lambda: True)())' || { \
	    echo "$(PYTHON_FT) is no Python without a GIL; give one by PYTHON_FT=python3.13t"; exit 1; }
	$(PYTHON_FT) -m venv $(FREETHREADED)
	PIP_ONLY_BINARY=hypothesis,numpy $(FREETHREADED)/bin/python -P -m pip --disable-pip-version-check --quiet \
	    install '.[test-freethreaded]'
	$(FREETHREADED)/bin/python -P -m pytest -n auto $(FREETHREADED_TESTS)

# Kills, signals, forks, threads beside training, and many calls: the long runs, about 20 minutes.
faults: $(VENV)/installed $(VENV)/test-tools
	$(RUN) -m pytest tests/faults -m "slow or not slow" --durations=0 $(ARGS)

# An hour of a service in three minutes, beside ONNX Runtime: `make load ARGS="--seconds 10"`.
load: $(VENV)/installed $(VENV)/test-tools
	$(RUN) benchmarks/load $(ARGS)

# The tests that need PyTorch, JAX, Keras or skl2onnx, in an environment that has them.
PEERS := build/peers
test-peers:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -P -m pip --disable-pip-version-check --quiet install '.[test,test-peers]'
	$(PEERS)/bin/python -P -m pytest tests/test_onnx.py tests/test_onnx_exporters.py \
	    tests/test_interop.py tests/test_peers.py tests/test_arrays.py tests/test_docs.py \
	    tests/test_streams.py

# Each kind of user against the wheel, in a fresh environment that has nothing else of cnn; QUICK=1
# leaves out slow tests.
DOWNSTREAM := build/downstream
IN_DOWNSTREAM := PATH="$(CURDIR)/$(DOWNSTREAM)/bin:$$PATH"
test-downstream: wheel
	$(PYTHON) -m venv --clear $(DOWNSTREAM)
	$(RUN) -c "$$REQUIREMENTS" downstream >$(DOWNSTREAM)/requirements.txt
	$(DOWNSTREAM)/bin/python -P -m pip --disable-pip-version-check --quiet install \
	    -r $(DOWNSTREAM)/requirements.txt dist/*.whl
	$(IN_DOWNSTREAM) python -P -m pytest tests/downstream tests/test_same_bits.py \
	    -m "downstream$(if $(QUICK), and not slow)"

# What runs on Dask, MPI, Ray and Spark, or on those that `make test-distributed ENGINES="dask mpi"`
# names, with the blocks of the pages on them; QUICK=1 leaves out these and slow tests. Spark needs a
# Java of the machine.
ENGINES ?= dask mpi ray spark
QUICK ?=
DISTRIBUTED := build/distributed
IN_DISTRIBUTED := CNN_ENGINES="$(ENGINES)" PATH="$(CURDIR)/$(DISTRIBUTED)/bin:$$PATH"
test-distributed: distributed-environment
	$(IN_DISTRIBUTED) python -P -m pytest tests/distributed \
	    -m "distributed$(if $(QUICK), and not slow)"
	$(if $(QUICK),,$(IN_DISTRIBUTED) python -P -m pytest tests/test_docs.py \
	    -m "slow or not slow" -k "test_document and engines")

# The notebooks of the gallery, which `make docs` makes.
test-gallery: $(VENV)/installed $(VENV)/docs-tools $(VENV)/test-tools
	@[ -d docs/gallery ] || $(MAKE) docs
	$(RUN) -m pytest -n auto tests/test_notebooks.py -m gallery

lint: $(VENV)/lint-tools $(VENV)/installed $(VENV)/test-tools
	$(IN) ruff check .
	$(IN) ruff format --check .
	find csrc tests benchmarks -name '*.[ch]' -print0 | $(IN) xargs -0 clang-format --dry-run -Werror
	$(IN) cython-lint cnn
	$(IN) codespell cnn csrc docs tests examples tools benchmarks/*.md .github *.md
	$(IN) zizmor --offline --quiet .github
	$(IN) repo-review .
	$(IN) mypy
	$(IN) python tools/check_c_floors.py
	$(IN) lint-imports --no-cache --no-logo
	$(IN) python tools/check_python_floors.py
	$(RUN) -m mypy.stubtest --mypy-config-file pyproject.toml \
	    --allowlist tests/stubtest-allowlist.txt --ignore-unused-allowlist cnn._core
	$(RUN) tools/check_types.py

# How cnn compares: `make bench ARGS="--quick --subjects predict --threads 1"`.
bench: $(BENCH_VENV)/installed
	$(BENCH_VENV)/bin/python benchmarks $(ARGS)

# Whether fixed runs still take as many instructions as benchmarks/guard/counts.json says.
bench-guard: $(VENV)/build-tools
	$(IN) python benchmarks/guard $(ARGS)

# Cycles of the innermost loops by llvm-mca's models of CPUs that are not at hand.
bench-ports: $(VENV)/build-tools
	$(IN) python -P benchmarks/ports --table benchmarks/ports/table.md $(ARGS)

# What a prediction costs through C, Cython, Numba, Python and a generated header.
bench-interfaces:
	@[ -d $(DOWNSTREAM) ] || $(MAKE) test-downstream
	$(IN_DOWNSTREAM) python -P benchmarks/interfaces

# How much faster a second MPI process trains, beside a second thread.
bench-distributed: ENGINES := mpi
bench-distributed: distributed-environment
	$(IN_DISTRIBUTED) python -P benchmarks/processes $(ARGS)

# How fast training from files is beside arrays in memory: `make bench-streaming ARGS="--folder F"`.
bench-streaming: $(VENV)/installed $(VENV)/test-polars-tools
	$(RUN) benchmarks/streaming $(ARGS)

# Networks for tables beside trees, in hours: `make bench-tabular ARGS="--output FOLDER"`. CNN_TABLES
# names the folder with california.csv.gz and adult.csv.gz.
bench-tabular: $(TABULAR_VENV)/installed
	$(TABULAR_VENV)/bin/python -P benchmarks/tabular $(ARGS)

# The site, with the gallery: build/docs/html/index.html. A warning is an error, and so is a link, an
# image or a title that is not as it should be.
docs: $(VENV)/installed $(VENV)/docs-tools
	$(RUN) tools/check_docstrings.py
	rm -rf build/docs $(SITE)
	$(RUN) -m sphinx -W --keep-going -T -b html -d build/docs/doctrees docs build/docs/html $(ARGS)
	$(RUN) tools/check_site.py build/docs/html

# The C tests under sanitizers. Nothing of cnn is suppressed, here and in the two that follow.
# QUICK=1: without those that take longest. sanitize-python and memcheck run on their own.
sanitize: sanitize-c

# Those that take longest, and look at numbers rather than at memory.
LONG_C_TESTS := reproduce|test_accuracy|test_losses|test_vmath|test_memory_faults

# AddressSanitizer with LeakSanitizer and UndefinedBehaviorSanitizer, then ThreadSanitizer. There, tests
# with many inputs, which need one thread, take one in 11 (check_every of tests/c/check.h). With QUICK=1 they
# do so with both, and those that take longest are neither built nor run.
sanitize-c: $(VENV)/build-tools
	for sanitizers in 'address;undefined' thread; do \
	    folder="build/sanitize-$${sanitizers%%;*}"; \
	    $(CMAKE) -S . -B "$$folder" -G Ninja -DCNN_BUILD_TESTS=ON \
	        "-DCNN_SANITIZE=$$sanitizers" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	        -DCNN_TEST_TIMEOUT=1200; \
	    $(CMAKE) --build "$$folder" $(if $(QUICK),--target $$($(CTEST) --test-dir "$$folder" -N \
	        -E '$(LONG_C_TESTS)' | sed -n 's/^ *Test *#[0-9]*: //p')); \
	    if [ "$$sanitizers" = thread ] || [ -n "$(QUICK)" ]; then export CNN_TEST_EVERY=11; fi; \
	    ASAN_OPTIONS=$(ASAN) TSAN_OPTIONS=allocator_may_return_null=1 \
	        $(CTEST) --test-dir "$$folder" $(if $(QUICK),-E '$(LONG_C_TESTS)'); \
	done

# Fuzzing: `make fuzz SECONDS=30 TARGETS="fuzz_json onnx"`, by default all. C needs clang with its runtime
# libraries (Debian: clang libclang-rt-14-dev, or of another version).
SECONDS := 30
TARGETS ?=
FUZZ := build/fuzz
fuzz: $(VENV)/installed $(VENV)/test-tools $(VENV)/test-polars-tools $(VENV)/fuzz-tools
	@mkdir -p $(FUZZ)
	@echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { return d && n < 0; }' | \
	    clang -x c -fsanitize=fuzzer,address,undefined -o $(FUZZ)/probe - 2>/dev/null || \
	    { echo "make fuzz needs clang with libFuzzer: apt-get install clang libclang-rt-dev"; exit 1; }
	CC=clang $(CMAKE) -S . -B $(FUZZ)/c -G Ninja -DCNN_FUZZERS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
	$(CMAKE) --build $(FUZZ)/c --target fuzz_json fuzz_calls fuzz_model_file fuzz_model_bytes
	$(RUN) tests/fuzz/run.py $(SECONDS) $(TARGETS)

# The C library and its tests for other systems, run in emulators, and the hash of reproduce:
# `make platforms ARGS="--quick aarch64 mingw"`. What is missing of a platform is named; on Debian,
#   apt-get install clang qemu-user musl-tools wine wine64 gcc-mingw-w64-x86-64-posix emscripten \
#       gcc-{aarch64,riscv64,s390x,powerpc64le}-linux-gnu
#   apt-get install libc6-dev-{arm64,riscv64,s390x,ppc64el}-cross
platforms: $(VENV)/build-tools $(VENV)/platforms-tools
	$(RUN) tools/run_platforms.py --table build/platforms.md $(ARGS)

# Memory that is used after its function returned, and strings that do not end, are errors too. An
# allocation that is too large gives NULL, as it does without the sanitizer.
ASAN := detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1

# The package built for AddressSanitizer and UndefinedBehaviorSanitizer, or for ThreadSanitizer.
SANITIZED := build/sanitize-python
$(SANITIZED)-%/installed: $(VENV)/build-tools $(SOURCES)
	rm -rf $(SANITIZED)-$*/site
	$(PIP) install --no-deps --target $(SANITIZED)-$*/site --no-build-isolation \
	    --config-settings=build-dir=$(SANITIZED)-$* --config-settings=install.strip=false \
	    --config-settings=cmake.build-type=RelWithDebInfo \
	    '--config-settings=cmake.define.CNN_SANITIZE=$(if $(filter address,$*),address;undefined,$*)' .
	touch $@

# $(call TEST_SANITIZED,address,library,variables,tests). The interpreter is not built with sanitizers, so
# their library is loaded before it; libstdc++ too, since exceptions of C++ are intercepted when the process
# begins. Leaks and races of interpreter and libraries are not ours to mend: reports go to files, and
# check_reports.py looks for those that have a frame of cnn.
define TEST_SANITIZED
	rm -rf $(SANITIZED)-$(1)/reports
	mkdir -p $(SANITIZED)-$(1)/reports
	run() { \
	    env LD_PRELOAD="$$(cc -print-file-name=lib$(2).so):$$(cc -print-file-name=libstdc++.so.6)" \
	        PYTHONPATH=$(CURDIR)/$(SANITIZED)-$(1)/site $(3) $(VENV)/bin/python -P "$$@"; \
	}; \
	run -c 'import cnn; assert "$(SANITIZED)-$(1)/site" in cnn.__file__, cnn.__file__'; \
	run -m pytest -p no:xdist -q --durations=10 $(4) $(ARGS)
	$(RUN) tools/check_reports.py $(SANITIZED)-$(1)/reports
endef
REPORTS := $(CURDIR)/$(SANITIZED)
sanitize-python: sanitize-python-address sanitize-python-thread

# Python's own allocator would hide what is used after it was freed.
ASAN_TESTS ?= $(addprefix tests/test_,fit.py functional.py arrays.py frames.py derivatives.py \
    shards.py files.py pickle.py bad_core_calls.py bad_arrays.py metadata.py layers.py)
sanitize-python-address: $(SANITIZED)-address/installed $(VENV)/test-tools
	$(call TEST_SANITIZED,address,asan,PYTHONMALLOC=malloc \
	    ASAN_OPTIONS=$(ASAN):log_path=$(REPORTS)-address/reports/report \
	    LSAN_OPTIONS=exitcode=0 UBSAN_OPTIONS=print_stacktrace=1,$(ASAN_TESTS))

# A process of threads may fork, and the child goes on. polars ends with an error under this sanitizer, so
# tests that import it are not here.
TSAN_TESTS ?= $(addprefix tests/test_,threads.py free_threading.py shards.py distributed.py) \
    $(addprefix tests/faults/test_,beside_training.py long_service.py)
sanitize-python-thread: $(SANITIZED)-thread/installed $(VENV)/test-tools
	$(call TEST_SANITIZED,thread,tsan,\
	    TSAN_OPTIONS=allocator_may_return_null=1:exitcode=0:die_after_fork=0:history_size=4:log_path=$(REPORTS)-thread/reports/report,\
	    $(TSAN_TESTS))

# The C tests under valgrind, which has no AVX-512: the tests of those kernels skip. Memory that may
# be lost is not an error: the stacks of threads that live to the end look so. Tests with many inputs
# take one in EVERY, an odd number (check_every of tests/c/check.h).
EVERY ?= 51
memcheck: $(VENV)/build-tools
	@command -v valgrind >/dev/null || { echo "make memcheck needs valgrind: apt-get install valgrind"; exit 1; }
	$(CMAKE) -S . -B build/memcheck -G Ninja -DCNN_BUILD_TESTS=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	    -DCNN_TEST_TIMEOUT=3600 \
	    "-DCMAKE_TEST_LAUNCHER=valgrind;--quiet;--error-exitcode=1;--leak-check=full;--errors-for-leak-kinds=definite;--fair-sched=yes"
	@grep -q valgrind build/memcheck/tests/c/CTestTestfile.cmake || { \
	    echo "make memcheck needs CMake 3.29, which runs tests by a launcher"; exit 1; }
	$(CMAKE) --build build/memcheck
	CNN_TEST_MEMORY_ONLY=1 CNN_TEST_EVERY=$(EVERY) \
	    $(CTEST) --test-dir build/memcheck $(if $(QUICK),-E '$(LONG_C_TESTS)')

# gcc -fanalyzer, clang-tidy and cppcheck: `make analyze ARGS=cppcheck` runs one of them.
analyze: $(VENV)/build-tools $(VENV)/analyze-tools
	$(CMAKE) -S . -B build/analyze -G Ninja -DCMAKE_EXPORT_COMPILE_COMMANDS=ON
	$(IN) python tools/analyze.py build/analyze $(ARGS)

# Evidence for the promises of cnn, in half an hour of two cores: docs/trust.md. The table is in
# build/trust.md. What it needs of Debian: clang, libmpfr-dev, and what `platforms` and `fuzz` name.
trust: $(VENV)/installed $(VENV)/test-tools $(VENV)/build-tools
	$(RUN) tools/trust.py $(ARGS)

wheel: $(WHEEL)/made $(VENV)/lint-tools
	rm -rf dist
	mkdir dist
	cp $(WHEEL)/*.whl dist
	@for wheel in dist/*.whl; do \
	    size=$$(stat -c %s "$$wheel" 2>/dev/null || stat -f %z "$$wheel"); \
	    echo "$$wheel: $$size bytes"; \
	    [ "$$size" -lt 1480000 ] || { echo "the wheel should be smaller than 1.48 MB"; exit 1; }; \
	done
	$(IN) check-wheel-contents dist/*.whl
	@[ "$$(uname)" != Linux ] || $(RUN) tools/check_wheel_tag.py dist/*.whl

# What is known to be vulnerable of what `pip install` brings with the extras of AUDITED, and a list of it
# all in the format of CycloneDX beside the wheel. It asks PyPI itself: a mirror does not know.
AUDIT := build/audit
AUDITED := sklearn,onnx,plot,data,table,parquet,dask,mpi
audit: wheel $(VENV)/audit-tools
	$(PYTHON) -m venv --clear $(AUDIT)
	$(AUDIT)/bin/python -P -m pip --disable-pip-version-check --quiet install \
	    "$$(echo dist/*.whl)[$(AUDITED)]"
	$(IN) cyclonedx-py environment --output-reproducible --output-file dist/cnn.cdx.json \
	    $(AUDIT)/bin/python
	$(AUDIT)/bin/python -P -m pip --disable-pip-version-check freeze --exclude cnn >$(AUDIT)/installed.txt
	$(IN) pip-audit --strict --no-deps --disable-pip --requirement $(AUDIT)/installed.txt

clean:
	rm -rf $(VENV) build dist $(SITE) .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find benchmarks cnn docs examples tests tools -name __pycache__ -prune -exec rm -rf {} +

# What the targets need. -----------------------------------------------------------------------

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cnn needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	touch $@

# The lists of packages are pyproject.toml's.
define REQUIREMENTS
import sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))
extras = project["project"]["optional-dependencies"]
extras["build"] = project["build-system"]["requires"] + ["cmake>=3.26", "ninja>=1.11"]
print("\n".join(extras[sys.argv[1]]))
endef
export REQUIREMENTS

$(VENV)/%-tools: $(VENV)/created pyproject.toml
	$(RUN) -c "$$REQUIREMENTS" $* >$@.txt
	$(PIP) install -r $@.txt
	mkdir -p build
	touch $@

# Some lists include those of cnn's own extras, so cnn comes first.
$(VENV)/docs-tools $(VENV)/test-tools $(VENV)/test-polars-tools: | $(VENV)/installed
# Not at the same time in one environment, with `make -j`.
$(VENV)/test-polars-tools: | $(VENV)/test-tools

# With the build tools in .venv rather than in an environment that pip makes for each build, a
# second build in the same folder compiles only what has changed.
BUILD_OPTIONS := --no-build-isolation --config-settings=build-dir=$(BUILD) \
    --config-settings=cmake.define.CNN_WERROR=$(CNN_WERROR) \
    --config-settings=cmake.define.CNN_BUILD_TESTS=OFF
$(VENV)/installed: $(VENV)/build-tools $(SOURCES)
	$(PIP) install $(BUILD_OPTIONS) .
	touch $@

# Only one build at a time may use the folder.
$(WHEEL)/made: $(VENV)/installed
	rm -rf $(@D)
	$(PIP) wheel --no-deps --wheel-dir $(@D) $(BUILD_OPTIONS) .
	touch $@

# The engines that ENGINES names, with the wheel of now.
.PHONY: distributed-environment
distributed-environment: $(WHEEL)/made
	$(PYTHON) -m venv $(DISTRIBUTED)
	$(DISTRIBUTED)/bin/python -P -m pip --disable-pip-version-check --quiet uninstall --yes cnn
	extras=$$(echo test-distributed $(ENGINES) | tr ' ' ,); \
	    $(DISTRIBUTED)/bin/python -P -m pip --disable-pip-version-check --quiet install \
	        "$$(echo $(WHEEL)/*.whl)[$$extras]"

# The benchmarks' peers are large, so they have environments of their own.
$(BENCH_VENV)/installed: benchmarks/requirements.txt
$(TABULAR_VENV)/installed: benchmarks/tabular/requirements.txt
$(BENCH_VENV)/installed $(TABULAR_VENV)/installed: $(SOURCES)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -P -m pip --disable-pip-version-check --quiet install \
	    -r $(filter %requirements.txt,$^) .
	touch $@
