#!/usr/bin/env bash
# doctor finds problems before a run does, says in one line what is wrong and how to solve it, fails only
# if the job would fail, makes predictions consistent with its measurements, and leaves no files behind.
. "$(dirname "$0")/common.sh"
trap 'umount "$here"/disk 2>/dev/null || true; rm -rf "$here"' EXIT
make_data 120
write_small_job
mkdir work
mv data.h5 small.ini work
cd work
short=(small.ini --threads 1 --steps 2)
pair=(mpirun --oversubscribe --bind-to none -np 2 "$PNEUMO_DIST")

# examine CODE COMMAND...: expects that exit code, no files, and one line per check.
examine() {
    local expected=$1 got=0 before
    shift
    before=$(find . | sort)
    timeout -k 5 120 "$@" >../out 2>../log || got=$?
    [[ $got == "$expected" ]] || fail "$*: exit code $got, not $expected: $(cat ../out ../log)"
    [[ $before == "$(find . | sort)" ]] || fail "$*: left $(find . -newer ../out)"
    ! grep -nE 'Sanitizer|runtime error|Segmentation' ../log || fail "$*: it crashed"
}

# finds STATE NAME REGEX: checks that the last output has that line.
finds() {
    grep -qE "^$1 +$2 .*$3" ../out || fail "no line '$1 $2 ... $3' in: $(cat ../out ../log)"
}

# --- No problems ---

examine 0 "$PNEUMO_DIST" doctor "${short[@]}"
for name in ranks program MPI BLAS HDF5 instructions products 'data set' 'run folder' lanes memory \
    network step; do
    grep -qE "^(ok|warn) +$name " ../out || fail "no line '$name': $(cat ../out)"
done
[[ ! -s ../log ]] || fail "words on standard error: $(cat ../log)"
[[ $(grep -cE '^ +(2|8|64|512) ' ../out) == 4 ]] || fail "no predictions: $(cat ../out)"
cp ../out ../alone

examine 0 "${pair[@]}" doctor "${short[@]}"
finds ok 'shared sums' 'groups of 2 ranks'
examine 0 "${pair[@]}" doctor "${short[@]}" --set run.share_ranks=1
finds ok 'shared sums' 'none: run.share_ranks = 1'

examine 0 "${pair[@]}" doctor "${short[@]}" --json --ranks 1,2,64,5000
[[ $(wc -l <../out) == 1 ]] || fail "--json: not one line"
cp ../out ../two.json
for bandwidth in 1 100; do
    examine 0 "$PNEUMO_DIST" doctor "${short[@]}" --json --ranks 64 --bandwidth $bandwidth \
        --latency 20 --per-host 4 --spread 0
    cp ../out ../$bandwidth.json
done
examine 0 "$PNEUMO_DIST" doctor "${short[@]}" --json --strong --ranks 1,16,32,33
cp ../out ../strong.json

# --- Problems ---

# Where the job fails, doctor fails: the check's line gives the reason, standard error the count.
broken() {
    finds FAIL "$@"
    grep -qE '^pneumo-dist: error: .*job small: [0-9]+ of [0-9]+ checks failed' ../log ||
        fail "no verdict: $(cat ../log)"
}
examine 1 "$PNEUMO_DIST" doctor "${short[@]}" --data nowhere.h5
broken 'data set' "nowhere.h5: cannot open: .*pneumo-dist pack"
finds '(ok|warn)' step 'images/s|images;' # the other checks still run

examine 1 "$PNEUMO_DIST" doctor "${short[@]}" --run data.h5/run
broken 'run folder' "data.h5.*: make it writable, or give another folder with --run"

mkdir held
touch held/last.h5
examine 0 "$PNEUMO_DIST" doctor "${short[@]}" --run held
finds warn 'run folder' 'already contains a run: .*--resume'

mkdir disk
if mount -t tmpfs -o size=1m tmpfs disk 2>/dev/null; then
    examine 1 "$PNEUMO_DIST" doctor "${short[@]}" --run disk/run
    broken 'run folder' '(four checkpoints take|No space left).*: free space, or give another folder with --run'
    dd if=/dev/zero of=disk/full bs=1M count=2 2>/dev/null || true
    examine 1 "$PNEUMO_DIST" doctor "${short[@]}" --run disk/run
    broken 'run folder' 'No space left on device .*: free space, or give another folder with --run'
    umount disk
else
    echo "(a full disk: left out, without the right to mount)"
fi

# A job too large for any machine is found by planning, without allocating.
examine 1 "$PNEUMO_DIST" doctor "${short[@]}" --set data.size=4096 --set train.batch=1024 \
    --set train.epoch_images=1024
broken memory 'the job needs .*TiB, and .* are free within all limits: use more hosts'
! grep -q '^ok *step' ../out || fail "it trained a job that does not fit"
if ((!sanitized)); then # whose address space cannot be limited
    wide=(--set model.name=mlp2 --set model.hidden=65536 --set data.size=64)
    limit=$((8 << 20)) # KiB; the job needs about 20 GiB
    examine 1 bash -c "ulimit -v $limit; exec \"\$@\"" - "$PNEUMO_DIST" doctor "${short[@]}" \
        "${wide[@]}"
    broken memory '(may map only|the job needs)'
fi

examine 1 "${pair[@]}" doctor "${short[@]}" --set train.lanes=1
broken lanes '2 ranks are more than train.lanes = 1: raise it to 2'
examine 0 "${pair[@]}" doctor "${short[@]}" --set train.lanes=3 --set train.batch=33
finds warn lanes '3 lanes over 2 ranks: .*utilisation is 75 %'

