#!/usr/bin/env bash
# A data set, a checkpoint or a model that another program writes, or wrote when it crashed, is said to be
# that, by every command; once the mark is removed, it is read.
. "$(dirname "$0")/common.sh"
command -v h5clear >/dev/null || { echo "h5clear (hdf5-tools) is missing"; exit 77; }
/usr/bin/python3 -c 'import h5py' 2>/dev/null || { echo "h5py is missing"; exit 77; }
make_data 80
write_small_job
short=(train small.ini --epochs 1 --set train.epoch_images=32 --set evaluate.stress=no)
pneumo "${short[@]}" --run run >/dev/null 2>log || fail "$(cat log)"
cp run/best.h5 keras.h5

# crash FILE: another program dies while it writes.
crash() {
    /usr/bin/python3 - "$1" <<'PY'
import h5py, os, sys
file = h5py.File(sys.argv[1], "r+", libver="latest")
file.attrs["note"] = "mine"
file.flush()
os._exit(0)
PY
}

# says FILE COMMAND...: one line that names the file and h5clear; the command's own work afterwards.
says() {
    local file=$1 code=0
    shift
    crash "$file"
    "$PNEUMO_DIST" "$@" >out 2>log || code=$?
    [[ $code == 1 && $(grep -c error: log) == 1 ]] || fail "$*: exit code $code: $(cat log)"
    grep -q "error: $file: is marked as open for writing: .*'h5clear -s $file'" log || fail "$*: $(cat log)"
    ! grep -q damaged log || fail "$*: $(cat log)"
    h5clear -s "$file"
}

says data.h5 "${short[@]}" --run other
says data.h5 inspect data.h5
says data.h5 evaluate run/best.h5 --data data.h5
says run/best.h5 evaluate run/best.h5 --data data.h5
says run/best.h5 predict run/best.h5 phantoms/train/NORMAL
says run/best.h5 export run/best.h5 -o out.keras
says keras.h5 import keras.h5 -o in.h5 --scaling 0..1
for arguments in "inspect data.h5" "evaluate run/best.h5 --data data.h5" "inspect run/best.h5"; do
    # shellcheck disable=SC2086 # several words
    pneumo $arguments >/dev/null 2>log || fail "$arguments after h5clear: $(cat log)"
done

# While the other program has it open.
/usr/bin/python3 - <<'PY' &
import h5py, time
file = h5py.File("data.h5", "r+", libver="latest")
open("opened", "w").close()
time.sleep(60)
PY
other=$!
until [[ -e opened ]]; do sleep 0.1; done
! pneumo inspect data.h5 >/dev/null 2>log || fail "it reads what another program writes"
grep -q 'error: data.h5: another program has it open for writing: close it there' log || fail "$(cat log)"
kill "$other"
echo "files of other writers: named as such"
