#!/usr/bin/env bash
# From an empty machine to an evaluated model: installs what is missing, builds, packs, trains the
# default job on all cores, and evaluates it.
#
# CHEST_XRAY=DIR ./jobs/quickstart.sh   on a folder in the layout of the public data set
# ./jobs/quickstart.sh                  on synthetic phantoms
# More arguments are passed to the program: ./jobs/quickstart.sh --seed 2 --run runs/seed-2
set -euo pipefail
. "$(dirname "$0")/prepare.sh"
# Continues what an earlier start began, if it came as far as packed images.
resume=()
if [[ -e data/chest_xray.h5 || -e data/phantoms.h5 ]]; then
    resume=(--resume)
fi
exec "${ranks[@]}" "${resume[@]}" "$@"
