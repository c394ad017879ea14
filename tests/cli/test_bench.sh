#!/usr/bin/env bash
# bench times any job, on one and two ranks, without a data set: its JSON is one line whose figures are
# consistent with each other and with the network, its tables are aligned, and wrong usage gives one line.
. "$(dirname "$0")/common.sh"
small=(--batch 16 --size 32 --channels 3 --threads 1 --steps 3)
mkdir work
cp "$PNEUMO_SOURCE"/jobs/{mlp2,cnn-deep}.ini work
cd work
for job in mlp2 cnn-deep; do
    pneumo bench $job.ini "${small[@]}" --json >../$job.1 2>../log || fail "$job: $(cat ../log)"
    [[ ! -s ../log ]] || fail "$job --json: words on standard error: $(cat ../log)"
    ranks 2 bench $job.ini "${small[@]}" --set run.reduction=mpi --json >../$job.2 2>../log ||
        fail "$job on 2 ranks: $(cat ../log)"
    pneumo bench $job.ini "${small[@]}" >../$job.table 2>../log || fail "$job: $(cat ../log)"
done
for count in 1 2; do
    ranks $count bench cnn-deep.ini "${small[@]}" --layers --json >../layers.$count 2>../log ||
        fail "--layers on $count ranks: $(cat ../log)"
done
pneumo bench cnn-deep.ini "${small[@]}" --set model.precision=bf16 --layers --json >../layers.half 2>../log ||
    fail "--layers in bf16: $(cat ../log)"
pneumo bench cnn-deep.ini "${small[@]}" --layers >../layers.table 2>../log || fail "--layers: $(cat ../log)"
for options in "" "--set model.precision=bf16" "--batch 3 --set train.lanes=1"; do
    pneumo bench cnn-deep.ini "${small[@]}" $options --inference --json >>../inference 2>../log ||
        fail "--inference $options: $(cat ../log)"
done
pneumo bench cnn-deep.ini "${small[@]}" --inference >../inference.table 2>../log || fail "$(cat ../log)"
! ranks 2 bench cnn-deep.ini "${small[@]}" --inference >../out 2>../log || fail "--inference on 2 ranks"
grep -q "leave out mpirun" ../log || fail "--inference on 2 ranks: $(cat ../log)"
frozen=(--set model.freeze=base)
pneumo bench cnn-deep.ini "${small[@]}" "${frozen[@]}" --json >../frozen.1 2>../log || fail "$(cat ../log)"
pneumo bench cnn-deep.ini "${small[@]}" "${frozen[@]}" >../frozen.table 2>../log || fail "$(cat ../log)"
grep -q "^frozen: 20 of 21 layers with weights, 1,490,792 parameters$" ../frozen.table ||
    fail "$(head -3 ../frozen.table)"
[[ $(ls) == $'cnn-deep.ini\nmlp2.ini' ]] || fail "bench left $(ls)"
cd ..

/usr/bin/python3 - <<'PY'
import json, math

BATCH, SIZE = 16, 32
PARTS = ["forward", "backward", "reduction", "waiting", "statistics", "update", "rest"]


def conv_gflop():
    """Of cnn-deep: forward, and backward, where the first layer has no input gradient."""
    forward, first, side, c = 0, 0, SIZE, 3
    for k in (24, 48, 96, 160, 256):
        for c in (c, k):
            forward += 2e-9 * BATCH * side * side * 9 * c * k
            first = first or forward
        side //= 2
        c = k
    return forward, 2 * forward - first


def dense_gflop(inputs, units):
    return 2e-9 * BATCH * inputs * units


PIXELS = SIZE * SIZE * 3
FIRST, LAST = dense_gflop(PIXELS, 128), dense_gflop(128, 1)
EXPECTED = {  # kind: layers, forward and backward GFLOP; 0: does not run backward
    "mlp2": {"flatten": (1, None, 0), "dense": (2, FIRST + LAST, FIRST + 2 * LAST)},
    "cnn-deep": {"conv": (10, *conv_gflop()), "batchnorm": (10, None, None),
                 "maxpool": (4, None, None), "globalpool": (1, None, None), "dropout": (1, None, None),
                 "dense": (1, dense_gflop(256, 1), 2 * dense_gflop(256, 1))},
}


