#!/usr/bin/env bash
# explain writes a picture and an array for every readable image, whatever its name, and a row consistent
# with them; it reports the errors of other files, and never overwrites an image.
. "$(dirname "$0")/common.sh"

pneumo synth phantoms --images 120 --seed 3 --truth 2>/dev/null >log
pneumo pack phantoms -o data.h5 --size 32 >/dev/null 2>&1
write_small_job
pneumo train small.ini --epochs 1 --run run >/dev/null 2>log || fail "$(cat log)"
sed 's/cnn-deep/mlp2/' small.ini >mlp.ini
pneumo train mlp.ini --epochs 1 --run mlp >/dev/null 2>log || fail "$(cat log)"

mkdir a b
person=$(ls phantoms/train/PNEUMONIA | sed -n 1p)
cp phantoms/train/PNEUMONIA/"$person" a/chest.jpeg
cp phantoms/train/NORMAL/IM-0001-0001.jpeg b/chest.jpeg
cp a/chest.jpeg 'a/one, "two".jpeg'
cp a/chest.jpeg b/chest-2
echo "no image" >a/text.png
head -c 2000 a/chest.jpeg >a/cut.jpeg
: >a/empty.jpeg
images=(a/chest.jpeg a/text.png b/chest.jpeg a/cut.jpeg a/empty.jpeg a/nowhere.png a b/chest-2
        'a/one, "two".jpeg' a/chest.jpeg)
