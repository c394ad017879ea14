#!/usr/bin/env bash
# If last.h5 cannot be read, one line says so, and the run continues from previous.h5, on any number of
# ranks, to the same result. The reported training time covers all processes of a run.
. "$(dirname "$0")/common.sh"
make_data 160
write_small_job
ranks 2 train small.ini --run alone >/dev/null 2>log || fail "$(cat log)"
for file in last previous best; do
    pneumo inspect alone/$file.h5 >/dev/null || fail "$file.h5 is damaged"
done
! cmp -s alone/last.h5 alone/previous.h5 || fail "previous.h5 is not the one before"

# Flips one bit of one weight.
flip_bit() {
    /usr/bin/python3 - "$1" <<'PY'
import h5py, sys
with h5py.File(sys.argv[1]) as file:
    layer = file["model_weights"].attrs["layer_names"][0].decode()
    weight = file["model_weights"][layer].attrs["weight_names"][0].decode()
    at = file["model_weights"][layer][weight].id.get_chunk_info(0).byte_offset
with open(sys.argv[1], "r+b") as file:
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 1]))
PY
}

damage() {
    case $1 in
    cut) truncate -s 5000 "$2" ;;
    empty) : >"$2" ;;
    flipped) flip_bit "$2" ;;
    removed) rm "$2" ;;
    esac
}

count=0
for how in cut empty flipped removed; do
    count=$((count % 3 + 1))
    rm -rf broken
    cp -r alone broken
    damage $how broken/last.h5
    ranks $count train small.ini --run broken --resume >/dev/null 2>log || fail "$how: $(cat log)"
    before=": continuing from the previous checkpoint, broken/previous.h5$"
    [[ $(grep -c "$before" log) == 1 ]] || fail "$how: not one warning: $(cat log)"
    grep -qE "^pneumo-dist: warning: .*broken/last.h5: .+$before" log || fail "$how: $(cat log)"
    for file in last.h5 previous.h5 best.h5 history.csv; do
        cmp "alone/$file" "broken/$file" || fail "$how: another $file than in the run left alone"
    done
    [[ $(ls broken) == "$(ls alone)" ]] || fail "$how: the folder holds $(ls broken)"
    echo "last.h5 $how, $count ranks: the same end"
done

# previous.h5 alone makes a run; if it cannot be read either, there is one error, and nothing changes.
rm broken/last.h5
! pneumo train small.ini --run broken >/dev/null 2>log || fail "a run was overwritten"
grep -q "broken already contains a run" log || fail "$(cat log)"
for how in flipped cut; do
    cp alone/*.h5 broken
    damage $how broken/last.h5
    damage empty broken/previous.h5
    sums=$(sha256sum broken/*)
    code=0
    ranks 2 train small.ini --run broken --resume >/dev/null 2>log || code=$?
    ((code == 1)) || fail "exit code $code: $(cat log)"
    before="the previous checkpoint failed, too: .*broken/previous.h5: is not an HDF5 file"
    advice="or copy broken/best.h5 over broken/last.h5"
    [[ $(grep -c "error: .*broken/last.h5: .*; $before.*; $advice" log) == 1 ]] || fail "$(cat log)"
    [[ $sums == "$(sha256sum broken/*)" ]] || fail "a failed resume changed the folder"
done

# Evaluating a finished run again leaves its figures unchanged, byte for byte.
figures() { grep -E '"(seconds|images_per_second)":' "$1/report.json"; }
figures alone >before
! grep -q null before || fail "no time of training: $(cat before)"
[[ $(sed -n '2s/.*,//p' alone/time.csv) == 480 ]] || fail "3 epochs of 160: $(cat alone/time.csv)"
pneumo train small.ini --run alone --resume >out.txt 2>log || fail "$(cat log)"
figures alone | cmp - before || fail "the time of training changed: $(figures alone)"
grep -q "images/s" out.txt || fail "the table does not tell the time"
grep -qE "<dt>training time</dt><dd>[0-9]" alone/report.html || fail "the page lacks the time"
pneumo compare alone --csv table.csv >/dev/null 2>log || fail "$(cat log)"
/usr/bin/python3 - <<'PY'
import csv, json
row = next(csv.DictReader(open("table.csv")))
report = json.load(open("alone/report.json"))
seconds, images = open("alone/time.csv").read().split()[1].split(",")
assert float(row["seconds"]) == report["seconds"] == float(seconds) > 0, (row, seconds)
assert report["images_per_second"] == float(images) / float(seconds)
PY

# The time of an interrupted run is the sum over its processes, repeated work included.
cp -r alone pieces
damage cut pieces/last.h5
printf 'seconds,images\n1000,480\n' >pieces/time.csv
pneumo train small.ini --run pieces --resume >/dev/null 2>log || fail "$(cat log)"
/usr/bin/python3 - <<'PY'
import json
seconds, images = open("pieces/time.csv").read().split()[1].split(",")
assert int(images) == 480 + 160, images
assert 1000 < float(seconds) == json.load(open("pieces/report.json"))["seconds"], seconds
PY
# If the earlier time is unknown, a message says so, and the run continues.
echo garbage >pieces/time.csv
pneumo train small.ini --run pieces --resume >/dev/null 2>log || fail "$(cat log)"
grep -q "warning: pieces/time.csv: is damaged: the time of training before this start is unknown" log ||
    fail "$(cat log)"
[[ $(figures pieces | grep -c null) == 2 ]] || fail "a time was made up: $(figures pieces)"
cmp alone/last.h5 pieces/last.h5 || fail "time.csv bears on the result"
echo "the time of training adds up"
