#!/usr/bin/env bash
# After kill -9 of one rank or of all at random moments, --resume on another number of ranks gives the
# checkpoint of an uninterrupted run. So does stopping by a signal. PNEUMO_KILLS is the number of kills
# (default 6, sanitized 2); a run that finishes earlier is compared and started again.
. "$(dirname "$0")/common.sh"
kills=${PNEUMO_KILLS:-$((sanitized ? 2 : 6))}
RANDOM=${PNEUMO_KILL_SEED:-1}
make_data 160
write_small_job
settings=(--set run.checkpoint_minutes=0.001 --set train.epochs=8)

begin=$(milliseconds)
ranks 2 train small.ini --run alone "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
length=$(($(milliseconds) - begin))

compare() {
    for file in last.h5 best.h5 history.csv; do
        cmp "alone/$file" "$1/$file" || fail "$1/$file differs from that of the run left alone"
    done
}

counts=(1 2 3 5 2 1 4)
killed=0 finished=0 round=0 hung=0
while ((killed < kills)); do
    round=$((round + 1))
    ranks "${counts[round % 7]}" train small.ini --run broken --resume "${settings[@]}" \
        >/dev/null 2>>broken.log &
    launcher=$!
    pause $((RANDOM % length))
    victims=($(ours))
    if ((${#victims[@]} > 0)); then
        ((round % 2)) || victims=("${victims[RANDOM % ${#victims[@]}]}")
        kill -9 "${victims[@]}" 2>/dev/null && killed=$((killed + 1))
    fi
    # Open MPI 4.1's launcher can hang if ranks die during startup.
    for ((t = 0; t < 150 && ${#victims[@]} > 0; t++)); do
        kill -0 "$launcher" 2>/dev/null || break
        sleep 0.1
    done
    if ((${#victims[@]} > 0)) && kill -9 "$launcher" 2>/dev/null; then
        hung=$((hung + 1))
    fi
    if wait "$launcher"; then # it was through before the kill
        compare broken
        rm -rf broken
        finished=$((finished + 1))
        continue
    fi
    for ((t = 0; t < 100; t++)); do # the launcher ends the others
        [[ -z $(ours) ]] && break
        sleep 0.1
    done
    [[ -z $(ours) ]] || fail "ranks live on after one was killed"
    for file in broken/last.h5 broken/previous.h5 broken/best.h5; do
        [[ ! -e $file ]] || pneumo inspect "$file" >/dev/null || fail "$file is damaged"
    done
done
ranks 3 train small.ini --run broken --resume "${settings[@]}" >/dev/null 2>log || fail "$(cat log)"
compare broken
echo "$killed kills in $((finished + 1)) runs: the same checkpoints; the launcher hung $hung times"

# A signal: exit code 75 after saving, and the same result after any number of stops.
stopped=0
while true; do
    code=0
    : >stop.log # or the last run's words would pass for those of a program that has not started
    "$PNEUMO_DIST" train small.ini --run stopped --resume "${settings[@]}" >/dev/null 2>stop.log &
    worker=$!
    if ((stopped < 4)); then
        until grep -q "writing to" stop.log || ! kill -0 "$worker" 2>/dev/null; do sleep 0.02; done
        kill -USR1 "$worker" 2>/dev/null || true
    fi
    wait "$worker" || code=$?
    ((code == 0)) && break
    ((code == 75)) || fail "exit code $code after SIGUSR1: $(cat stop.log)"
    grep -q -- "run it again with --resume" stop.log || fail "it does not say how to go on"
    stopped=$((stopped + 1))
done
((stopped > 0)) || fail "no signal came in time"
compare stopped
[[ $(sed -n '2s/.*,//p' stopped/time.csv) == 1280 ]] || fail "8 epochs: $(cat stopped/time.csv)"
echo "$stopped stops: the same checkpoints"

# A signal during startup, here while the job is read, has the same effect.
mkfifo early.ini
"$PNEUMO_DIST" train early.ini --run early "${settings[@]}" >/dev/null 2>stop.log &
worker=$!
exec 3>early.ini # once the program has opened it, too
kill -USR1 "$worker"
cat small.ini >&3 || true # the program may have ended
exec 3>&-
code=0
wait "$worker" || code=$?
((code == 75)) || fail "exit code $code after an early SIGUSR1: $(cat stop.log)"

# An existing run is neither overwritten nor continued by another job.
before=$(sha256sum alone/last.h5)
! pneumo train small.ini --run alone "${settings[@]}" >/dev/null 2>log || fail "a run was overwritten"
grep -q "alone already contains a run" log || fail "$(cat log)"
! pneumo train small.ini --run alone --resume "${settings[@]}" --set train.batch=64 >/dev/null \
    2>log || fail "another job went on"
grep -q "made by another job ('batch = 32' there, 'batch = 64' now)" log || fail "$(cat log)"
# A finished run is only re-evaluated.
pneumo train small.ini --run alone --resume "${settings[@]}" >out.txt 2>log || fail "$(cat log)"
[[ $before == "$(sha256sum alone/last.h5)" ]] || fail "the finished run changed"
grep -q "test fold" out.txt || fail "no evaluation"