def same(a, b):
    assert math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-8), (a, b)


def check_kinds(kinds, expected, step):
    assert list(kinds) == [*expected, "lane fold"], list(kinds)
    for name, (layers, *gflop) in expected.items():
        at = kinds[name]
        assert at["layers"] == layers, (name, at)
        same(at["share"], (at["forward"] + at["backward"]) / step)
        for way, counted in zip(("forward", "backward"), gflop):
            assert (at[way] > 0) == (counted != 0), (name, at)
            if not counted:
                assert at[f"{way}_gflops"] is None, (name, at)
            else:
                same(at[f"{way}_gflops"] * at[way], counted)


def check(job, ranks):
    text = open(f"{job}.{ranks}").read()
    assert text.count("\n") == 1 and text.endswith("\n"), text
    figures = json.loads(text)
    expected = {"model": job, "batch": BATCH, "size": SIZE, "channels": 3, "lanes": 8, "threads": 1,
                "ranks": ranks, "steps": 3, "reduction": "exact" if ranks == 1 else "mpi"}
    for key, value in expected.items():
        assert figures[key] == value, (key, figures[key])
    step, parts, kinds = figures["seconds_per_step"], figures["parts"], figures["kinds"]
    same(figures["images_per_second"] * step, BATCH)
    assert 0 < figures["seconds_fastest"] <= step <= figures["seconds_slowest"], figures
    assert 5 < figures["peak_rss_mib"] < 2000, figures
    assert list(parts) == PARTS, parts
    same(sum(parts.values()), step)
    assert all(parts[name] >= 0 for name in PARTS[:-1]), parts
    check_kinds(kinds, EXPECTED[job], step)
    if ranks == 1:  # with more, ranks differ from their mean
        assert abs(parts["rest"]) < 0.1 * step, parts
        layers = sum(at["forward"] + at["backward"] for at in kinds.values())
        network = parts["forward"] + parts["backward"] + parts["statistics"]
        assert 0.6 * network < layers < 1.01 * network, (layers, network)
    return figures["parameters"]


def check_table(job):
    text = open(f"{job}.table").read()
    for word in (f"model {job}", "images/s", "MiB", "median of 3", *PARTS):
        assert word in text, (word, text)
    table = text.split("\n\n")[-1].splitlines()[1:]
    assert len(table) == 2 + len(EXPECTED[job]) and len({len(line) for line in table}) == 1, table


def expected_bytes(ranks, element):
    """Of the layers of cnn-deep: (forward, backward) by the definition in network.h, from the layers'
    shapes alone. The network is made of convolutions without bias, each with a normalisation."""
    lanes, side, c = 8, SIZE, 3
    for block, width in enumerate((24, 48, 96, 160, 256)):
        for k in (width, width):
            x, y = (element * BATCH * side * side * n for n in (c, k))
            weights = 4 * 9 * c * k
            first = c == 3
            yield (x + y + ranks * weights,
                   2 * x + y - (x if first else 0) + lanes * weights + (0 if first else ranks * weights))
            c = k
        side //= 2


def check_layers(name, ranks, element=4):
    figures = json.loads(open(name).read())
    peaks, layers = figures["peaks"], figures["layers"]
    assert peaks["gflops"] > 0.1 and peaks["gbytes"] > 0.05, peaks
    assert len({at["name"] for at in layers}) == len(layers) == 27, layers
    for kind, of in figures["kinds"].items():
        same_kind = [at for at in layers if at["kind"] == kind]
        assert len(same_kind) == of["layers"], (kind, of)
        for way in ("forward", "backward"):
            seconds = sum(at[way]["seconds"] for at in same_kind)
            if kind != "lane fold":
                same(seconds, of[way])
            if of[f"{way}_gflops"] is not None:
                same(sum(at[way]["flops"] for at in same_kind), of[f"{way}_gflops"] * of[way] * 1e9)
    for at in layers:
        assert at["forward"]["bytes"] > 0 and at["backward"]["bytes"] > 0, at
    found = [(at["forward"]["bytes"], at["backward"]["bytes"]) for at in layers if at["kind"] == "conv"]
    for of, by_hand in zip(found, expected_bytes(ranks, element), strict=True):
        same(of[0], by_hand[0])
        same(of[1], by_hand[1])


