# Sourced by test_faults.sh and by tests/bench/campaign.sh: very small runs that meet one fault, and what
# must hold after it. Source common.sh and deaths.sh first.
library=${PNEUMO_BUILD:=$PNEUMO_SOURCE/build}/tests/fail_call.so
export OMP_NUM_THREADS=1

# Makes data.h5 and tiny.ini, the run `alone` without faults, and `half`, one that was stopped after the
# first epoch. Sets `length` to the milliseconds of the whole run, and `half_steps`.
make_tiny() {
    [[ -e $library ]] || fail "$library is missing: build all"
    pneumo synth phantoms --images 60 --seed 3 2>/dev/null
    pneumo pack phantoms -o data.h5 --size 16 >/dev/null 2>&1
    cat >tiny.ini <<'INI'
[data]
file = data.h5
size = 16
[model]
name = mlp2
hidden = 8
dropout = 0.2
[train]
epochs = 2
epoch_images = 32
batch = 16
learning_rate = 2e-3
[evaluate]
stress_images = 4
[run]
checkpoint_minutes = 0.0000001
watchdog_seconds = 5
tensorboard = yes
INI
    local since
    since=$(milliseconds)
    pneumo train tiny.ini --run alone >/dev/null 2>log || fail "$(cat log)"
    length=$(($(milliseconds) - since))
    # The first validation is the second save, and its write of last.h5 the 12th write: after it.
    fault=(FAIL_CALL=write FAIL_AT=13 FAIL_AS=kill)
    start 1 half && await 60
    ((code == 137)) || fail "half a run: exit code $code: $(cat log)"
    rm -f half/run.lock half/*.tmp
    half_steps=$(steps_of half)
    ((half_steps == 2)) || fail "half a run has $half_steps steps: $(ls half)"
}

# start RANKS RUN ARGUMENT...: trains in the background, with output to `log`, under the fault that
# `fault` (FAIL_... settings) describes, if any. Sets `since`.
start() {
    local launch=() preload=()
    (($1 == 1)) || launch=(mpirun --oversubscribe --bind-to none -np "$1")
    ((${#fault[@]} == 0)) ||
        preload=(LD_PRELOAD="$library" FAIL_FOLDER="$(pwd -P)/$2" FAIL_RECORD="$(pwd -P)/record")
    rm -f record
    : >log
    since=$(milliseconds)
    "${launch[@]}" env "${preload[@]}" "${fault[@]}" "$PNEUMO_DIST" train tiny.ini --run "${@:2}" \
        >/dev/null 2>log &
    launcher=$!
}

# Prints the steps of the last checkpoint of run $1; 0 without one, -1 if it is damaged.
steps_of() {
    [[ -e $1/last.h5 ]] || { echo 0; return; }
    pneumo inspect "$1/last.h5" 2>/dev/null |
        sed -n 's/^  trained .* \([0-9]*\) steps\? in all.*/\1/p' | grep . || echo -1
}

# Whether the message of the fault noted in `record` is as it should be: after exit code 1 one error, which
# names the file or says that memory ran out (on a full disk, a warning may name the first file and the
# error another one); after 0 a warning, unless no result depends on the call. A call that only takes
# longer, and a step of the clock, change nothing; other ranks say that they wait.
is_told() {
    local kind path name file level=error
    read -r kind _ path <record
    if [[ $manner == @(slow|stall|back|ahead) ]]; then
        ((code == 0)) && ! grep -E '^pneumo-dist: (error|warning)' log |
            grep -v 'has kept other ranks waiting for [0-9]* s; it still responds' >/dev/null
        return
    fi
    # The file for which the call was made: that of a temporary one, anything in a folder.
    name=$(basename "$path")
    file=$(sed -E 's/\.[^.]*-[0-9]+\.tmp$//' <<<"$name")
    if ((code == 1)); then
        # The rest of a short write follows, and these calls can be done without.
        [[ $manner != short && $kind != link && $kind != unlink ]] || return 1
        (($(grep -c "^pneumo-dist: error: " log) == 1)) || return 1
        ! grep -E "rank [0-9]+ on .*rank [0-9]+ on" log >/dev/null || return 1
        # previous.h5 is made of last.h5, and the other way round.
        [[ $file != previous.h5 ]] || file='(previous|last).h5'
        [[ $kind != m[em]* || $kind == mkdir ]] || file='out of memory|cannot share|Cannot allocate memory'
        [[ $manner != full ]] || level='error|warning'
        # A lock serves whose content is torn or, on a full disk, missing, and the next write fails.
        [[ $name != run.lock || ($manner != torn && $manner != full) ]] || file='cannot write'
        grep -E "^pneumo-dist: ($level): .*($file)" log >/dev/null
    elif ((code == 0)); then
        case $kind:$name in
        # Without the lock's content, messages do not say who has the lock.
        *:run.lock) ;;
        # Files are linked to another name, or else moved. Closing a file that was read loses nothing.
        link:* | unlink:* | mkdir:* | memory:* | mmap:* | close:*.h5 | close:*.csv | close:*.json | \
            close:*.md | close:*.html | close:"$run") ;;
        *) [[ $manner == short ]] || grep "^pneumo-dist: warning: .*$file" log >/dev/null ;;
        esac
    else
        return 1
    fi
}

# judge RUN STEPS: after a run that had STEPS steps before. Sets lost, damaged, left and unclear to
# 1 or 0; a process that was killed may leave temporary files and says nothing.
judge() {
    local run=$1 file steps
    lost=0 damaged=0 left=0 unclear=0
    for file in last previous best; do
        [[ ! -e $run/$file.h5 ]] || pneumo inspect "$run/$file.h5" >/dev/null 2>&1 || damaged=1
    done
    steps=$(steps_of "$run")
    # history.csv is written just before last.h5, which may lack the last row, but no other.
    [[ ! -e $run/history.csv ]] || (($(wc -l <"$run/history.csv") - 2 <= steps / half_steps)) || lost=1
    ((steps >= $2 || steps < 0)) || lost=1
    ((!killed)) || return 0
    [[ -z $(find "$run" -name '*.tmp' 2>/dev/null) ]] || left=1
    [[ ! -e record ]] || is_told || unclear=1
    # Done means done: nothing is left out in silence.
    ((code != 0)) || { [[ -e $run/report.json && -e $run/report.html ]] &&
        cmp -s alone/scores.csv "$run/scores.csv"; } || unclear=1
}

# conclude RUN: resumes to the end without a fault, and sets `differ` to 1 or 0: whether the results are
# not those of `alone`.
conclude() {
    local file
    differ=0
    pneumo train tiny.ini --run "$1" --resume >/dev/null 2>resume.log || differ=1
    for file in last.h5 best.h5 history.csv; do
        cmp -s "alone/$file" "$1/$file" || differ=1
    done
}
