#!/usr/bin/env bash
# Images unlike the training images are referred with a reason by predict and counted by evaluate;
# images like them are not.
. "$(dirname "$0")/common.sh"
python=/usr/bin/python3
make_data 160
write_small_job
pneumo train small.ini --run run --epochs 1 >/dev/null 2>log || fail "$(cat log)"
model=run/best.h5

# --- predict ---

mkdir odd
$python - <<'PY'
import random, struct, zlib
random.seed(1)

def write(name, rows):
    """A grey PNG of these rows of bytes."""
    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data +
                struct.pack(">I", zlib.crc32(kind + data)))
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
    with open(f"odd/{name}.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) +
                   chunk(b"IEND", b""))

size = 320
write("black", [[0] * size] * size)
write("white", [[255] * size] * size)
write("grey", [[120] * size] * size)
write("dark", [[5 + (x + y) % 2 for x in range(size)] for y in range(size)])
write("noise", [[random.randrange(256) for _ in range(size // 10)] for _ in range(size // 10)])
write("tiny", [[random.randrange(256) for _ in range(12)] for _ in range(10)])
write("long", [[x % 256 for x in range(5000)]])
write("tall", [[y % 256] * 40 for y in range(5000)])
write("gradient", [[255 * x // size for x in range(size)] for y in range(size)])
# Lines of text.
write("text", [[0 if y % 20 < 9 and (x * 7919 + y // 20 * 104729) % 13 < 6 else 255
                for x in range(size)] for y in range(size)])
# Grey discs, like coins on a table.
write("coins", [[60 + (x // 40 * 37 + y // 40 * 59) % 190
                 if (x % 40 - 20) ** 2 + (y % 40 - 20) ** 2 < 260 else 40
                 for x in range(size)] for y in range(size)])
PY
pneumo predict $model odd -o odd.csv 2>log || fail "$(cat log)"
$python - <<'PY'
import csv
expected = {
    "black": "almost black (share of black pixels 100 %, training",
    "dark": "almost black (share of black pixels 100 %, training",
    "white": "almost blank (deviation of grey values 0, training",
    "grey": "almost blank (deviation of grey values 0, training",
    "noise": "unlike the training images (",
    "tiny": "image is 12 x 10: its shorter side has fewer than 32 pixels",
    "long": "image is 5000 x 1: its shorter side has fewer than 32 pixels",
    "tall": "image is 40 x 5000: unlike the training images (width/height 0.008, ",
    "gradient": "unlike the training images (",
    "text": "unlike the training images (",
    "coins": "unlike the training images (",
}
rows = list(csv.DictReader(open("odd.csv", newline="")))
assert len(rows) == len(expected)
for row in rows:
    name = row["path"].removeprefix("odd/").removesuffix(".png")
    assert row["refer"] == "yes" and row["reason"].startswith(expected[name]), row
    assert 0 <= float(row["probability"]) <= 1 and row["error"] == "", row
    print(name + ": " + row["reason"])
PY

# New phantoms are like the training images.
pneumo synth others --images 200 --seed 7 2>/dev/null
pneumo predict $model others phantoms -o like.csv 2>log || fail "$(cat log)"
$python - <<'PY'
import csv
rows = list(csv.DictReader(open("like.csv", newline="")))
outside = [row for row in rows if row["reason"] and not row["reason"].startswith("in doubt")]
assert len(rows) == 360 and not outside, outside
assert all((row["refer"] == "yes") == (row["reason"] != "") for row in rows)
PY

# --- evaluate ---

cp data.h5 data-odd.h5
$python - <<'PY'
import h5py
import numpy as np
with h5py.File("data-odd.h5", "r+") as file:
    test = np.flatnonzero(file["fold"][:] == 2)
    file["images"][test[0]] = 0
    file["images"][test[3]] = 0
    file["images"][test[5]] = 130
PY
for count in 1 3; do
    ranks $count evaluate $model --data data-odd.h5 --fold test -o odd$count.json >odd$count.txt \
        2>log || fail "$(cat log)"
    grep -q "^unlike the training images: 3 (2 by black, 1 by deviation)$" odd$count.txt ||
        fail "$(cat odd$count.txt)"
    $python - odd$count.json <<'PY'
import json, sys
outside = json.load(open(sys.argv[1]))["folds"]["test"]["outside"]
assert outside == {"count": 3, "by_trait": {"side": 0, "ratio": 0, "black": 2, "deviation": 1,
                                            "mean": 0, "sharpness": 0, "likeness": 0}}, outside
PY
done
pneumo evaluate $model >out 2>log || fail "$(cat log)"
[[ $(grep -c "^unlike the training images: 0$" out) == 2 ]] || fail "$(cat out)"

# Images of another site may be packed at another size.
pneumo pack others -o large.h5 --size 80 >/dev/null 2>&1
pneumo evaluate $model --data large.h5 --fold test >out 2>log || fail "$(cat log)"
grep -q "^unlike the training images: 0$" out || fail "$(cat out)"

# --- Checkpoints of earlier versions have no profile ---

pneumo inspect $model >out
grep -q "^  profile        of [0-9]* training images; those beyond" out || fail "$(cat out)"
grep -qE "^                 sharpness( +[0-9.]+){4}$" out || fail "$(cat out)"
cp $model old.h5
$python -c 'import h5py; del h5py.File("old.h5", "r+")["profile"]'
pneumo predict old.h5 odd >out 2>log || fail "$(cat log)"
[[ $(grep -c "old.h5: no profile of the training images" log) == 1 ]] || fail "$(cat log)"
! grep -qE "unlike|almost" out || fail "$(cat out)"
pneumo evaluate old.h5 --data data-odd.h5 --fold test >out 2>log || fail "$(cat log)"
[[ $(grep -c "old.h5: no profile of the training images" log) == 1 ]] || fail "$(cat log)"
grep -q "^images unlike the training images are not counted" out || fail "$(cat out)"
pneumo inspect old.h5 >out
grep -q "^  profile        none" out || fail "$(cat out)"
# Resuming from such a checkpoint adds the profile that training would have stored.
code=0
pneumo train small.ini --run whole >/dev/null 2>log || fail "$(cat log)"
>log # or the last run's words would pass for those of a program that has not started
"$PNEUMO_DIST" train small.ini --run broken >/dev/null 2>log &
worker=$!
until grep -q "writing to" log || ! kill -0 $worker 2>/dev/null; do sleep 0.02; done
kill -USR1 $worker 2>/dev/null || true
wait $worker || code=$?
((code == 75)) || fail "exit code $code after SIGUSR1: $(cat log)"
$python -c 'import h5py; del h5py.File("broken/last.h5", "r+")["profile"]'
ranks 3 train small.ini --run broken --resume >/dev/null 2>log || fail "$(cat log)"
cmp whole/last.h5 broken/last.h5 || fail "resuming gave another profile"
