#!/usr/bin/env bash
# From nothing to a trained, evaluated model: installs what is missing, builds, packs, trains the
# default job on every core, ends with the evaluation.
#
# CHEST_XRAY=DIR ./jobs/quickstart.sh   on a folder in the layout of the public data set
# ./jobs/quickstart.sh                  on synthetic phantoms
# More arguments go to the program: ./jobs/quickstart.sh --seed 2 --run runs/seed-2
set -euo pipefail
. "$(dirname "$0")/prepare.sh"
exec "${ranks[@]}" --resume "$@"
