# Ranks with different jobs or checkpoints, and a rank that fails alone: all ranks end, with a message.
# If one rank cannot read its checkpoint, all continue from the previous one.
set -euo pipefail

program=$PNEUMO_BUILD/tests/test_train_train
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"
export OMP_NUM_THREADS=1

fail() {
    cat log
    echo "FAILED: $1"
    exit 1
}

# expect CODE MESSAGE MODE: runs two ranks in that mode; checks exit code and message.
expect() {
    local code=0
    mpirun --oversubscribe --timeout 100 -np 2 "$program" "$3" >log 2>&1 || code=$?
    [ $code -eq "$1" ] || fail "$3: exit code $code, not $1"
    grep -q "$2" log || fail "$3: no message '$2'"
}

expect 3 "rank 1 on .*: it starts with 'seed = 1' but rank 0 with 'seed = 0'" job
expect 3 "rank 1 on .*: it starts with 'step [0-9]*' but rank 0 with 'step [1-9]" older
expect 3 "rank 1 on .*: train-train/elsewhere/last.h5: cannot open: No such file" none
damaged="rank 1 on .*: train-train/elsewhere/last.h5: is damaged or cut short"
before="continuing from the previous checkpoint, train-train/run/previous.h5"
expect 0 "warning: $damaged; .*: $before$" fallback
expect 1 "error: rank 0 on .*: train-train/data.h5: " alone
expect 3 "rank 1 on .*: this rank's .* differ from those of rank 0 on " odd
