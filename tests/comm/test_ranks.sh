# Runs the communicator's tests with several numbers of ranks, and checks that MPI is not initialised
# when the environment only resembles that of an MPI launcher.
set -euo pipefail

program=$PNEUMO_BUILD/tests/test_comm_comm
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# There may be more ranks than cores: one thread each.
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

# With a transport that does not exist MPI_Init fails, so these pass only if it is not called.
export OMPI_MCA_pml=none_such
"$program" >"$log" 2>&1 || fail "no launcher"
SLURM_PROCID=0 SLURM_NTASKS=4 "$program" >"$log" 2>&1 || fail "a SLURM batch script without MPI"
SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 "$program" abort >"$log" 2>&1 && fail "no abort"
grep -q "srun started 4 tasks without MPI" "$log" || fail "no warning about srun without MPI"
unset OMPI_MCA_pml

# An abort ends the waiting ranks, and the launcher returns its code.
for launcher in "" "mpirun --oversubscribe --timeout 100 -np 3"; do
    code=0
    $launcher "$program" abort >"$log" 2>&1 || code=$?
    [ $code -eq 42 ] || fail "abort under '$launcher' gave exit code $code, not 42"
done

# expect_end SCENARIO CODE MESSAGE: ranks waiting for the last one end within seconds, with one message.
expect_end() {
    code=0
    local begin=$SECONDS
    mpirun --oversubscribe --timeout 100 -np 3 "$program" "$1" >"$log" 2>&1 || code=$?
    [ $code -eq "$2" ] || fail "$1: exit code $code, not $2"
    [ $((SECONDS - begin)) -lt 30 ] || fail "$1: it took $((SECONDS - begin)) s"
    [ "$(grep -c "pneumo-dist: " "$log")" -eq 1 ] || fail "$1: expected exactly one message"
    grep -q "$3" "$log" || fail "$1: no message '$3'"
}

# The watchdog: a stopped rank, a deadlock, and a rank that is merely slow.
expect_end stopped 1 "rank 0 on .*: test 7: waiting for a value from every rank, but rank 2 on .* has not responded"
expect_end mismatch 1 "rank 0 on .*: test 7: waiting for a value .*, and all ranks have been waiting for . s"
expect_end busy 0 "warning: test 7: rank 2 on .* has kept other ranks waiting for 4 s; it still responds"

# Ranks in separate containers cannot share memory. They report it, and sums still work. (Open MPI's
# own shared memory must be off there: it mistakes one process for another.)
if unshare --pid --fork true 2>/dev/null; then
    mpirun --oversubscribe --timeout 100 --mca btl tcp,self -np 2 \
        unshare --pid --fork "$program" group >"$log" 2>&1 || fail "ranks in containers"
    grep -q "groups of 1: rank . on [^ ]*: cannot map the memory of another rank" "$log" ||
        fail "no message about memory that cannot be shared"
else
    echo "(ranks in containers: left out, without the right to make a namespace)"
fi