# Ranks with different file systems: another data set, a folder that other ranks cannot read.
mkdir other
pneumo synth ../more --images 80 --seed 4 2>/dev/null
pneumo pack ../more -o other/data.h5 --size 32 >/dev/null 2>&1
cp small.ini other
two=(mpirun --oversubscribe --bind-to none -np 1 "$PNEUMO_DIST" doctor "${short[@]}" : -np 1
    --wdir "$PWD/other" "$PNEUMO_DIST" doctor "${short[@]}")
examine 1 "${two[@]}"
broken 'data set' 'data.h5 has digest .*, but .*rank 1.*where all hosts can read it'
broken 'run folder' 'rank 1 on .* cannot read what rank 0 .* writes .*that all hosts share'

# Hosts with different processors, and OpenBLAS with the kernels of an old processor.
if [[ $(uname -m) == x86_64 ]]; then
    old=Prescott
    grep -q "BLAS core *$old" ../alone && old=Nehalem
    examine 0 mpirun --oversubscribe --bind-to none -np 1 "$PNEUMO_DIST" doctor "${short[@]}" : \
        -np 1 -x OPENBLAS_CORETYPE=$old "$PNEUMO_DIST" doctor "${short[@]}"
    finds warn 'BLAS core' "$old on .*rank 1.*: bits will depend .*set OPENBLAS_CORETYPE="
    if grep -q avx2 /proc/cpuinfo; then
        finds warn 'BLAS core' "OpenBLAS uses kernels for $old on .*rank 1.*, .*unset OPENBLAS_CORETYPE"
    fi
fi

# More threads than cores.
examine 0 "$PNEUMO_DIST" doctor "${short[@]}" --threads $(($(nproc) + 1))
finds warn binding "is bound to $(nproc) core.*taskset"
! grep -q 'binding .*mpirun' ../out || fail "advice for a launcher that is not there: $(cat ../out)"
examine 0 "${pair[@]}" doctor "${short[@]}" --threads $(($(nproc) + 1))
finds warn binding "start with mpirun --bind-to none"

# --- Consistency of the figures ---

/usr/bin/python3 - <<'PY'
import json, math


def load(name):
    figures = json.load(open(f"../{name}.json"))
    assert figures["failures"] == 0 and figures["job"] == "small", figures
    states = [check["state"] for check in figures["checks"]]
    assert states.count("warn") == figures["warnings"], figures
    assert all(check["name"] and check["text"] for check in figures["checks"]), figures
    for row in figures["predictions"]:
        if row["possible"]:
            assert math.isclose(sum(row["parts"].values()), row["seconds_per_step"], rel_tol=1e-6)
            assert math.isclose(row["images_per_second"] * row["seconds_per_step"], row["batch"],
                                rel_tol=1e-6), row
            assert 0 < row["efficiency"] <= 1.000001, row
    return figures


two = load("two")
measured = two["measured"]
assert two["ranks"] == 2 and measured["samples"] == 16 and measured["bucket"] == 2**18, two
# cnn-deep: ten normalisations, two sums each, of two numbers per channel; the loss; the signals.
channels = 2 * sum(round(0.3 * c) for c in (24, 48, 96, 160, 256))
assert measured["sums"] == 2 * 10 + 2, measured
assert 0.9 < measured["sum_numbers"] / (4 * channels + 2) < 1.1, (measured, channels)
rows = {row["ranks"]: row for row in two["predictions"]}
one = rows[1]["parts"]
assert math.isclose(one["compute"], measured["forward"] + measured["backward"], rel_tol=1e-6), one
assert one["messages"] == one["network"] == 0 and one["stragglers"] < 1e-12, one
assert rows[2]["batch"] == 32 and rows[64]["batch"] == 1024 and rows[64]["lanes"] == 64, rows
assert rows[5000] == {"ranks": 5000, "possible": False}, rows
assert rows[64]["seconds_per_step"] > rows[1]["seconds_per_step"], rows
assert measured["local"]["overhead"] > 0 and measured["local"]["bandwidth"] > 0, measured

slow, fast = (load(name)["predictions"][0]["parts"] for name in ("1", "100"))
assert slow["network"] > 20 * fast["network"] > 0, (slow, fast)
assert slow["stragglers"] == 0 and math.isclose(slow["messages"], fast["messages"]), (slow, fast)
assert load("1")["measured"]["host_ranks"] == 4

rows = load("strong")["predictions"]
assert [row.get("batch") for row in rows] == [32, 32, 32, None], rows
assert [row.get("lanes") for row in rows] == [8, 16, 32, None], rows
assert math.isclose(rows[2]["parts"]["compute"] * 32, rows[0]["parts"]["compute"],
                    rel_tol=1e-6), rows
PY

# --- Wrong usage ---

# refuse PATTERN ARGUMENT...: expects exit code 2 and one line.
refuse() {
    local pattern=$1 got=0
    shift
    pneumo doctor "$@" >../out 2>../log || got=$?
    [[ $got == 2 && ! -s ../out && $(wc -l <../log) == 1 ]] && grep -qE -e "$pattern" ../log ||
        fail "doctor $*: exit code $got: $(cat ../out ../log)"
}
refuse "unexpected argument 'cnn'" small.ini cnn
refuse "--ranks '2,x' is not a list" small.ini --ranks 2,x
refuse "--bandwidth '0' is not a number above 0" small.ini --bandwidth 0
refuse "--spread '-1' is not a number of at least 0" small.ini --spread -1
refuse "--steps '0' is not a whole number" small.ini --steps 0
echo "doctor: $(grep -cE '^(ok|warn)' ../alone) checks alone, 12 faults found"
