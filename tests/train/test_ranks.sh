# Ranks that would train different things, and a rank that fails where no other can know of it: all
# end, with a message, and nobody waits for ever.
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

# expect CODE MESSAGE MODE: what two ranks in that mode must end with.
expect() {
    local code=0
    mpirun --oversubscribe --timeout 60 -np 2 "$program" "$3" >log 2>&1 || code=$?
    [ $code -eq "$1" ] || fail "$3: exit code $code, not $1"
    grep -q "$2" log || fail "$3: no message '$2'"
}

expect 3 "rank 1 on .*: it starts with 'seed = 1' but rank 0 with 'seed = 0'" job
expect 3 "rank 1 on .*: it starts with 'step 0' but rank 0 with 'step [1-9]" start
expect 1 "error: rank 0 on .*: another reduction is in flight" alone
