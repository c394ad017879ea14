# Sourced by the scripts of this folder that train: installs what is missing, builds, and packs the
# images of CHEST_XRAY if it is set and they are not packed yet. Leaves the shell in the checkout, and
# sets `ranks` to the command that starts the program on all cores.
data=${CHEST_XRAY:+$(realpath "$CHEST_XRAY")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./jobs/install.sh

cmake -S . -B build -G Ninja >/dev/null
cmake --build build --target pneumo-dist

if [[ -n $data && -f data/chest_xray.h5 ]]; then
    echo "data/chest_xray.h5 is used as it is; remove it to pack $data" >&2
elif [[ -n $data ]]; then
    build/pneumo-dist pack "$data" -o data/chest_xray.h5
fi

# Lets root, in a container, start ranks.
if ((EUID == 0)); then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# At most one rank per lane of a batch (8); with more cores, each rank gets more threads.
if (($(nproc) <= 8)); then
    ranks=(mpirun --oversubscribe -np "$(nproc)" build/pneumo-dist)
else
    ranks=(mpirun --oversubscribe --bind-to none -np 8 build/pneumo-dist)
fi