passes = [json.loads(line) for line in open("inference")]
assert [of["batch"] for of in passes] == [BATCH, BATCH, 3], passes
for of in passes:
    assert of["model"] == "cnn-deep" and of["passes"] == 3 and of["threads"] == 1, of
    same(of["images_per_second"] * of["seconds_per_batch"], of["batch"])
step = json.loads(open("cnn-deep.1").read())
assert 0 < passes[0]["seconds_per_batch"] < step["seconds_per_step"], (passes, step)
assert passes[0]["peak_rss_mib"] < step["peak_rss_mib"], (passes, step)
for word in ("inference, batch 16, input 32x32x3", "median of 3", "images/s", "MiB"):
    assert word in open("inference.table").read(), word

check_layers("layers.1", 1)
check_layers("layers.2", 2)
check_layers("layers.half", 1, element=2)
text = open("layers.table").read()
table = text.split("\n\n")[-1].splitlines()
assert "GFLOP/s, products of" in text and "GB/s, a triad of" in text, text
assert table[0].split() == ["layer", "ms", "GFLOP/s", "peak", "GB/s", "peak", "limit"], table[0]
assert len(table) == 1 + 2 * 27 and all(len(line) < 80 for line in table), table
assert all(line.split()[-1] in ("memory", "compute") for line in table[1:]), table
assert "layers" not in json.loads(open("cnn-deep.1").read()), "--layers was not given"

frozen = json.loads(open("frozen.1").read())
assert frozen["frozen"] == 1490792 and frozen["parameters"] == 1490792 + 257, frozen
for name, at in frozen["kinds"].items():  # only the last layer runs backward
    assert at["forward"] > 0 or name == "lane fold", (name, at)
    assert (at["backward"] > 0) == (name in ("dense", "lane fold")), (name, at)

for job in EXPECTED:
    parameters = {check(job, ranks) for ranks in (1, 2)}
    assert len(parameters) == 1, parameters
    check_table(job)
assert check("mlp2", 1) == PIXELS * 128 + 128 + 128 + 1
PY

cd work
# refuse CODE PATTERN ARGUMENT...: expects that exit code and one line that matches.
refuse() {
    local code=$1 pattern=$2 got=0
    shift 2
    pneumo bench "$@" >out 2>log || got=$?
    [[ $got == "$code" ]] || fail "bench $*: exit code $got, not $code: $(cat log)"
    [[ ! -s out && $(wc -l <log) == 1 ]] && grep -qE -e "$pattern" log || fail "bench $*: $(cat out log)"
}
refuse 2 "leave out --layers" mlp2.ini "${small[@]}" --inference --layers
refuse 2 "missing argument JOB" --batch 8
refuse 2 "unexpected argument 'cnn'" mlp2 cnn
refuse 2 "unknown option '--fast'" mlp2 --fast
refuse 2 "option '--size' requires a value" mlp2 --size
refuse 2 "--steps '0' is not a whole number from 1 to 10000" mlp2 --steps 0
refuse 2 "data.batchnorm" mlp2.ini --set data.batchnorm=lane
refuse 2 "data.size=-1" mlp2.ini --size -1
refuse 2 "data.size = 0 .*; give --size" mlp2.ini --size 0
refuse 2 "train.batch=many" mlp2.ini --batch many
refuse 1 "channels = 2 is neither 1 nor 3" mlp2.ini --channels 2
refuse 1 "batch = 4 is not a multiple of lanes = 8: .*train.lanes" mlp2.ini --batch 4
refuse 1 "unknown job 'nowhere'" nowhere
! ranks 2 bench mlp2.ini --batch 4 --set train.lanes=1 >out 2>log || fail "2 ranks for 1 lane"
grep -q "raise lanes\|train.lanes" log || fail "2 ranks for 1 lane: $(cat log)"

# The comparisons with other programs print their help with or without these programs.
for script in targets compare_torch compare_onnx predict_torch job_torch growth; do
    /usr/bin/python3 "$PNEUMO_SOURCE/tests/bench/$script.py" --help >out || fail "$script.py"
    grep -q "^usage: $script.py" out && grep -q "^example: " out || fail "$(cat out)"
done
echo "bench: two jobs, one and two ranks"
