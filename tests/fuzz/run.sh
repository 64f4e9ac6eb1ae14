#!/bin/sh
# run.sh SECONDS TARGET...: runs each libFuzzer target that long on its corpus (tests/fuzz/NAME, fresh
# finds go to build/fuzz/corpus). A finding stops everything, with its input kept in build/fuzz.
set -eu

seconds=$1
shift
top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
[ $# -gt 0 ] || { echo "fuzz: there are no targets"; exit 1; }

for target in "$@"; do
    name=${target#fuzz_}
    fresh=build/fuzz/corpus/$name
    mkdir -p "$fresh"
    seeds=
    [ -d "tests/fuzz/$name" ] && seeds=tests/fuzz/$name
    log=build/fuzz/$target.log
    # shellcheck disable=SC2086 # no seeds is no argument
    if ! "build/fuzz/tests/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/$target-" "$fresh" $seeds >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz: $target has a finding, see $log"
        exit 1
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$target: ${runs:-?} runs in ${seconds} s, $(find "$fresh" -type f | wc -l) inputs in the corpus, no finding"
done
