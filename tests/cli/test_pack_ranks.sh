#!/usr/bin/env bash
# pack on several ranks: the same bytes as on one, and the same messages; killed at any moment, it
# continues from the images that are decoded, on any number of ranks.
. "$(dirname "$0")/common.sh"

pneumo synth phantoms --images 300 --seed 5 2>/dev/null
pneumo pack phantoms -o one.h5 --size 96 --threads 1 >one.txt 2>log || fail "$(cat log)"
no_parts() {
    local left
    left=$(find . -name '*.part-*' -o -name '*.lock' -o -name '*.tmp')
    [[ -z $left ]] || fail "$1: left behind: $left"
}
no_parts "one rank"
for count in "${rank_counts[@]}"; do
    ranks "$count" pack phantoms -o r.h5 --size 96 --threads $((1 + count % 2)) >r.txt 2>log ||
        fail "$(cat log)"
    cmp one.h5 r.h5 || fail "another file on $count ranks"
    diff <(grep -v written one.txt) <(grep -v written r.txt) || fail "other results on $count ranks"
    no_parts "$count ranks"
done
echo "1, 2, 3, 5, 8 ranks: the same file"

# Appending, too, also onto the file itself, and after a stop.
mkdir -p new/train/NORMAL new/train/PNEUMONIA
cp -r phantoms old
for label in NORMAL PNEUMONIA; do
    find old/train/$label -type f | sort | sed -n '3~4p' | xargs mv -t new/train/$label
done
pneumo pack old -o old.h5 --size 96 >/dev/null 2>log || fail "$(cat log)"
pneumo pack new -o appended.h5 --append old.h5 --threads 1 >one.txt 2>log || fail "$(cat log)"
grep -qE '^appended +75 images to 225' one.txt || fail "$(cat one.txt)"
for count in "${rank_counts[@]}"; do
    ranks "$count" pack new -o r.h5 --append old.h5 --threads $((1 + count % 2)) >r.txt 2>log || fail "$(cat log)"
    cmp appended.h5 r.h5 || fail "another appended file on $count ranks"
    diff <(grep -v written one.txt) <(grep -v written r.txt) || fail "other results on $count ranks"
done
code=0
(
    ulimit -f 700
    "$PNEUMO_DIST" pack new -o r.h5 --append old.h5
) >/dev/null 2>log || code=$?
[[ $code == 1 && -e r.h5.part-0 ]] || fail "no part file after a full disk: $(cat log)"
ranks 2 pack new -o r.h5 --append old.h5 >/dev/null 2>log || fail "$(cat log)"
grep -q 'continuing: [1-9]' log || fail "$(cat log)"
cmp appended.h5 r.h5 || fail "another appended file after a full disk"
pneumo pack new -o old.h5 --append old.h5 >/dev/null 2>log || fail "$(cat log)"
cmp appended.h5 old.h5 || fail "another file in place"
code=0
pneumo pack new -o r.h5 --append old.h5 --seed 3 2>log || code=$?
[[ $code == 2 ]] || fail "exit code $code for --append and --seed"
grep -q 'append keeps the folds of old.h5; leave out --seed' log || fail "$(cat log)"
pneumo pack new -o r.h5 --append old.h5 2>log && fail "nothing new"
grep -q 'error: new contains no new readable image' log || fail "$(cat log)"
no_parts "appending"
echo "1, 2, 3, 5, 8 ranks: the same appended file"
rm r.h5

# One message, that of one rank: the first bad image by number, although others are bad, too.
cp -r phantoms bad
for i in 7 31 90; do
    head -c 700 "$(find phantoms/train/PNEUMONIA -type f | sort | sed -n "${i}p")" \
        >"$(find bad/train/PNEUMONIA -type f | sort | sed -n "${i}p")"
