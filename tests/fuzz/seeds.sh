#!/usr/bin/env bash
# seeds.sh FOLDER: makes a seed corpus for every fuzzer, FOLDER/<fuzzer>, with the program PNEUMO_DIST.
set -euo pipefail
: "${PNEUMO_DIST:?the program}"
source=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT
cd "$here"

# seed FUZZER FILE...: copies files, each under a name of its own.
seed() {
    local fuzzer=$1 file
    shift
    mkdir -p "$out/$fuzzer"
    for file in "$@"; do
        cp "$file" "$out/$fuzzer/$(sha256sum "$file" | cut -c1-16)"
    done
}

# --- Images ---

"$PNEUMO_DIST" synth phantoms --images 64 --seed 1 >/dev/null 2>&1
/usr/bin/python3 - <<'PY'
import struct, zlib


def png(name, depth, colour, channels, interlaced=0, extra=b""):
    row = (7 * channels * depth + 7) // 8
    data = b"".join(bytes([y % 5]) + bytes((x * 37 + y) % 256 for x in range(row)) for y in range(7))
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    open(name, "wb").write(b"\x89PNG\r\n\x1a\n"
                           + chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 7, depth, colour, 0, 0, interlaced))
                           + extra + (chunk(b"PLTE", bytes(range(12))) if colour == 3 else b"")
                           + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))


for depth, colour, channels in ((1, 0, 1), (8, 0, 1), (16, 0, 1), (2, 3, 1), (8, 2, 3), (8, 4, 2), (16, 6, 4)):
    png(f"{depth}-{colour}.png", depth, colour, channels)
exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
png("turned.png", 8, 0, 1, 0, struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif)))


def dicom(name, syntax, bits, pixels):
    def element(group, number, kind, value):
        value += b"\0" * (len(value) % 2)
        long = struct.pack("<HI", 0, len(value)) if kind == b"OW" else struct.pack("<H", len(value))
        return struct.pack("<HH", group, number) + kind + long + value
    number = lambda g, e, v: element(g, e, b"US", struct.pack("<H", v))
    open(name, "wb").write(
        b"\0" * 128 + b"DICM" + element(2, 0x10, b"UI", syntax)
        + element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.1.1") + element(8, 0x18, b"UI", b"1.2") + element(8, 0x60, b"CS", b"DX")
        + element(0x10, 0x20, b"LO", b"P1") + element(0x18, 0x5101, b"CS", b"PA") + number(0x28, 2, 1)
        + element(0x28, 4, b"CS", b"MONOCHROME2") + number(0x28, 0x10, 16) + number(0x28, 0x11, 16)
        + number(0x28, 0x100, bits) + number(0x28, 0x101, bits) + number(0x28, 0x102, bits - 1)
        + number(0x28, 0x103, 0) + element(0x28, 0x1050, b"DS", b"40") + element(0x28, 0x1051, b"DS", b"80")
        + element(0x7FE0, 0x10, b"OW", pixels))


dicom("8.dcm", b"1.2.840.10008.1.2.1", 8, bytes(range(256)))
dicom("16.dcm", b"1.2.840.10008.1.2.1", 16, bytes(range(256)) * 2)
PY
# The smallest phantoms.
mapfile -t small < <(find phantoms -name '*.jpeg' -printf '%s %p\n' | sort -n | sed -n '1,3s/^[0-9]* //p')
seed image ./*.png ./*.dcm "${small[@]}"

# DICOM in every syntax that the tools at hand can write, without the preamble of 128 bytes and "DICM".
convert() { # NAME COMMAND...: files of both depths; a command that does not take one is passed over
    local name=$1 depth
    shift
    for depth in 8 16; do
        ("$@" "$depth.dcm" "$depth-$name.dcm" >&2 || rm -f "$depth-$name.dcm") 2>/dev/null
    done
}
if command -v dcmconv >/dev/null; then
    convert explicit dcmconv +te # with a complete meta header
    convert implicit dcmconv +ti
    convert big dcmconv +tb
    convert deflated dcmconv +td
    convert rle dcmcrle
    convert lossless dcmcjpeg +e1
    convert baseline dcmcjpeg +eb
    convert extended dcmcjpeg +ee
    convert ls dcmcjpls
fi
if command -v dcmconv >/dev/null && command -v gdcmconv >/dev/null; then
    for depth in 8 16; do
        gdcmconv --j2k "$depth-explicit.dcm" "$depth-2000.dcm" >/dev/null 2>&1
    done
fi
for file in ./*.dcm; do
    tail -c +133 "$file" >"$file.tail"
done
seed dicom ./*.dcm.tail

# --- A run, its checkpoints and exports ---

"$PNEUMO_DIST" pack phantoms -o data.h5 --size 8 >/dev/null 2>&1
cat >tiny.ini <<'INI'
[run]
tensorboard = yes
[data]
file = data.h5
size = 8
[model]
name = dense1
[train]
epochs = 2
batch = 8
lanes = 2
INI
"$PNEUMO_DIST" train tiny.ini --run run >/dev/null 2>&1
seed dataset data.h5
seed checkpoint run/best.h5 run/last.h5
"$PNEUMO_DIST" ensemble run/best.h5 run/last.h5 -o average.h5 >/dev/null 2>&1
seed checkpoint average.h5
seed report run/report.json
seed scores run/scores.csv
seed events run/events.out.tfevents.*
for phase in training validating evaluating stopped failed finished; do
    { sed "2s/^[a-z]*/$phase/" run/status.csv && printf '\0' && cat run/history.csv && printf '\0' &&
        printf 'command train\nhost here\nprocess 7\nsince 2024\n'; } >view
    seed run view
