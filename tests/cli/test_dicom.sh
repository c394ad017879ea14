#!/usr/bin/env bash
# A folder of DICOM files: lateral views and other modalities are left out, and nothing that identifies a
# patient is in the packed file, a log, a run or a report.
. "$(dirname "$0")/common.sh"

/usr/bin/python3 - <<'PY'
import math, os, random, struct


def element(group, number, vr, value):
    value += b"\0" * (len(value) % 2) if vr == b"UI" else b" " * (len(value) % 2)
    if vr == b"OW":
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def write(path, patient, view, modality, ill):
    r = random.Random(path)
    side = 40
    number = lambda g, e, v: element(g, e, b"US", struct.pack("<H", v))
    values = []
    # Ribs of its own, or the images would be near-duplicates.
    ribs = [(r.uniform(0.2, 1.2), r.uniform(0.2, 1.2), r.uniform(0, 6)) for _ in range(4)]
    for y in range(side):
        for x in range(side):
            lung = math.exp(-(((abs(x - 20) - 9) / 5) ** 2 + ((y - 20) / 12) ** 2))
            lung += 0.2 * sum(math.sin(a * x + b * y + c) for a, b, c in ribs)
            values.append(max(0, int(2500 - 1200 * lung + (900 if ill and 12 < y < 24 and 24 < x < 34 else 0)
                              + r.gauss(0, 80))))
    name, identity, born, accession = patient
    data = (element(8, 0x50, b"SH", accession) + element(8, 0x60, b"CS", modality)
            + element(0x10, 0x10, b"PN", name) + element(0x10, 0x20, b"LO", identity)
            + element(0x10, 0x30, b"DA", born) + element(0x18, 0x5101, b"CS", view)
            + number(0x28, 2, 1) + element(0x28, 4, b"CS", b"MONOCHROME2") + number(0x28, 0x10, side)
            + number(0x28, 0x11, side) + number(0x28, 0x100, 16) + number(0x28, 0x101, 12)
            + number(0x28, 0x102, 11) + number(0x28, 0x103, 0)
            + element(0x7FE0, 0x10, b"OW", struct.pack(f"<{side * side}H", *values)))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"\0" * 128 + b"DICM" + element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1") + data)


with open("secrets", "w") as secrets:
    for i in range(60):
        word = "".join(random.Random(i).choice("bcdfghjklmnpqrstvwxz") for _ in range(9))
        patient = (f"{word}^{word[::-1]}".encode(), f"{8675300 + i}".encode(),
                   f"19{40 + i % 50}0{1 + i % 9}1{i % 10}".encode(), f"ACX{55100 + i}".encode())
        secrets.write("\n".join([word, word[::-1], *(part.decode() for part in patient[1:])]) + "\n")
        folder = "scans/PNEUMONIA" if i % 2 else "scans/NORMAL"
        # Some paths give the patient away, in another spelling.
        file = {0: f"{word.upper()}_{word[::-1]}", 1: f"{i}-{8675300 + i}"}.get(i % 5, f"image{i}")
        write(f"{folder}/{file}.dcm", patient, b"PA", b"DX", i % 2)
        if i % 10 == 3:
            write(f"{folder}/side{i}.dcm", patient, b"LL", b"DX", i % 2)
    write("scans/NORMAL/slice.dcm", patient, b"", b"CT", 0)
    # Another site: 3 normal patients with 4 images each, and 12 with pneumonia and one each.
    for i in range(24):
        number = 900 + i // 8 if i % 2 == 0 else 950 + i
        word = "".join(random.Random(number).choice("bcdfghjklmnpqrstvwxz") for _ in range(9))
        patient = (f"{word}^X".encode(), f"{7775300 + number}".encode(), b"19500101", b"ACY1")
        secrets.write(f"{word}\n{7775300 + number}\n")
        file = f"{word.upper()}-{i}" if i % 5 == 0 else f"image{i}"
        write(f"site/{'PNEUMONIA' if i % 2 else 'NORMAL'}/{file}.dcm", patient, b"PA", b"DX", i % 2)
    write("site/NORMAL/side.dcm", patient, b"LL", b"DX", 0)
    write("site/PNEUMONIA/slice.dcm", patient, b"", b"CT", 1)
