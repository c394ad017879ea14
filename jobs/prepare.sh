# Sourced by the scripts of this folder that train: installs what is missing, builds, and packs the
# images of CHEST_XRAY if it is given and they are not packed yet. Leaves the shell in the checkout,
# and in `ranks` the command that starts the program on every core.
data=${CHEST_XRAY:+$(realpath "$CHEST_XRAY")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
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
# There cannot be more ranks than a batch has lanes (8); with more cores, each takes more threads.
if (($(nproc) <= 8)); then
    ranks=(mpirun --oversubscribe -np "$(nproc)" build/pneumo-dist)
else
    ranks=(mpirun --oversubscribe --bind-to none -np 8 build/pneumo-dist)
fi
