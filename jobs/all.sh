#!/usr/bin/env bash
# Trains every job of this folder, one after the other on every core, and compares them. Stopped, it
# saves; started again, it goes on there and leaves finished runs as they are.
#
# CHEST_XRAY=DIR ./jobs/all.sh   on a folder in the layout of the public data set
# ./jobs/all.sh                  on data/chest_xray.h5, packed before
# More arguments go to every training: ./jobs/all.sh --seed 2
set -euo pipefail
. "$(dirname "$0")/prepare.sh"

runs=()
for job in jobs/*.ini; do
    run=runs/$(basename "$job" .ini)
    runs+=("$run")
    # A run's report is the last thing that it writes.
    [[ -f $run/report.json ]] || "${ranks[@]}" train "$job" --run "$run" --resume "$@"
done
build/pneumo-dist compare "${runs[@]}" --csv runs/compare.csv --html runs/compare.html
