# Thin targets over meson; ./dev installs what they need and calls them.
# Every NAME=value given on the command line reaches the tools as environment.

EXERCISES = test-cluster test-read-intensity test-write-intensity \
	test-mixed-workload test-recovery test-failover

.PHONY: build run cluster test $(EXERCISES) sim sim-mutants fuzz bench bench-cluster tidy format clean

build:
	@tools/build

run:
	@tools/build release atoll
	@exec build/atoll serve $(ARGS)

cluster:
	@exec tools/cluster

test:
	@tools/test_all

$(EXERCISES):
	@tools/build release atoll
	@tools/exercise $(@:test-%=%)

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
