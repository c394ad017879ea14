#!/usr/bin/env bash
# One process at a time writes into a run's folder, and the others say who does; a dead one locks nothing.
. "$(dirname "$0")/common.sh"
make_data 160
write_small_job
long=(train small.ini --set train.epochs=100000 --set evaluate.stress=no)

# begin RUN COMMAND...: starts a training and waits until it has saved.
begin() {
    local run=$1 t
    shift
    "$@" >/dev/null 2>holder.log &
    holder=$!
    for ((t = 0; t < 600; t++)); do
        [[ -e $run/best.h5 && -e $run/last.h5 ]] && return
        sleep 0.1
    done
    fail "it does not start: $(cat holder.log)"
}

# refused FOLDER ARGUMENT...: that command fails at once and names the holder.
refused() {
    local folder=$1 code=0
    shift
    timeout -k 2 60 "$PNEUMO_DIST" "$@" >out 2>log || code=$?
    [[ $code == 1 && $(grep -c error: log) == 1 ]] || fail "$*: exit code $code: $(cat log)"
    grep -qE "error: $folder is in use by 'pneumo-dist [^']*', process [0-9]+ on $(hostname), since 2" log ||
        fail "$*: $(cat log)"
}

begin one ranks 2 "${long[@]}" --run one
refused one "${long[@]}" --run one
grep -q 'wait until it ends, or choose another folder with --run' log || fail "$(cat log)"
refused one "${long[@]}" --run one --resume
refused one evaluate one/best.h5 --data data.h5
grep -q 'evaluate a copy of the checkpoint in another folder' log || fail "$(cat log)"
refused one ensemble one/best.h5 -o one/both.h5
refused one train small.ini --cross 2 --run one
[[ ! -e one/both.h5 && ! -e one/cross-1 ]] || fail "it wrote into the run: $(ls one)"
pneumo evaluate one/best.h5 --data data.h5 --fold val >/dev/null 2>log || fail "reading a run: $(cat log)"
mkdir copy
cp one/best.h5 copy
pneumo evaluate copy/best.h5 --data data.h5 >/dev/null 2>log || fail "a copy: $(cat log)"

# kill -9: resumes at once.
kill -9 $(ours)
wait "$holder" || true
[[ -e one/run.lock ]] || fail "the killed run left no lock file to go round"
"$PNEUMO_DIST" "${long[@]}" --run one --resume >/dev/null 2>log &
holder=$!
until grep -q 'resuming after epoch' log || ! kill -0 "$holder" 2>/dev/null; do sleep 0.05; done
kill -TERM "$holder"
code=0
wait "$holder" || code=$?
((code == 75)) || fail "resuming after kill -9: exit code $code: $(cat log)"
[[ ! -e one/run.lock ]] || fail "the lock file stays"

# Parts of a cross-validation run side by side, but not twice.
begin five/cross-2 "$PNEUMO_DIST" "${long[@]}" --run five --cross 3 --part 2
refused five/cross-2 "${long[@]}" --run five --cross 3 --part 2
timeout -k 2 60 "$PNEUMO_DIST" train small.ini --set evaluate.stress=no --set train.epochs=1 --run five \
    --cross 3 --part 1 >/dev/null 2>log || fail "another part: $(cat log)"
kill -TERM "$holder"
code=0
wait "$holder" || code=$?
((code == 75)) || fail "exit code $code: $(cat holder.log)"
[[ -z $(find . -name run.lock) ]] || fail "lock files stay: $(find . -name run.lock)"
echo "two runs in one folder: the second says who is there"
