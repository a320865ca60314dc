#!/bin/sh
# rocksdb.sh [NUM] [ROUNDS] : engine_bench and RocksDB's db_bench (Debian: rocksdb-tools) with the
# same options on the same disk, one after the other, A B A B; prints operations a second side by side.
# Debian builds db_bench with assertions on, which it says itself and is repeated below: a RocksDB
# built for speed is faster than these figures, so they bound it from below only.
# Another build is named by DB_BENCH. DIR, READS, CACHE_MB, MEMTABLE_MB, WRITE_RATE and COMPRESSION may
# be set in the environment.
set -eu
cd "$(dirname "$0")/.."
num=${1:-10000000}
rounds=${2:-2}
reads=${READS:-$num}
dir=${DIR:-$(mktemp -d)}
cache_mb=${CACHE_MB:-1024}
rate=${WRITE_RATE:-10000}
compression=${COMPRESSION:-lz4}
memtable_mb=${MEMTABLE_MB:-64}
engine=${ENGINE_BENCH:-build/engine_bench}
db_bench=${DB_BENCH:-$(command -v db_bench || echo /usr/bin/db_bench)}
[ -x "$engine" ] || { echo "rocksdb.sh: no $engine; run ./dev build" >&2; exit 2; }
[ -x "$db_bench" ] || { echo "rocksdb.sh: no db_bench; install rocksdb-tools" >&2; exit 2; }
out=$(mktemp -d)
trap 'rm -rf "$out" "$dir/engine" "$dir/rocksdb"' EXIT

run_engine() {
    rm -rf "$dir/engine"
    "$engine" --dir "$dir/engine" --num "$num" --reads "$reads" --cache-mb "$cache_mb" --memtable-mb "$memtable_mb" \
        --compression "$compression" --bottom "$compression" --sync never --write-rate "$rate" \
        --bench fillrandom,settle,readrandom,seekrandom,readwhilewriting,overwrite
}

# What each bench of db_bench needs of its own: it has one set of flags a run.
run_rocksdb_part() {
    "$db_bench" --db="$dir/rocksdb" --num="$num" --reads="$reads" --key_size=16 --value_size=100 \
        --threads=1 --compression_type="$compression" --compression_ratio=0.5 \
        --cache_size=$((cache_mb << 20)) --block_size=4096 --bloom_bits=10 \
        --write_buffer_size=$((memtable_mb << 20)) --max_write_buffer_number=3 --target_file_size_base=33554432 \
        --max_bytes_for_level_base=268435456 --level_compaction_dynamic_level_bytes=true \
        --level0_file_num_compaction_trigger=4 --level0_slowdown_writes_trigger=12 \
        --level0_stop_writes_trigger=24 --max_background_jobs=2 --disable_wal=false --sync=false \
        --cache_index_and_filter_blocks=false --open_files=-1 --statistics=false --histogram=true "$@" 2>&1
}

run_rocksdb() {
    rm -rf "$dir/rocksdb"
    run_rocksdb_part --benchmarks=fillrandom,waitforcompaction
    run_rocksdb_part --use_existing_db=true --benchmarks=readrandom,seekrandom
    run_rocksdb_part --use_existing_db=true --benchmark_write_rate_limit=$((rate * 116)) \
        --benchmarks=readwhilewriting
    run_rocksdb_part --use_existing_db=true --benchmarks=overwrite
}

round=0
while [ "$round" -lt "$rounds" ]; do
    round=$((round + 1))
    run_engine >"$out/engine.$round"
    run_rocksdb >"$out/rocksdb.$round"
done

echo "operations a second, $num keys, each run in turn"
printf '%-18s %-9s' bench store
for i in $(seq "$rounds"); do printf ' %10s' "run $i"; done
echo
for bench in fillrandom readrandom seekrandom readwhilewriting overwrite; do
    for store in engine rocksdb; do
        printf '%-18s %-9s' "$bench" "$store"
        for i in $(seq "$rounds"); do
            printf ' %10s' "$(sed -n "s|^$bench  *:* *.* \([0-9][0-9]*\) ops/s.*|\1|p" "$out/$store.$i" | head -1)"
        done
        echo
    done
done
cat "$out"/engine.* | grep '^tables' || true
cat "$out"/rocksdb.* | grep '^WARNING' | sort -u || true
