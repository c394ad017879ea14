# Runs the tests of the replica audit on two ranks, which have no majority, and on more.
set -euo pipefail

program=$PNEUMO_BUILD/tests/test_train_audit
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# More processes than cores: waiting ranks must yield.
export OMP_WAIT_POLICY=passive OMPI_MCA_mpi_yield_when_idle=1

for ranks in 2 3 4; do
    PNEUMO_TEST_RANKS=$ranks mpirun --oversubscribe --bind-to none --timeout 100 -np $ranks "$program" >"$log" 2>&1 || {
        cat "$log"
        echo "FAILED: $ranks ranks"
        exit 1
    }
done
