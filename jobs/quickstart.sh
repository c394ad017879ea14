#!/usr/bin/env bash
# From nothing to a trained, evaluated model: installs what is missing, builds, packs, trains the
# default job on every core, ends with the evaluation.
#
# CHEST_XRAY=DIR ./jobs/quickstart.sh   on a folder in the layout of the public data set
# ./jobs/quickstart.sh                  on synthetic phantoms
# More arguments go to the program: ./jobs/quickstart.sh --seed 2 --run runs/seed-2
set -euo pipefail

data=${CHEST_XRAY:+$(realpath "$CHEST_XRAY")}
cd "$(dirname "$0")/.."
./jobs/install.sh

cmake -S . -B build -G Ninja >/dev/null
cmake --build build --target pneumo-dist

if [[ -n $data ]]; then
    [[ -f data/chest_xray.h5 ]] || build/pneumo-dist pack "$data" -o data/chest_xray.h5
fi

# Root in a container may start ranks too.
if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
exec mpirun --oversubscribe -np "$(nproc)" build/pneumo-dist --resume "$@"
