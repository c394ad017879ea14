#!/usr/bin/env bash
# Trains every job of this folder on all cores, one after the other, and compares them. If stopped, it
# saves; if started again, it continues there and skips finished runs.
#
# CHEST_XRAY=DIR ./jobs/all.sh   on a folder in the layout of the public data set
# ./jobs/all.sh                  on the packed data/chest_xray.h5
# More arguments are passed to every training: ./jobs/all.sh --seed 2
set -euo pipefail
. "$(dirname "$0")/prepare.sh"

runs=()
for job in jobs/*.ini; do
    run=runs/$(basename "$job" .ini)
    weights=$(sed -n 's/^weights = //p' "$job")
    if [[ -n $weights && ! -e $weights && ! -e $run ]]; then
        echo "left out: $job starts from $weights, which does not exist: its comment says how to get it" >&2
        continue
    fi
    runs+=("$run")
    # A run writes its report last.
    [[ -f $run/report.json ]] || "${ranks[@]}" train "$job" --run "$run" --resume "$@"
done
build/pneumo-dist compare "${runs[@]}" --csv runs/compare.csv --html runs/compare.html