done
"$PNEUMO_DIST" export run/best.h5 -o tiny.safetensors >/dev/null 2>&1
seed safetensors tiny.safetensors
"$PNEUMO_DIST" export run/best.h5 -o tiny.keras >/dev/null 2>&1
"$PNEUMO_DIST" export run/best.h5 -o tiny.weights.h5 >/dev/null 2>&1
seed keras tiny.keras tiny.weights.h5 run/best.h5
find "$source/tests/golden/keras" -type f -size -300k | sort >models
while read -r model; do seed keras "$model"; done <models

# No edit of the first HDF5 file among these (tests/fuzz/tree.h).
printf '\0' >edits
for fuzzer in checkpoint dataset keras; do seed "${fuzzer}_tree" edits; done

# --- Texts ---

seed job "$source"/jobs/*.ini
"$PNEUMO_DIST" inspect --job run/best.h5 >whole.ini
seed job whole.ini
table() {
    printf '%s\n' "$@" >table
    seed labels table
}
table 'Image Index,Finding Labels,Patient ID' 'a.png,Pneumonia|Edema,1' 'b.png,No Finding,2'
table 'Path,Frontal/Lateral,No Finding,Pneumonia' 'p/patient00001/study1/view1_frontal.jpg,Frontal,,1.0' \
    'p/patient00002/study1/view1_frontal.jpg,Frontal,1.0,-1'
table 'patientId,x,y,width,height,Target' 'a,1,2,3,4,1' 'a,5,6,7,8,1' 'b,,,,,0'
table 'image_id,class_name,class_id' 'a,Consolidation,1' 'b,No finding,14'
table 'X_ray_image_name,Label,Dataset_type,Label_1_Virus_category' 'a.jpg,Pnemonia,TRAIN,Virus' 'b.jpg,Normal,TEST,'
table '#path=scan,label=report,patient=mrn' 'scan;report;mrn' '"a ""1"".png";pneumonia;7' 'b.png;normal;8'
tree() { # FLAGS TABLE FILE...: what a folder holds (fuzz_scan.c)
    local flags=$1 table=$2
    shift 2
    { printf '%s' "$flags" && printf '\n%s' "$@" && { [[ -z $table ]] || printf '\0%b' "$table"; }; } >tree
    seed scan tree
}
tree '' '' jtrain/NORMAL/IM-0115-0001.jpeg jtrain/PNEUMONIA/person1_virus_1.jpeg pval/NORMAL/b.png ttrain/NORMAL/a.txt
tree a '' jNORMAL/a jPNEUMONIA/b.jfif eNORMAL/.hidden ltest/NORMAL/gone.png fNORMAL/pipe eother/x.webp
tree r '' jset/Normal/1/a.jpg pset/pneumonia/2/b.png jset/set/Normal/1/a.jpg dempty uNORMAL/up oNORMAL/o
tree '' 'Image Index,Finding Labels,Patient ID\na.png,Pneumonia,1\nb.png,No Finding,2\n' pa.png px/b.png
tree mkal 'path,label,fold\nx/a,1,train\nb,0,test\nc,0,val\n' px/a.png jb.jpg jd.jpg
words() {
    printf '%s' "$1" >words
    shift
    printf '\n%s' "$@" >>words
    seed options words
}
words train cnn --run x --set train.epochs=2 -t 2 --seed=7 --resume
words pack DIR -o x.h5 --labels t.csv --columns path=a,label=b --folds 70/15/15
words evaluate a.h5 b.h5 --fold test --threshold 0.5 --card x.md
words doctor --ranks 2,8,64
words predict model.h5 -- -x
words watch runs/a runs/b -n 0.5 --once
words calibrate -o x --target-sens 0.9 y z