done
pneumo pack bad -o bad.h5 --size 32 2>one.log && fail "a bad image"
[[ $(grep -c error: one.log) == 1 ]] || fail "$(cat one.log)"
no_parts "a bad image"
pneumo pack bad -o bad.h5 --size 32 --skip-bad >one.txt 2>skip.log || fail "$(cat skip.log)"
[[ $(grep -c 'warning: left out:' skip.log) == 3 ]] || fail "$(cat skip.log)"
for count in 3 8; do
    code=0
    ranks "$count" pack bad -o r.h5 --size 32 >/dev/null 2>log || code=$?
    [[ $code == 1 ]] || fail "exit code $code for a bad image on $count ranks"
    diff <(grep error: one.log) <(grep error: log) || fail "another message on $count ranks"
    [[ ! -e r.h5 ]] || fail "a file is left"
    no_parts "a bad image on $count ranks"
    ranks "$count" pack bad -o r.h5 --size 32 --skip-bad >/dev/null 2>log || fail "$(cat log)"
    diff <(grep 'left out' skip.log) <(grep 'left out' log) || fail "other warnings on $count ranks"
    cmp bad.h5 r.h5 || fail "another file without the bad images on $count ranks"
    rm r.h5
done
pneumo pack nowhere -o r.h5 2>one.log && fail "no folder"
ranks 3 pack nowhere -o r.h5 2>log && fail "no folder"
diff <(grep error: one.log) <(grep error: log) || fail "another message on 3 ranks"

# If a rank cannot write, all end with one message that names it; what is decoded is kept.
mkdir r.h5.part-1
code=0
ranks 3 pack phantoms -o r.h5 --size 96 >/dev/null 2>log || code=$?
[[ $code == 1 && $(grep -c error: log) == 1 ]] || fail "exit code $code: $(cat log)"
grep -q 'error: rank 1 on .*: r.h5.part-1: cannot write: Is a directory' log || fail "$(cat log)"
rmdir r.h5.part-1
no_parts "a part file that cannot be written"
echo "precious" >r.h5.part-0
pneumo pack phantoms -o r.h5 --size 96 2>log && fail "a file of another program"
grep -q 'r.h5.part-0: a file of that name exists' log || fail "$(cat log)"
[[ $(cat r.h5.part-0) == precious ]] || fail "a file of another program was changed"
rm r.h5.part-0
code=0
(
    ulimit -f 2000
    "$PNEUMO_DIST" pack phantoms -o r.h5 --size 96
) >/dev/null 2>log || code=$?
[[ $code == 1 ]] || fail "exit code $code on a full disk"
grep -q 'r.h5.part-0: cannot write: File too large' log || fail "$(cat log)"
grep -q 'warning: kept the images .* r.h5.part-\*: the same command continues' log || fail "$(cat log)"
pneumo pack phantoms -o r.h5 --size 96 >/dev/null 2>log || fail "$(cat log)"
grep -qE 'r.h5: continuing: [1-9][0-9]* of 300 images are already decoded' log || fail "$(cat log)"
cmp one.h5 r.h5 || fail "another file after a full disk"
no_parts "continued after a full disk"

# Killed at random moments on changing numbers of ranks, it ends with the same bytes, and does not
# decode again what is decoded.
many=many/train
for label in NORMAL PNEUMONIA; do
    mkdir -p $many/$label
    for i in 1 2; do
        for image in phantoms/train/$label/*; do ln "$image" "$many/$label/$i-${image##*/}"; done
    done
done
/usr/bin/python3 - <<'PY'
import os
from PIL import Image
# Larger, so that packing takes long enough to be killed.
for i in range(30):
    image = Image.effect_noise((1800, 1500), 60 + i)
    image.save(f"many/train/NORMAL/IM-9{i:03}-0001.jpeg", quality=90)
PY
start=$(date +%s%N)
pneumo pack many -o many.h5 --size 64 --threads 1 >many.txt 2>log || fail "$(cat log)"
duration=$((($(date +%s%N) - start) / 1000000))
kills=0 continued=0 last=0
for ((try = 0; try < 40; try++)); do
    count=$((1 + try % 3))
    setsid mpirun --oversubscribe --bind-to none -np $count "$PNEUMO_DIST" pack many -o killed.h5 \
        --size 64 --threads 1 >killed.txt 2>log &
    group=$!
    sleep "$(printf '%d.%03d' $((duration / 3000)) $((RANDOM % (duration / 2 + 1) % 1000)))"
    for pid in $(ours); do kill -KILL "$pid" 2>/dev/null || true; done
    code=0
    wait $group || code=$?
    found=$(sed -nE 's/.*continuing: ([0-9]+) of .*/\1/p' log)
    [[ -z $found ]] || {
        ((found >= last)) || fail "only $found images are found after $last: $(cat log)"
        last=$found continued=$((continued + 1))
    }
    ((code == 0)) && break
    kills=$((kills + 1))
    # Killed behind the end, when the part files are no longer needed.
    [[ ! -e killed.h5 ]] || {
        cmp many.h5 killed.h5 || fail "another file is left by kill $kills"
        rm killed.h5
        last=0
    }
