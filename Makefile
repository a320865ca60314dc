# Thin targets over meson; ./dev installs what they need and calls them.
# Every NAME=value given on the command line reaches the tools as environment.

.PHONY: build run cluster test sim sim-mutants fuzz bench bench-cluster tidy format clean

build:
	@tools/build

run:
	@tools/build release atoll
	@exec build/atoll serve $(ARGS)

cluster:
	@exec tools/cluster

test:
	@tools/test_all

sim:
	@tools/sim

sim-mutants:
	@tools/sim mutants

fuzz:
	@tools/fuzz

bench:
	@tools/bench

bench-cluster:
	@tools/build release atoll
	@exec bench/cluster.py $(ARGS)

tidy:
	@tools/tidy

format:
	@tools/tidy --format

clean:
	@rm -rf build build-*
