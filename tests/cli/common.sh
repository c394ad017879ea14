# Sourced by the scripts in this folder: creates a working folder, and defines short names.
set -euo pipefail
: "${PNEUMO_DIST:?the program}" "${PNEUMO_SOURCE:?the checkout}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Ranks share cores here: a waiting rank must yield its core.
export OMP_WAIT_POLICY=passive OMPI_MCA_mpi_yield_when_idle=1
unset OMP_NUM_THREADS
sanitized=${PNEUMO_SANITIZE:-0}
# Numbers of ranks that must give the bits of one rank.
rank_counts=(2 3 5 8)

here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"

pneumo() { "$PNEUMO_DIST" "$@"; }

# ranks N ARGUMENT...: runs the program on N ranks.
ranks() {
    local count=$1
    shift
    mpirun --oversubscribe --bind-to none -np "$count" "$PNEUMO_DIST" "$@"
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

milliseconds() { echo $(($(date +%s%N) / 1000000)); }

# Sleeps for $1 milliseconds.
pause() { sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"; }

# Lists the processes of the program in the working folder.
ours() {
    local pid
    for pid in $(pgrep -x "$(basename "$PNEUMO_DIST" | cut -c1-15)" || true); do
        [[ $(readlink "/proc/$pid/cwd" 2>/dev/null) == "$here" ]] && echo "$pid"
    done
    return 0
}

# Packs a few small phantoms into ./data.h5.
make_data() {
    pneumo synth phantoms --images "${1:-240}" --seed 3 2>/dev/null
    pneumo pack phantoms -o data.h5 --size 32 >/dev/null 2>&1
}

# Writes a job with every feature whose result could depend on the ranks: dropout, augmentation,
# batch normalisation over the whole batch, sampling by shape, a moving average. Takes seconds.
write_small_job() {
    cat >small.ini <<'INI'
[data]
file = data.h5
size = 32
balance = shape
[model]
name = cnn-deep
width = 0.3
dropout = 0.2
[train]
epochs = 3
epoch_images = 160
batch = 32
lanes = 8
optimizer = adamw
learning_rate = 2e-3
schedule = onecycle
ema = 0.9
clip_norm = 5
[regularise]
l2 = 1e-4
weight_decay = 0.01
label_smoothing = 0.05
[augment]
crop_min = 0.5
flip = yes
rotate = 10
translate = 0.05
brightness = 0.1
contrast = 0.1
INI
}
