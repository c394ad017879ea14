# Runs the communicator's tests at several numbers of ranks, and checks that MPI is not started
# where the environment only looks like MPI.
set -euo pipefail

program=$PNEUMO_BUILD/tests/test_comm_comm
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# More processes than cores: one thread each.
export OMP_NUM_THREADS=1

fail() {
    cat "$log"
    echo "FAILED: $1"
    exit 1
}

for ranks in 1 2 3 5 8; do
    PNEUMO_TEST_RANKS=$ranks mpirun --oversubscribe --timeout 100 -np $ranks \
        "$program" >"$log" 2>&1 || fail "$ranks ranks"
done

# MPI cannot start with a transport that does not exist, so these pass only if it is not started.
export OMPI_MCA_pml=none_such
"$program" >"$log" 2>&1 || fail "no launcher"
SLURM_PROCID=0 SLURM_NTASKS=4 "$program" >"$log" 2>&1 || fail "a SLURM batch script without MPI"
SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 "$program" abort >"$log" 2>&1 && fail "no abort"
grep -q "srun started 4 tasks without MPI" "$log" || fail "no warning about srun without MPI"
unset OMPI_MCA_pml

# An abort ends the ranks that wait, and its code is the launcher's.
for launcher in "" "mpirun --oversubscribe --timeout 100 -np 3"; do
    code=0
    $launcher "$program" abort >"$log" 2>&1 || code=$?
    [ $code -eq 42 ] || fail "abort under '$launcher' gave exit code $code, not 42"
done

# miss HOW CODE MESSAGE: what ranks that wait for the last one end with, in a few seconds and once.
miss() {
    code=0
    local begin=$SECONDS
    mpirun --oversubscribe --timeout 100 -np 3 "$program" "$1" >"$log" 2>&1 || code=$?
    [ $code -eq "$2" ] || fail "$1: exit code $code, not $2"
    [ $((SECONDS - begin)) -lt 30 ] || fail "$1: it took $((SECONDS - begin)) s"
    [ "$(grep -c "pneumo-dist: " "$log")" -eq 1 ] || fail "$1: not one message"
    grep -q "$3" "$log" || fail "$1: no message '$3'"
}

# The watchdog: a rank that has stopped, ranks that wait for each other, and one that only works.
miss away 1 "rank 0 on .*: test 7: waits for word from all ranks, but rank 2 on .* has not answered"
miss astray 1 "rank 0 on .*: test 7: waits for word .*, and all ranks have waited for . s"
miss busy 0 "warning: test 7: rank 2 on .* has kept others waiting for 4 s; it answers"

# Ranks in containers of their own do not see each other's memory. They say so, and sum all the same.
# (Nor does Open MPI share memory there: it takes one process for another.)
if unshare --pid --fork true 2>/dev/null; then
    mpirun --oversubscribe --timeout 100 --mca btl tcp,self -np 2 \
        unshare --pid --fork "$program" group >"$log" 2>&1 || fail "ranks in containers"
    grep -q "groups of 1: rank . on [^ ]*: cannot see the memory of another rank" "$log" ||
        fail "no word on memory that cannot be shared"
fi
