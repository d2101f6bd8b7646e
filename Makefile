# make demo, make test: each sets up all it needs, from pinned versions, in a clean clone and again after it.
ROOT := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
VENV := $(ROOT).venv
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12,$(shell command -v $(p) 2>/dev/null)))
RUN := cd "$(ROOT)" && "$(VENV)/bin/python"
STAMP := $(VENV)/.installed
OUT ?= $(ROOT)out

.PHONY: help setup system demo check test test-slow test-flink test-browser bench bench-docs bench-camera bench-stereo bench-library bench-backfill bench-flink bench-networks showcase lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       animate the sample photos into out/"
	@echo "make test       all quick tests"
	@echo "make check      style, types and the tests of the parts, with their coverage"
	@echo "make test-slow  the tests that take minutes"
	@echo "make test-flink a Flink cluster that loses a task manager; needs java and mvn, fetches 400 MB once"
	@echo "make test-browser  the review page in Chromium, which apt installs where it may"
	@echo "make bench      CPU seconds of each stage for one photo"
	@echo "make bench-docs    the same, how it grows, and docs/performance.md with its plot"
	@echo "make bench-camera PHOTOS=folder   the camera search against presets, on photos of yours"
	@echo "make bench-stereo   the left photo of real stereo pairs seen from the right camera, against the right photo"
	@echo "make bench-library  two thousand photos through the command, on one and on two processes (half an hour)"
	@echo "make bench-backfill a million names joined with a million records"
	@echo "make bench-flink    photos a minute on one and on two task managers, bytes shuffled, recovery"
	@echo "make bench-networks DATA=folder   the networks on the development sets, see models/README.md"
	@echo "make clean      remove .venv and out"

# What pip cannot bring: a GL driver. Asked of the loader, not of the package manager, so that any Linux will do.
system:
	@sh "$(ROOT)install-system.sh"

$(STAMP): $(ROOT)requirements.lock $(ROOT)setup.py
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: install it, or name it with make PYTHON=/path/to/python."; exit 1; }
	@"$(PYTHON)" -m venv "$(VENV)" || { echo "Python cannot make a virtual environment: on Debian, apt-get install python3-venv."; exit 1; }
	@echo "installing pinned packages into .venv (once, about 1 GB) ..."
	@"$(VENV)/bin/pip" install --quiet --disable-pip-version-check --requirement "$(ROOT)requirements.lock"
	@"$(VENV)/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable "$(ROOT)"
	@touch "$@"

setup: system $(STAMP)

# Needs no GL driver: the CPU draws.
demo: $(STAMP)
	@$(RUN) -m beam_pipeline.samples "$(OUT)/samples" > /dev/null
	@"$(VENV)/bin/cinematic-photos" run --input "$(OUT)/samples" --output "$(OUT)/demo"
	@"$(VENV)/bin/cinematic-photos" review "$(OUT)/demo"

# Two at a time, a file's tests together, for what they share: each holds the networks, so that more cores would want more memory.
test: setup
	@$(RUN) -m pytest -n 2 --dist loadfile -m "not slow and not flink and not browser"

# What a commit should pass; `make test` goes through the command as well.
check: setup
	@$(RUN) -m ruff check . && $(VENV)/bin/ruff format --check --quiet . && $(VENV)/bin/mypy && \
		$(VENV)/bin/python -m pytest -m "not slow and not command and not flink and not browser" -q --cov --cov-report=term:skip-covered --cov-fail-under=70

test-browser: setup
	@sh "$(ROOT)install-browser.sh"
	@$(RUN) -m pytest -m browser

test-slow: setup
	@$(RUN) -m pytest -m slow

test-flink: setup
	@$(RUN) -m pytest -m flink

bench: setup
	@$(RUN) -m benchmarks.one_photo

bench-docs: setup
	@$(RUN) -m benchmarks.one_photo --docs docs

bench-camera: setup
	@test -n "$(PHOTOS)" || { echo "Say which photos: make bench-camera PHOTOS=\"folder other/*.jpg\"."; exit 1; }
	@$(RUN) -m benchmarks.camera $(PHOTOS) --output "$(OUT)/camera"

bench-stereo: setup
	@$(RUN) -m benchmarks.stereo $(PHOTOS)

bench-library: setup
	@$(RUN) -m benchmarks.library $(LIBRARY)

bench-backfill: setup
	@$(RUN) -m benchmarks.backfill $(NAMES)

bench-flink: setup
	@$(RUN) -m benchmarks.flink $(LIBRARY)

# The moving picture at the top of the README.
showcase: setup
	@$(RUN) -m benchmarks.showcase

bench-networks: setup
	@test -n "$(DATA)" || { echo "Say where the development sets are: make bench-networks DATA=folder (models/README.md names them)."; exit 1; }
	@$(RUN) -m models.evaluate --data "$(abspath $(DATA))" --output "$(OUT)/networks" $(PREDICTIONS)

# Moves every pin to the newest version that setup.py allows.
lock: setup
	@"$(VENV)/bin/pip" install --quiet uv
	@cd "$(ROOT)" && "$(VENV)/bin/uv" pip compile --quiet --universal --python-version 3.11 setup.py --extra test --constraint constraints.txt \
		--no-annotate --custom-compile-command "make lock" --upgrade --output-file requirements.lock
	@cd "$(ROOT)" && echo "# What tensorflow[and-cuda] adds to requirements.lock, for the image of GPU workers; made by make lock" > requirements-gpu.lock \
		&& echo "tensorflow[and-cuda]" | "$(VENV)/bin/uv" pip compile --quiet --universal --python-version 3.11 - --constraint requirements.lock \
		--no-annotate --no-header | grep ^nvidia >> requirements-gpu.lock

clean:
	@rm -rf "$(VENV)" "$(OUT)"
