#!/usr/bin/env bash
# slurm/*.sbatch on a real SLURM give the checkpoints of one process, bit for bit, whether they run
# without interruption, are preempted, signalled or requeued with other numbers of tasks, or lose a
# node. Can be started by hand on a machine without the dependencies: bash
# tests/cluster/test_slurm.sh
root=$(realpath "$(dirname "$0")/../..")
. "$root/tests/cluster/by_hand.sh" # slurm.sh installs SLURM
. "$root/tests/cli/common.sh"
# Survivors have the time that mpirun gives them by default.
unset OMPI_MCA_odls_base_sigkill_timeout
# Of the job in which this test itself may run.
unset "${!SLURM_@}" "${!SBATCH_@}" "${!SRUN_@}" PNEUMO_LAUNCH

slurm() { bash "$root/tests/cluster/slurm.sh" "$1" "$here/cluster" "${@:2}"; }
trap 'slurm stop; rm -rf "$here"' EXIT
slurm start
export SLURM_CONF=$here/cluster/slurm.conf
# Open MPI's files are removed with the rest.
export TMPDIR=$here OMPI_MCA_btl_vader_backing_directory=$here

# wait_for SECONDS COMMAND...: waits until the command succeeds.
wait_for() {
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        ((SECONDS < end)) || fail "no success in $1 s: ${*:2}: $(scontrol show job;
            tail -n 30 logs/* cluster/*.log)"
        sleep 0.2
    done
}

# submit OPTION...: sbatch; prints the job's id. Its output goes to logs/ID.
submit() { sbatch --parsable --time=10 --output=logs/%j "$@"; }

# is_in STATE ID
is_in() { [[ $(squeue --noheader --states all --job "$2" --format %T) == "$1" ]]; }
finish() { wait_for 120 is_in COMPLETED "$1"; }

# is_training ATTEMPT ID: whether the job has been started ATTEMPT times and has since trained an
# epoch.
is_training() {
    [[ -e logs/$2 ]] && awk -v attempt="$1" '/writing to/ { started++; trained = 0 }
        /^epoch +[0-9]+\/[0-9]+ +loss/ { trained = 1 }
        END { exit !(started == attempt && trained) }' "logs/$2"
}

# restart ID [SETTING...]: waits until the job is queued again and starts it, with new settings if
# given. SLURM would wait two minutes; it needs a second to distinguish the credentials of the two
# attempts.
restart() {
    wait_for 60 is_in PENDING "$1"
    scontrol update JobId="$1" StartTime=now+2 "${@:2}"
}

# task RANK: prints its process id. Only one job runs at a time.
task() {
    local pid
    for pid in $(pgrep -x "$(basename "$PNEUMO_DIST" | cut -c1-15)"); do
        ! grep -qzFx "SLURM_CONF=$SLURM_CONF" "/proc/$pid/environ" 2>/dev/null ||
            ! grep -qzFx "SLURM_PROCID=$1" "/proc/$pid/environ" || echo "$pid"
    done
}

# same RUN
same() {
    for file in last.h5 best.h5 history.csv; do
        cmp "one/$file" "$1/$file" || fail "$1/$file differs from that of one process"
    done
}

mkdir -p build data jobs logs
cp -r "$PNEUMO_SOURCE/slurm" slurm
ln -s "$PNEUMO_DIST" build/pneumo-dist
make_data
write_small_job
# Long enough that the job does not end before the test interrupts it.
sed -i 's/^epochs = .*/epochs = 40/; s/^epoch_images = .*/epoch_images = 480/' small.ini
train=(small.ini)

# --- Packing ---

id=$(submit --ntasks=3 --cpus-per-task=1 slurm/pack.sbatch phantoms --size 32)
finish "$id"
cmp data.h5 data/chest_xray.h5 || fail "the file of pack.sbatch differs"

pneumo train "${train[@]}" --run one --threads 1 >/dev/null 2>log || fail "$(cat log)"

# --- All interruptions that leave the node running ---

id=$(submit --ntasks=2 --cpus-per-task=1 slurm/train.sbatch "${train[@]}" --run broken)
wait_for 60 is_training 1 "$id"
urgent=$(submit --partition=urgent --nodes=4 --exclusive --wrap true) # preempts it: SIGTERM to all
restart "$id" NumTasks=5 NumCPUs=5
finish "$urgent"
wait_for 60 is_training 2 "$id"
kill -USR1 "$(task 3)" # only this task
restart "$id" NumTasks=3 NumCPUs=3
wait_for 60 is_training 3 "$id"
scancel --batch --signal=USR1 "$id" # only the script
restart "$id" NumTasks=1 NumCPUs=1
wait_for 60 is_training 4 "$id"
scontrol requeue "$id"
restart "$id" NumTasks=2 NumCPUs=2
finish "$id"
same broken
sizes=$(grep -o 'over [0-9]' "logs/$id" | tr -dc 0-9)
[[ $sizes == 25312 ]] || fail "tasks of the attempts: $sizes"
stops=$(grep -c '^stopped after saving broken/last.h5' "logs/$id")
((stops == 4)) || fail "saved $stops times, not 4: $(cat "logs/$id")"
echo "preempted, signalled and requeued: equal checkpoints"

# A cancelled job is not requeued.
id=$(submit --ntasks=2 --cpus-per-task=1 slurm/train.sbatch "${train[@]}" --run cancelled)
wait_for 60 is_training 1 "$id"
scancel "$id"
wait_for 60 is_in CANCELLED "$id"
[[ -e cancelled/last.h5 ]] || fail "a cancelled run left no checkpoint"

# --- mpirun, on two nodes ---

id=$(PNEUMO_LAUNCH="mpirun --bind-to none" submit --nodes=2 --ntasks=3 --cpus-per-task=1 \
    slurm/train.sbatch "${train[@]}" --run mpirun)
wait_for 60 is_training 1 "$id"
scancel --batch --signal=USR1 "$id"
restart "$id"
finish "$id"
same mpirun
grep -q 'resuming after epoch' "logs/$id" || fail "the mpirun job was not interrupted"
echo "mpirun in an allocation: equal checkpoints"

# --- The node that runs the script is lost ---

id=$(submit --nodes=2 --ntasks=2 --cpus-per-task=1 slurm/train.sbatch "${train[@]}" --run orphan)
wait_for 60 test -e orphan/last.h5
node=$(squeue --noheader --job "$id" --format %B)
slurm fail "$node"
scontrol update NodeName="$node" State=DOWN Reason="lost"
restart "$id"
finish "$id"
same orphan
[[ $(squeue --noheader --states all --job "$id" --format %N) != *"$node"* ]] ||
    fail "it continued on the lost node"
grep -q 'resuming after epoch' "logs/$id" || fail "it did not resume"
echo "the loss of a node: equal checkpoints"

# --- The sweep ---

cat >jobs/one.ini <<'INI'
[data]
file = data.h5
size = 32
[model]
name = mlp2
hidden = 4
[train]
epochs = 2
batch = 16
INI
cp small.ini jobs/two.ini # takes several times as long
id=$(submit --array=1-2 --ntasks=2 --cpus-per-task=1 --output=logs/sweep-%a slurm/sweep.sbatch \
    --set run.seed=3)
wait_for 60 is_in COMPLETED "${id}_1"
wait_for 60 test -e runs/two/last.h5
is_in RUNNING "${id}_2" || fail "the sweep ended before its signal"
scancel --signal=USR1 "${id}_2" # whose id is that of the array
restart "${id}_2"
finish "${id}_2"
[[ $(cat logs/sweep-1) == *"no comparison yet, not finished: jobs/two.ini" ]] ||
    fail "$(cat logs/sweep-1)"
[[ $(grep -c 'writing to' logs/sweep-1) == 1 ]] || fail "more than one task was requeued"
grep -q '^one and two: AUC \|^two and one: AUC ' logs/sweep-2 || fail "$(cat logs/sweep-2)"
[[ -s runs/compare.csv && -s runs/compare.html ]] || fail "no comparison: $(cat logs/sweep-2)"
for job in one two; do
    pneumo train jobs/$job.ini --run "alone-$job" --set run.seed=3 >/dev/null 2>log ||
        fail "$(cat log)"
    cmp "alone-$job/last.h5" "runs/$job/last.h5" || fail "$job: the model of the sweep differs"
done
id=$(submit --array=3 --ntasks=1 slurm/sweep.sbatch)
wait_for 60 is_in FAILED "${id}_3"
echo "the sweep trains all jobs and compares them"