done
((code == 0)) || { ranks 2 pack many -o killed.h5 --size 64 >killed.txt 2>log || fail "$(cat log)"; }
((kills > 0 && continued > 0)) || fail "$kills kills, continued $continued times"
cmp many.h5 killed.h5 || fail "another file after $kills kills"
diff <(grep -v written many.txt) <(grep -v written killed.txt) || fail "other results after $kills kills"
no_parts "after $kills kills"
echo "$kills kills, continued $continued times: the same file"

# Part files that are torn, flipped, of changed images, another size or another folder are noticed.
# stop_late: leaves part files of most images behind.
stop_late() {
    local worker
    rm -f s.h5 s.h5.*
    "$PNEUMO_DIST" pack many -o s.h5 --size 64 --threads 1 >/dev/null 2>log &
    worker=$!
    until [[ $(stat -c %s s.h5.part-0 2>/dev/null || echo 0) -gt 1500000 ]] ||
        ! kill -0 $worker 2>/dev/null; do sleep 0.01; done
    kill -TERM $worker 2>/dev/null || true
    code=0
    wait $worker || code=$?
    [[ $code == 143 ]] || fail "exit code $code after SIGTERM: $(cat log)"
    grep -q 'SIGTERM: stopped: the same command continues' log || fail "$(cat log)"
}
# expect FOUND FILE: packing to s.h5 again continues from FOUND images (a pattern) and ends as FILE.
expect() {
    pneumo pack many -o s.h5 --size 64 >/dev/null 2>log || fail "$(cat log)"
    grep -qE "$1" log || fail "$(cat log)"
    cmp "$2" s.h5 || fail "another file: $(cat log)"
    no_parts "$1"
}
stop_late
[[ $(stat -c %a s.h5.part-0) == 600 ]] || fail "others may read a part file"
/usr/bin/python3 - <<'PY'
import os
size = os.path.getsize("s.h5.part-0")
with open("s.h5.part-0", "r+b") as file:
    for at in 5000, 200000, 700000, 1200001:  # the check, copies, pixels: any byte
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 4]))
    file.truncate(size - 777)
PY
expect 'continuing: [1-9][0-9]* of' many.h5
stop_late
printf '\xff' | dd of=s.h5.part-0 bs=1 seek=40 conv=notrunc status=none # the header
expect 'its part files are of other images, options or versions' many.h5
stop_late
mv s.h5.part-0 keep
pneumo pack many -o other.h5 --size 48 >/dev/null 2>log || fail "$(cat log)"
cp keep other2.h5.part-0
pneumo pack many -o other2.h5 --size 48 >/dev/null 2>log || fail "$(cat log)"
grep -q 'its part files are of other images, options or versions' log || fail "$(cat log)"
cmp other.h5 other2.h5 || fail "part files of another size were used"
mv keep s.h5.part-0
# A file that has changed is decoded again, under the same name and size too.
first=$(find many/train/NORMAL -name '1-*' | sort | sed -n 3p) second=$(find many/train/NORMAL -name '1-*' | sort | sed -n 4p)
cp "$first" x && cp "$second" y
rm "$first" "$second"
cp y "$first" && cp x "$second"
pneumo pack many -o changed.h5 --size 64 >/dev/null 2>log || fail "$(cat log)"
! cmp -s many.h5 changed.h5 || fail "the change does not show"
expect 'continuing: [1-9][0-9]* of' changed.h5

# Only one process packs to a file.
"$PNEUMO_DIST" pack many -o s.h5 --size 64 --threads 1 >/dev/null 2>log &
worker=$!
until [[ -e s.h5.part-0 ]]; do sleep 0.01; done
code=0
pneumo pack many -o s.h5 --size 64 2>second.log || code=$?
kill -KILL $worker
wait $worker 2>/dev/null || true
[[ $code == 1 ]] || fail "exit code $code of a second process"
grep -q "error: s.h5 is in use by 'pneumo-dist pack many .*, process $worker on .*: wait until" second.log ||
    fail "$(cat second.log)"
expect 'continuing' changed.h5
echo "part files that are damaged, changed or in use: noticed"