before=$(sha256sum a/* b/* 2>/dev/null)
code=0
pneumo explain run/best.h5 "${images[@]}" -o new/maps >rows.csv 2>log || code=$?
((code == 1)) || fail "exit code $code with bad images: $(cat log)"
grep -q "error: 5 of 10 images could not be explained" log || fail "$(cat log)"
for bad in a/text.png a/cut.jpeg a/empty.jpeg a/nowhere.png a; do
    grep -q " $bad: " log || fail "not a word about $bad: $(cat log)"
done
[[ $before == "$(sha256sum a/* b/* 2>/dev/null)" ]] || fail "images changed"

/usr/bin/python3 - <<'PY'
import csv, pathlib, struct
import h5py, numpy

rows = list(csv.DictReader(open("rows.csv")))
assert [row["path"] for row in rows] == ["a/chest.jpeg", "b/chest.jpeg", "b/chest-2",
                                         'a/one, "two".jpeg', "a/chest.jpeg"], rows
stems = ["chest", "chest-2", "chest-2-2", 'one, "two"', "chest-3"]
assert [row["picture"] for row in rows] == [f"new/maps/{stem}.png" for stem in stems], rows
files = sorted(path.name for path in pathlib.Path("new/maps").iterdir())
assert files == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "npy")), files


def jpeg_size(path):
    data = pathlib.Path(path).read_bytes()
    at = 2
    while not 0xC0 <= data[at + 1] <= 0xC2:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return struct.unpack(">HH", data[at + 5:at + 9])


def inner(n):
    edges = numpy.arange(n + 1) / n
    return (numpy.minimum(edges[1:], 0.9) - numpy.maximum(edges[:-1], 0.1)).clip(0) * n


with h5py.File("run/best.h5") as file:
    threshold = file["decision"].attrs["threshold"]
warm = 0
for row in rows:
    png = pathlib.Path(row["picture"]).read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    tall, wide = jpeg_size(row["path"])
    assert height == tall and wide < width < 1.2 * wide, (row, width, height)
    path = pathlib.Path(row["picture"]).with_suffix(".npy")
    heat = numpy.load(path)
    assert heat.dtype == numpy.float32 and heat.shape == (2, 2) and heat.flags.c_contiguous
    assert path.read_bytes()[:8] == b"\x93NUMPY\1\0"
    assert (heat >= 0).all() and numpy.isfinite(heat).all()
    assert row["label"] == ("PNEUMONIA" if float(row["probability"]) >= threshold else "NORMAL")
    if heat.max() == 0:
        assert row["border"] == row["peak_row"] == row["peak_column"] == "", row
        continue
    warm += 1
    share = (heat * numpy.outer(inner(2), inner(2))).sum() / heat.sum()
    assert abs(float(row["border"]) - (1 - share)) < 1e-4, row
    blend = numpy.array([[5, 1], [1, 5]]) / 6  # what a B-spline makes of two cells at the ends
    corner = numpy.unravel_index((blend @ heat @ blend).argmax(), heat.shape)
    peak = float(row["peak_row"]) / tall, float(row["peak_column"]) / wide
    assert all(0 <= p < 1 for p in peak) and tuple(p > 0.5 for p in peak) == corner, (row, corner)
assert warm > 0, "no map has any heat"
same = [row for row in rows if row["path"] != "b/chest.jpeg"]
assert len({row["probability"] for row in same}) == 1, "one image, several answers"
PY

# A second run, and one on two ranks, write the same files and no others.
sum=$(sha256sum new/maps/*)
ranks 2 explain run/best.h5 a/chest.jpeg b/chest.jpeg -o new/maps -t 1 >again.csv 2>log || fail "$(cat log)"
[[ $(wc -l <again.csv) == 3 && $sum == "$(sha256sum new/maps/*)" ]] || fail "another answer"

# refuse CODE REGEX ARGUMENT...: expects that exit code and one line, and no file.
refuse() {
    local expected=$1 regex=$2 code=0 files
    shift 2
    files=$(find . -type f | sort)
    pneumo explain "$@" >out 2>log || code=$?
    ((code == expected)) || fail "explain $*: exit code $code: $(cat log)"
    [[ $(wc -l <log) == 1 && ! -s out ]] && grep -qE "error: $regex" log || fail "explain $*: $(cat log)"
    [[ $files == "$(find . -type f | sort)" && ! -e x ]] || fail "explain $* made files"
}
touch out
# A pipe, which would block, and a folder: each is named once.
mkfifo pipe.jpeg
timeout 60 "$PNEUMO_DIST" explain run/best.h5 pipe.jpeg a a/chest.jpeg -o odd >out 2>log && fail "a pipe was explained"
grep -q "warning: pipe.jpeg: not a regular file$" log && grep -q "warning: a: cannot read: Is a directory$" log ||
    fail "$(cat log)"
grep -q "error: 2 of 3 images could not be explained" log && [[ -e odd/chest.png ]] || fail "$(cat log; ls odd)"
rm -r odd pipe.jpeg out
touch out
refuse 1 "mlp/best.h5: its model 'mlp2' has no convolution" mlp/best.h5 a/chest.jpeg -o x
refuse 1 "nowhere.h5: cannot open" nowhere.h5 a/chest.jpeg -o x
refuse 1 "a/chest.jpeg: is not" a/chest.jpeg a/chest.jpeg -o x
refuse 1 "new/maps/chest.png: is an input of this command and would be overwritten; give another file" \
    run/best.h5 a/chest.jpeg new/maps/chest.png -o new/maps
refuse 1 "log: cannot create the folder" run/best.h5 a/chest.jpeg -o log/x
refuse 2 "missing argument CHECKPOINT" -o x
refuse 2 "missing argument IMAGE" run/best.h5 -o x
refuse 2 "missing option '--output DIR'" run/best.h5 a/chest.jpeg
refuse 2 "option '--output' has an empty value" run/best.h5 a/chest.jpeg -o ''
refuse 2 "unknown option '--frob'" run/best.h5 a/chest.jpeg -o x --frob
refuse 2 "option '--output' requires a value" run/best.h5 a/chest.jpeg --output
refuse 2 "--threads '0' is not a whole number" run/best.h5 a/chest.jpeg -o x -t 0

# On a terminal, rows have lines of their own, beside a progress line that is drawn again and again.
many=()
for ((i = 0; i < 60; i++)); do many+=(a/chest.jpeg); done
TERM=xterm /usr/bin/python3 "$(dirname "$0")/watch_terminal.py" 200 80 \
    "$PNEUMO_DIST" explain run/best.h5 "${many[@]}" -o screen >out || fail "on a terminal: $(cat out)"
[[ $(grep -c '^a/chest.jpeg,' out) == 60 ]] || fail "rows on a terminal: $(cat out)"

# If no image can be read, the folder is removed.
code=0
pneumo explain run/best.h5 nowhere.jpeg -o x >out 2>log || code=$?
((code == 1)) && [[ ! -e x ]] && grep -q "1 of 1 image could not be explained" log ||
    fail "nothing to explain: exit code $code: $(cat log)"
echo "explain: five maps, five bad images"
