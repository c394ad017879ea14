#!/usr/bin/env bash
# Whatever limits or binds OpenMP's threads, a run ends, with the same bits, and uses the cores that the
# process was given; the log names the limit, and advises only what is there to use.
. "$(dirname "$0")/common.sh"
make_data 120
write_small_job
unset OMP_PROC_BIND OMP_PLACES GOMP_CPU_AFFINITY OMP_THREAD_LIMIT OMP_DYNAMIC OMP_MAX_ACTIVE_LEVELS
last=$(($(nproc) - 1))
short=(train small.ini --epochs 1 --set evaluate.stress=no --set train.epoch_images=64)
pneumo "${short[@]}" --run free >/dev/null 2>free.log || fail "$(cat free.log)"

# same NAME COMMAND...: the command writes the same model as the free run, and does not hang.
same() {
    local name=$1
    shift
    timeout -k 2 120 "$@" "${short[@]}" --run "$name" >/dev/null 2>"$name.log" ||
        fail "$name: exit code $? (124, 137: it hung): $(cat "$name.log")"
    cmp free/last.h5 "$name/last.h5" || fail "$name: other bits"
}

threads() {
    grep -oE 'over 1 rank of [0-9]+ thread' "$1.log" | grep -oE '[0-9]+ thread$' | cut -d' ' -f1
}

same limit env OMP_THREAD_LIMIT=1 "$PNEUMO_DIST"
[[ $(threads limit) == 1 ]] || fail "more threads than OMP_THREAD_LIMIT: $(cat limit.log)"
same asked env OMP_THREAD_LIMIT=1 OMP_NUM_THREADS=3 "$PNEUMO_DIST"
grep -q 'OMP_THREAD_LIMIT = 1: 1 thread instead of 3' asked.log || fail "$(cat asked.log)"
same levels env OMP_MAX_ACTIVE_LEVELS=0 OMP_NUM_THREADS=2 "$PNEUMO_DIST"

# OMP_DYNAMIC gives fewer threads on a busy host.
busy=()
for ((i = 0; i < 2 * $(nproc); i++)); do
    timeout 100 sh -c 'while :; do :; done' &
    busy+=($!)
done
same dynamic env OMP_DYNAMIC=true OMP_NUM_THREADS=2 "$PNEUMO_DIST"
kill "${busy[@]}"

# Binding threads leaves as many of them.
for setting in OMP_PROC_BIND=spread OMP_PLACES=cores "GOMP_CPU_AFFINITY=0-$last"; do
    same "bound-${setting%%=*}-${setting#*=}" env "$setting" "$PNEUMO_DIST"
    name=bound-${setting%%=*}-${setting#*=}
    [[ $(threads "$name") == "$(threads free)" ]] || fail "$setting: $(cat "$name.log")"
    ! grep -qE 'mpirun|srun|may run on' "$name.log" || fail "$setting: $(cat "$name.log")"
done

# Fewer cores are fewer threads, with and without bound threads, and through a restart for other
# kernels of OpenBLAS.
if [[ $last -gt 0 ]]; then
    same narrow env OMP_PROC_BIND=true taskset -c 0 "$PNEUMO_DIST"
    [[ $(threads narrow) == 1 ]] || fail "more threads than cores: $(cat narrow.log)"
    grep -q "may run on 1 core of the host's .*taskset" narrow.log || fail "$(cat narrow.log)"
    same places env GOMP_CPU_AFFINITY=0 "$PNEUMO_DIST"
    [[ $(threads places) == 1 ]] || fail "more threads than OpenMP may use cores: $(cat places.log)"
    # Two ranks that may run on the same core have half of it each.
    taskset -c 0 mpirun --oversubscribe --bind-to none -np 2 "$PNEUMO_DIST" "${short[@]}" --run two \
        >/dev/null 2>two.log || fail "$(cat two.log)"
    grep -q 'over 2 ranks of 1 thread;' two.log || fail "$(cat two.log)"
fi

# One warning for all ranks alike, with the launcher's own option.
ranks 3 "${short[@]}" --run three --threads $((last + 2)) >/dev/null 2>three.log || fail "$(cat three.log)"
[[ $(grep -c "warning: rank" three.log) == 1 ]] || fail "not one warning: $(cat three.log)"
grep -q "warning: rank 0 on .*more than the host's $((last + 1)) core" three.log || fail "$(cat three.log)"
if [[ $last -gt 0 ]]; then
    mpirun --oversubscribe --bind-to core -np 2 "$PNEUMO_DIST" "${short[@]}" --run bound --threads 2 \
        >/dev/null 2>bound.log || fail "$(cat bound.log)"
    [[ $(grep -c "warning: rank" bound.log) == 1 ]] || fail "not one warning: $(cat bound.log)"
    grep -q 'the launcher binds the process: start with mpirun --bind-to none' bound.log ||
        fail "$(cat bound.log)"
fi

# A quota of CPU time, if this user may make control groups (version 1 or 2).
top=/sys/fs/cgroup
group=$top/cpu/pneumo-test-$$
if [[ -e $top/cgroup.controllers ]]; then
    group=$top/pneumo-test-$$
fi
if mkdir "$group" 2>/dev/null; then
    trap 'rmdir "$group"/inner "$group" 2>/dev/null || true; rm -rf "$here"' EXIT
    if [[ -e $group/cpu.max ]]; then
        echo '100000 100000' >"$group/cpu.max"
    else
        echo 100000 >"$group/cpu.cfs_quota_us"
    fi
    mkdir "$group/inner" # whose own quota is unlimited
    # shellcheck disable=SC2016 # expanded by the inner shell
    same quota sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group/inner" "$PNEUMO_DIST"
    [[ $(threads quota) == 1 ]] || fail "more threads than the quota: $(cat quota.log)"
    if [[ $last -gt 0 ]]; then
        grep -q "quota is the CPU time of 1 of $((last + 1)) cores" quota.log || fail "$(cat quota.log)"
    fi
else
    echo "(a quota: left out, without the right to make a control group)"
fi
echo "limits of OpenMP, bound threads and cores: same bits, and as many threads as there are cores"
