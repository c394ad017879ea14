#!/usr/bin/env bash
# slurm/*.sbatch on a real SLURM: the checkpoints of one process, bit for bit, in one piece or
# preempted, signalled, requeued at other numbers of tasks, and after the loss of a node.
# Runs by hand, too, on a machine that has nothing yet: bash tests/cluster/test_slurm.sh
root=$(realpath "$(dirname "$0")/../..")
. "$root/tests/cluster/by_hand.sh" # slurm.sh installs SLURM
. "$root/tests/cli/common.sh"
# Of a job that this test may itself run in.
unset "${!SLURM_@}" "${!SBATCH_@}" "${!SRUN_@}" PNEUMO_LAUNCH

slurm() { bash "$root/tests/cluster/slurm.sh" "$1" "$here/cluster" "${@:2}"; }
trap 'slurm stop; rm -rf "$here"' EXIT
slurm start
export SLURM_CONF=$here/cluster/slurm.conf
# Open MPI's files vanish with the rest.
export TMPDIR=$here OMPI_MCA_btl_vader_backing_directory=$here

# wait_for SECONDS COMMAND...: until the command succeeds.
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

# is_amid PIECE ID: whether the job, started so often, has trained an epoch since.
is_amid() {
    [[ -e logs/$2 ]] && awk -v piece="$1" '/writing to/ { started++; trained = 0 }
        /^epoch +[0-9]+\/[0-9]+ +loss/ { trained = 1 }
        END { exit !(started == piece && trained) }' "logs/$2"
}

# go_on ID [SETTING...]: waits until the job queues again and starts it, perhaps with new settings.
# SLURM by itself lets two minutes pass; it needs a second, to tell the credentials of pieces apart.
go_on() {
    wait_for 60 is_in PENDING "$1"
    scontrol update JobId="$1" StartTime=now+2 "${@:2}"
}

# task RANK: its process id; only one job runs at a time.
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
# Long enough that what waits for an epoch, and then acts, is in time.
sed -i 's/^epochs = .*/epochs = 40/; s/^epoch_images = .*/epoch_images = 480/' small.ini
train=(small.ini)

# --- Packing ---

id=$(submit --cpus-per-task=2 slurm/pack.sbatch phantoms --size 32)
finish "$id"
cmp data.h5 data/chest_xray.h5 || fail "pack.sbatch packs differently"

pneumo train "${train[@]}" --run one --threads 1 >/dev/null 2>log || fail "$(cat log)"

# --- Interrupted in every way that leaves the node alive ---

id=$(submit --ntasks=2 --cpus-per-task=1 slurm/train.sbatch "${train[@]}" --run broken)
wait_for 60 is_amid 1 "$id"
urgent=$(submit --partition=urgent --nodes=4 --exclusive --wrap true) # preempts it: SIGTERM to all
go_on "$id" NumTasks=5 NumCPUs=5
finish "$urgent"
wait_for 60 is_amid 2 "$id"
kill -USR1 "$(task 3)" # alone
go_on "$id" NumTasks=3 NumCPUs=3
wait_for 60 is_amid 3 "$id"
scancel --batch --signal=USR1 "$id" # the script alone
go_on "$id" NumTasks=1 NumCPUs=1
wait_for 60 is_amid 4 "$id"
scontrol requeue "$id"
go_on "$id" NumTasks=2 NumCPUs=2
finish "$id"
same broken
sizes=$(grep -o 'over [0-9]' "logs/$id" | tr -dc 0-9)
[[ $sizes == 25312 ]] || fail "tasks of the pieces: $sizes"
stops=$(grep -c '^stopped after saving broken/last.h5' "logs/$id")
((stops == 4)) || fail "saved $stops times, not 4: $(cat "logs/$id")"
echo "preempted, signalled and requeued: the same checkpoints"

# What its owner cancels does not come back.
id=$(submit --ntasks=2 --cpus-per-task=1 slurm/train.sbatch "${train[@]}" --run cancelled)
wait_for 60 is_amid 1 "$id"
scancel "$id"
wait_for 60 is_in CANCELLED "$id"
[[ -e cancelled/last.h5 ]] || fail "a cancelled run left nothing"

# --- mpirun, on two nodes ---

id=$(PNEUMO_LAUNCH="mpirun --bind-to none" submit --nodes=2 --ntasks=3 --cpus-per-task=1 \
    slurm/train.sbatch "${train[@]}" --run mpirun)
wait_for 60 is_amid 1 "$id"
scancel --batch --signal=USR1 "$id"
go_on "$id"
finish "$id"
same mpirun
grep -q 'resuming after epoch' "logs/$id" || fail "mpirun went through without a stop"
echo "mpirun in an allocation: the same checkpoints"

# --- A node is lost, the one with the script ---

id=$(submit --nodes=2 --ntasks=2 --cpus-per-task=1 slurm/train.sbatch "${train[@]}" --run orphan)
wait_for 60 test -e orphan/last.h5
node=$(squeue --noheader --job "$id" --format %B)
slurm fail "$node"
scontrol update NodeName="$node" State=DOWN Reason="lost"
go_on "$id"
finish "$id"
same orphan
[[ $(squeue --noheader --states all --job "$id" --format %N) != *"$node"* ]] ||
    fail "it went on at the lost node"
grep -q 'resuming after epoch' "logs/$id" || fail "it began anew"
echo "the loss of a node: the same checkpoints"

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
scancel --signal=USR1 "${id}_2" # which has the array's own id
go_on "${id}_2"
finish "${id}_2"
[[ $(cat logs/sweep-1) == *"no comparison yet, not finished: jobs/two.ini" ]] ||
    fail "$(cat logs/sweep-1)"
[[ $(grep -c 'writing to' logs/sweep-1) == 1 ]] || fail "more than one task was queued again"
grep -q '^one and two: AUC \|^two and one: AUC ' logs/sweep-2 || fail "$(cat logs/sweep-2)"
[[ -s runs/compare.csv && -s runs/compare.html ]] || fail "no comparison: $(cat logs/sweep-2)"
for job in one two; do
    pneumo train jobs/$job.ini --run "alone-$job" --set run.seed=3 >/dev/null 2>log ||
        fail "$(cat log)"
    cmp "alone-$job/last.h5" "runs/$job/last.h5" || fail "$job: another model from the sweep"
done
id=$(submit --array=3 --ntasks=1 slurm/sweep.sbatch)
wait_for 60 is_in FAILED "${id}_3"
echo "the sweep trains all jobs and compares them"