PY
if ! pneumo pack scans -o data.h5 --size 32 --folds 60/20/20 >out 2>log; then
    grep -F "this build cannot read DICOM" log >/dev/null && { echo "SKIPPED: $(cat log)"; exit 77; }
    fail "$(cat log)"
fi
grep -F "left out: 6 lateral views; --lateral packs them too" log >/dev/null || fail "$(cat log)"
grep -F "left out: 1 image of other modalities" log >/dev/null || fail "$(cat log)"
grep -F "24 paths contain the name, ID, birth date or accession number" log >/dev/null || fail "$(cat log)"
grep -E "^ +6 lateral views, 1 of other modalities" out >/dev/null || fail "$(cat out)"
grep -E "^images +60 of" out >/dev/null || fail "$(cat out)"
pneumo pack scans -o again.h5 --size 32 --folds 60/20/20 --threads 1 >/dev/null 2>&1
cmp data.h5 again.h5 || fail "two packs differ"
pneumo pack scans -o lateral.h5 --size 32 --lateral >out2 2>/dev/null
grep -E "^images +66 of" out2 >/dev/null || fail "$(cat out2)"
h5dump -d /name data.h5 | grep -F '"NORMAL/image-0' >/dev/null || fail "no name is replaced"
h5dump -d /name data.h5 | grep -F '"NORMAL/image2.dcm' >/dev/null || fail "a neutral name is replaced"

pneumo train dense1 --data data.h5 --set data.size=32 --set train.batch=8 --set train.lanes=2 \
    --set evaluate.stress=no --epochs 1 --run run >out3 2>log3 || fail "$(cat log3)"
[[ -s run/report.html ]] || fail "no report"
# The part files of a pack that was cut short.
code=0
(
    ulimit -f 200
    "$PNEUMO_DIST" pack scans -o cut.h5 --size 32
) >/dev/null 2>log4 || code=$?
[[ $code == 1 && $(stat -c %s cut.h5.part-0) -gt 100000 ]] || fail "no part files are left: $(cat log4)"
# calibrate finds the patients of folders as pack does, and cross-validates by them.
pneumo calibrate run/best.h5 --normal site/NORMAL --pneumonia site/PNEUMONIA -o site.h5 >out5 2>log5 || fail "$(cat log5)"
grep -F "12 normal and 12 pneumonia, of 15 patients (patient by DICOM" out5 >/dev/null || fail "$(cat out5)"
grep -F "left out: 1 lateral view" log5 >/dev/null || fail "$(cat log5)"
grep -F "left out: 1 image of other modalities" log5 >/dev/null || fail "$(cat log5)"
grep -F "3 parts of whole patients" out5 >/dev/null || fail "$(cat out5)"
[[ $(grep -c warning: log5) == 2 ]] || fail "a warning where all patients are known"
ranks 3 calibrate run/best.h5 --normal site/NORMAL --pneumonia site/PNEUMONIA -o ranks.h5 >out6 2>log6 || fail "$(cat log6)"
cmp site.h5 ranks.h5 && cmp out5 out6 || fail "3 ranks find other patients"
cp -r site twice
cp twice/NORMAL/*-0.dcm twice/PNEUMONIA/
code=0
pneumo calibrate run/best.h5 --normal twice/NORMAL --pneumonia twice/PNEUMONIA -o never.h5 >out7 2>log7 || code=$?
[[ $code == 1 && ! -e never.h5 ]] || fail "two labels: exit code $code"
grep -E "NORMAL/image-0.*dcm and PNEUMONIA/image-0.*dcm are the same image under two labels" log7 >/dev/null || fail "$(cat log7)"
# The files of h5 are not compressed, so their bytes can be searched.
for file in data.h5 out log out3 log3 run/* cut.h5.part-0 log4 site.h5 out5 log5 log6 log7; do
    tr '[:upper:]' '[:lower:]' <"$file" >plain
    if grep -aoiF -f secrets plain >found; then
        fail "$file contains $(sort -u found | tr '\n' ' ')"
    fi
done
# The search finds what is there.
cat scans/NORMAL/*.dcm | grep -aoiF -f secrets >/dev/null || fail "the search cannot fail"
