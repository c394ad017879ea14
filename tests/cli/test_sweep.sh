#!/usr/bin/env bash
# jobs/all.sh and slurm/sweep.sbatch train all jobs, skip finished ones, continue the others, and end with
# the comparison. Uses a small checkout with two jobs and substitutes for the tools that build, install
# and queue. tests/cluster/test_slurm.sh uses a real queue.
. "$(dirname "$0")/common.sh"

mkdir -p jobs slurm build data tools
cp "$PNEUMO_SOURCE"/jobs/{all,prepare}.sh jobs
cp "$PNEUMO_SOURCE"/slurm/{sweep,train}.sbatch slurm
ln -s "$PNEUMO_DIST" build/pneumo-dist
width=4
for job in one two; do
    cat >jobs/$job.ini <<INI
[data]
file = data/chest_xray.h5
size = 32
[model]
name = mlp2
hidden = $width
[train]
epochs = 2
batch = 16
INI
    width=8
done
printf '[model]\nweights = data/none.h5\n' >jobs/zero.ini # its file is not there: left out
make_data 120 >/dev/null
mv data.h5 data/chest_xray.h5
printf '#!/bin/sh\nexit 0\n' | tee jobs/install.sh tools/cmake >/dev/null
# The options are those of the queue; the program comes last.
cat >tools/srun <<'SH'
#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
exec "$@"
SH
printf '#!/bin/sh\necho 1\n' >tools/squeue
chmod +x jobs/*.sh tools/*
export PATH=$here/tools:$PATH

check_runs() {
    [[ $(ls runs) == $'compare.csv\ncompare.html\none\ntwo' ]] || fail "$1: runs has $(ls runs)"
    grep -qE '^one and two: AUC |^two and one: AUC ' out || fail "$1: no comparison: $(cat out)"
}

jobs/all.sh --seed 3 >out 2>log || fail "all.sh: $(cat log)"
check_runs all.sh
grep -q '^left out: jobs/zero.ini starts from data/none.h5' log || fail "all.sh: $(cat log)"
grep -q '"seed":.3,' runs/one/report.json || fail "the options did not reach the trainings"
cp -r runs whole

# Started again, finished runs stay unchanged; a stopped one continues to the same result.
touch -d '2001-01-01' runs/*/*.h5
rm runs/two/report.json
jobs/all.sh --seed 3 >out 2>log || fail "all.sh again: $(cat log)"
check_runs "all.sh again"
[[ -n $(find runs/one/last.h5 ! -newermt 2002-01-01) ]] || fail "a finished run was touched"
cmp runs/two/last.h5 whole/two/last.h5 || fail "the run that went on ended elsewhere"

# The same in a queue: the task that ends last compares.
rm -r runs
export SLURM_CPUS_PER_TASK=1 SLURM_JOB_ID=1 SLURM_ARRAY_TASK_ID
for SLURM_ARRAY_TASK_ID in 2 3 1; do
    bash slurm/sweep.sbatch --seed 3 >out 2>log || fail "task $SLURM_ARRAY_TASK_ID: $(cat log)"
    [[ $SLURM_ARRAY_TASK_ID == 1 || ! -e runs/compare.csv ]] || fail "compared too early"
done
check_runs sweep.sbatch
for job in one two; do
    cmp runs/$job/last.h5 whole/$job/last.h5 || fail "$job: another model from the queue"
done
SLURM_ARRAY_TASK_ID=4
! bash slurm/sweep.sbatch >out 2>log || fail "a task without a job passed"
grep -q "^there are 3 jobs, none for task 4: sbatch --array=1-3 " log || fail "$(cat log)"

tasks=$(sed -n 's/^#SBATCH --array=1-//p' "$PNEUMO_SOURCE/slurm/sweep.sbatch")
jobs=("$PNEUMO_SOURCE"/jobs/*.ini)
((tasks == ${#jobs[@]})) || fail "sweep.sbatch has $tasks tasks for ${#jobs[@]} jobs"
echo "all jobs are trained once, and compared"
