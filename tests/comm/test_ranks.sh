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
