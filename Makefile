# Thin door to the build: `make demo` and `make test` need nothing set up before them.
# Meson does the building (build/NAME); tools/setup installs what is missing.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: all build demo test test-full test-torch test-free-threaded docs bench profiles install check format setup clean

all: build

build:
	@tools/setup build
	@tools/run_tests --compile --build release

demo:
	@tools/setup demo
	@tools/run_tests --compile --build release --build python
	@.venv/bin/python tools/demo.py build/release build/python

test:
	@tools/setup test
	@tools/run_tests quick

test-full:
	@tools/setup test check
	@tools/run_tests full

test-torch:
	@tools/setup torch
	@.cache/torch/bin/python -m pip --disable-pip-version-check --quiet install --force-reinstall --no-deps .
	@.cache/torch/bin/python -m pytest -q tests/python/test_torch.py

FREE_THREADED := .cache/python-free-threaded/bin/python3.13t
FREE_THREADED_TESTS := $(addprefix tests/python/,test_model.py test_future.py test_stream.py scenarios)

# The first run fills the folder of models for the second, whose interpreter has no package onnx: tests
# that make their models by raddle.ops are left out there.
WITHOUT_ONNX := not flat_buffer and not every_data_type and not bfloat16
test-free-threaded: export RADDLE_TEST_CASES := $(CURDIR)/build/cases
test-free-threaded:
	@tools/setup free_threaded
	@tools/run_tests --compile --build python
	@$(FREE_THREADED) -m pip --disable-pip-version-check --quiet install --root-user-action=ignore --force-reinstall --no-deps \
		-Csetup-args=-Dpython.allow_limited_api=false .
	@PYTHONPATH=$(CURDIR)/build/python/python .venv/bin/python -m pytest -q $(FREE_THREADED_TESTS)
	@$(FREE_THREADED) -m pytest -q -k "$(WITHOUT_ONNX)" $(FREE_THREADED_TESTS)

docs:
	@tools/setup docs
	@tools/run_tests --compile --build python
	@tools/make_docs build/python

bench:
	@tools/setup bench
	@tools/run_tests --compile --build bench
	@.venv/bin/python bench/bench.py build/bench

profiles:
	@tools/setup demo
	@tools/run_tests --compile --build release
	@.venv/bin/python bench/profiles.py build/release --docs docs/profiles.md

install:
	@tools/setup build
	@tools/run_tests --compile --build release
	@meson configure build/release -Dprefix="$(abspath $(PREFIX))"
	@DESTDIR="$(DESTDIR)" meson install -C build/release

check:
	@tools/setup check
	@tools/check

format:
	@tools/setup check
	@tools/check --write format

setup:
	@tools/setup test

clean:
	rm -rf build
