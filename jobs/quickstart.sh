#!/usr/bin/env bash
# From an empty machine to an evaluated model: installs what is missing, builds, packs, trains the
# default job on all cores, and evaluates it.
#
# CHEST_XRAY=DIR ./jobs/quickstart.sh   on a folder in the layout of the public data set
# ./jobs/quickstart.sh                  on synthetic phantoms
# More arguments are passed to the program: ./jobs/quickstart.sh --seed 2 --run runs/seed-2
set -euo pipefail
. "$(dirname "$0")/prepare.sh"
# Continues what an earlier start began: the run that --run names, or with CHEST_XRAY the default run on those
# images, if it has a checkpoint; else any default run, if that came as far as packed images.
resume=()
run=
words=("$@")
for i in "${!words[@]}"; do
    case ${words[i]} in
    --run | -r) run=${words[i + 1]-} ;;
    --run=*) run=${words[i]#--run=} ;;
    -r*) run=${words[i]#-r} ;;
    esac
done
[[ -n $run || -z $data ]] || run=runs/cnn-deep
if [[ -n $run ]]; then
    [[ ! -e $run/last.h5 && ! -e $run/previous.h5 ]] || resume=(--resume)
elif [[ -e data/chest_xray.h5 || -e data/phantoms.h5 ]]; then
    resume=(--resume)
fi
exec "${ranks[@]}" "${resume[@]}" "$@"
