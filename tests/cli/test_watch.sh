#!/usr/bin/env bash
# watch: a line per epoch where there is no terminal, a view redrawn in place on one of 80 and of 40
# columns; a run that finishes, stops, fails or is killed; Ctrl-C; and it writes nothing.
. "$(dirname "$0")/common.sh"
terminal=$(dirname "$0")/watch_terminal.py
export TERM=xterm LC_ALL=C.UTF-8
unset NO_COLOR
make_data 160
write_small_job
slow=(train small.ini --set train.epochs=100000 --set evaluate.stress=no)

# begin RUN COMMAND...: starts a training and waits until it has two epochs.
begin() {
    local run=$1 t
    shift
    "$@" >/dev/null 2>"$run.log" &
    job=$!
    for ((t = 0; t < 900; t++)); do
        [[ -e $run/history.csv && $(wc -l <"$run/history.csv") -ge 3 ]] && return
        sleep 0.1
    done
    fail "$run does not start: $(cat "$run.log")"
}

# state FOLDER: the names, sizes, times and contents of its files.
state() { (cd "$1" && stat -c '%n %s %y' ./* . && sha256sum ./*); }

# --- A live run, from its start to its end ---

# The stress test of all images takes long enough to be seen.
pneumo train small.ini --run live --epochs 5 --threads 1 --set evaluate.stress_images=0 \
    >/dev/null 2>live.log &
job=$!
until [[ -e live/status.csv ]] || ! kill -0 "$job" 2>/dev/null; do sleep 0.02; done
timeout 300 "$PNEUMO_DIST" watch live --interval 0.1 >lines 2>log || fail "watching: $(cat log lines)"
grep -q '^live: finished after 5 epochs$' <(tail -n 1 lines) || fail "its last line: $(cat lines)"
wait "$job" || fail "the run: $(cat live.log)"
[[ -e live/model-card.md ]] || fail "it ended before the run"
[[ $(grep -oE '^live: epoch [0-9]+ ' lines) == "$(printf 'live: epoch %d \n' 1 2 3 4 5)" ]] || fail "epochs: $(cat lines)"
grep -qE '^live: trained, evaluating$' lines || fail "no evaluation: $(cat lines)"
grep -qE '^live: epoch [1-4] .* [0-9.]+ images/s  .* left$' lines ||
    fail "no speed: $(cat lines)"
# The figures are those of history.csv.
/usr/bin/python3 - <<'PY' || fail "$(cat lines)"
import csv, re
rows = {row["epoch"]: row for row in csv.DictReader(open("live/history.csv"))}
for line in open("lines"):
    match = re.match(r"live: epoch (\d+)  loss (\S+)  val loss (\S+)  AUC (\S+)  sensitivity (\S+) %  "
                     r"specificity (\S+) %  learning rate (\S+)", line)
    if match:
        row = rows.pop(match[1])
        expected = [f"{float(row[c]):.4f}" for c in ("train_loss", "val_loss", "val_auc")]
        assert list(match.groups()[1:4]) == expected, (line, row)
        assert match[5] == f"{100 * float(row['val_sensitivity']):.1f}", (line, row)
        assert match[6] == f"{100 * float(row['val_specificity']):.1f}", (line, row)
        assert match[7] == f"{float(row['learning_rate']):.3g}", (line, row)
assert not rows, rows
PY

# --- A recorded run, on terminals ---

before=$(state live)
# show COLUMNS ROWS [NAME=VALUE]...: what a terminal shows.
show() {
    local columns=$1 rows=$2
    shift 2
    env "$@" /usr/bin/python3 "$terminal" "$columns" "$rows" "$PNEUMO_DIST" watch live >shown 2>log ||
        fail "$columns x $rows $*: $(cat log)"
    grep -q '^live: finished afte' shown || fail "$columns x $rows $*: $(cat shown)"
    grep -q '^frames 1, exit code 0$' shown || fail "$columns x $rows $*: $(tail -n 1 shown)"
}
show 80 24 COLOURS=yes
grep -q 'loss:  train  validation.*AUC of validation' shown || fail "80 columns: $(cat shown)"
LC_ALL=C grep -qP '\xe2[\xa0-\xa3]' shown || fail "no Braille: $(cat shown)"
show 40 30 COLOURS=yes
[[ $(grep -cE 'loss:|AUC of validation' shown) == 2 ]] || fail "40 columns: $(cat shown)"
show 80 24 NO_COLOR=1
grep -q '• train  ○ validation' shown || fail "without colours: $(cat shown)"
show 80 24 NO_COLOR=1 LC_ALL=C
! LC_ALL=C grep -q '[^ -~]' shown || fail "not ASCII: $(cat shown)"
grep -q '\* train  o validation' shown || fail "ASCII: $(cat shown)"
show 20 6 COLOURS=no NO_COLOR=1
# Terminals wider than two curves, one of a wall of screens.
for columns in 440 9000; do
    show $columns 24 COLOURS=yes
    grep -q 'loss:  train  validation.*AUC of validation' shown || fail "$columns columns: $(cat shown)"
done
# More runs than rows, with names wider than the terminal.
mkdir -p wide
for name in {1..30}; do cp -r live "wide/$(printf '肺%.0s' {1..50})-$name"; done
NO_COLOR=1 /usr/bin/python3 "$terminal" 80 24 "$PNEUMO_DIST" watch wide/*/ >shown 2>log || fail "many: $(cat log)"
[[ $(grep -c '^…肺*-[0-9]*: finished after 5 epochs$' shown) == 22 ]] && grep -q '^and 8 more$' shown ||
    fail "many: $(cat shown)"
rm -r wide
# A terminal that cannot replace lines gets lines.
show 200 24 TERM=dumb
[[ $(grep -c '^live: epoch ' shown) == 5 ]] || fail "TERM=dumb: $(cat shown)"
[[ $(state live) == "$before" ]] || fail "watch writes into the run"

# --- Redrawn in place while it goes on; Ctrl-C ends it at once, not the run ---

begin long "$PNEUMO_DIST" "${slow[@]}" --run long
COLOURS=yes /usr/bin/python3 "$terminal" 80 24 timeout --preserve-status -s INT 4 "$PNEUMO_DIST" watch long -n 0.1 \
    >shown 2>log || fail "redrawing: $(cat log)"
grep -qE '^long: (training|validating), epoch [0-9]+ of 100000' shown || fail "$(cat shown)"
grep -qE '^\[\.+\]   0 %  ' shown || fail "no bar: $(cat shown)"
grep -qE ' images/s  1 rank of [0-9]+ thread' shown || fail "no speed: $(cat shown)"
frames=$(sed -n 's/^frames \([0-9]*\),.*/\1/p' shown)
((frames >= 5)) || fail "only $frames frames: $(cat shown)"
"$PNEUMO_DIST" watch long >/dev/null 2>log &
watcher=$!
sleep 1
start=$(date +%s%N)
kill -INT "$watcher"
code=0
wait "$watcher" || code=$?
((code == 130 && $(date +%s%N) - start < 1000000000)) || fail "Ctrl-C: exit code $code"
kill -0 "$job" || fail "Ctrl-C ended the run: $(cat long.log)"

# --- How runs end ---

# over PATTERN CODE RUN...: watch ends with that code and says so.
over() {
    local pattern=$1 expected=$2 code=0
    shift 2
    timeout 60 "$PNEUMO_DIST" watch "$@" -n 0.1 >lines 2>log || code=$?
    [[ $code == "$expected" ]] || fail "$*: exit code $code: $(cat log lines)"
    grep -qE "$pattern" lines || fail "$*: not '$pattern': $(tail -n 3 lines)"
}
"$PNEUMO_DIST" watch long -n 0.1 >meanwhile 2>watcher.log &
watcher=$!
kill -9 "$job"
wait "$job" || true
code=0
wait "$watcher" || code=$?
[[ $code == 1 ]] && grep -q '^pneumo-dist: error: long: the run is dead$' watcher.log ||
    fail "killed: exit code $code: $(cat watcher.log)"
grep -qE "^long: dead: process $job on $(hostname) was killed; continue it with --resume$" meanwhile ||
    fail "killed: $(tail -n 2 meanwhile)"
over '^long: dead: ' 1 long
"$PNEUMO_DIST" "${slow[@]}" --run long --resume >/dev/null 2>long.log &
job=$!
until grep -q 'resuming after' long.log || ! kill -0 "$job" 2>/dev/null; do sleep 0.05; done
sleep 1
"$PNEUMO_DIST" watch long --once >lines 2>log || fail "resumed: $(cat log)"
grep -qE '^long: (training|validating|starting)' lines || fail "resumed: $(tail -n 1 lines)"
kill -TERM "$job"
code=0
wait "$job" || code=$?
((code == 75)) || fail "stopping: exit code $code: $(cat long.log)"
over '^long: stopped in epoch [0-9]+ of 100000; continue it with --resume$' 0 long
# A run that fails: its learning rate is absurd.
if pneumo train small.ini --run failed --set train.learning_rate=1000 --set train.optimizer=sgd \
    --set train.clip_norm=0 --set regularise.weight_decay=0 --set train.schedule=constant --epochs 50 >/dev/null 2>failed.log; then
    fail "the absurd run ends well"
fi
over '^failed: failed: see its log$' 1 failed
# Several at once.
over '^live: finished' 1 live long failed
[[ $(grep -cE '^(live: finished|long: stopped|failed: failed)' lines) == 3 ]] || fail "several: $(cat lines)"
# Parts of a cross-validation.
pneumo train small.ini --run five --cross 2 --epochs 1 --set evaluate.stress=no >/dev/null 2>log || fail "$(cat log)"
over '^five/cross-2: finished after 1 epoch$' 0 five/cross-1 five/cross-2
over '^five/cross-2: finished after 1 epoch$' 0 five
# All folders of runs, as in the help, with one that is none.
mkdir -p runs/notes
cp -r live five runs
code=0
timeout 60 "$PNEUMO_DIST" watch runs/*/ >lines 2>log || code=$?
[[ $code == 0 && $(sort lines | grep -c '^runs/[a-z0-9/-]*: finished after [15] epoch') == 3 ]] ||
    fail "all folders: exit code $code: $(cat log lines)"
grep -q '^runs/five/cross-1: finished' lines || fail "no parts: $(cat lines)"
[[ $(cat log) == "pneumo-dist: warning: runs/notes: no run there: give the folder"* && $(wc -l <log) == 1 ]] ||
    fail "all folders: $(cat log)"

# --- What is none ---

for folder in nowhere phantoms data.h5; do
    code=0
    "$PNEUMO_DIST" watch "$folder" >out 2>log || code=$?
    [[ $code == 1 ]] && grep -q "^pneumo-dist: error: $folder: no run there: give the folder" log ||
        fail "$folder: exit code $code: $(cat log)"
done
code=0
"$PNEUMO_DIST" watch nowhere phantoms >out 2>log || code=$?
[[ $code == 1 && $(grep -c 'warning: .*: no run there' log) == 2 ]] &&
    grep -q 'error: none of these folders contains a run' log || fail "several: exit code $code: $(cat log)"
mkdir damaged
echo 'phase' >damaged/status.csv
code=0
"$PNEUMO_DIST" watch damaged >out 2>log || code=$?
[[ $code == 1 && $(grep -c 'error: damaged/status.csv: is damaged' log) == 1 ]] || fail "damaged: $(cat log)"
echo "watched: live, recorded, on terminals, killed, stopped, failed; $frames frames"
