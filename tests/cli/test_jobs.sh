#!/usr/bin/env bash
# Every job in jobs trains, here briefly on a few small phantoms, and writes a complete run: checkpoints
# that h5py and h5dump read, a history, a report with every figure.
. "$(dirname "$0")/common.sh"
make_data 120 >/dev/null
short=(--data data.h5 --set data.size=32 --set model.width=0.3 --set train.batch=32
    --set train.epoch_images=64 --epochs 1 --set train.unfreeze_epoch=0)

names=()
for job in "$PNEUMO_SOURCE"/jobs/*.ini; do
    name=$(basename "$job" .ini)
    names+=("$name")
    small=("${short[@]}")
    case $name in # wide or deep enough to take long, with the tests' sanitizers on
    vgg* | xception*) small+=(--set model.width=0.1 --set train.lanes=4) ;;
    esac
    if grep -q '^weights = ' "$job"; then # its file cannot be had here: starts from another training
        pneumo train "${job%-pretrained.ini}.ini" "${small[@]}" --run "start-$name" \
            --set "data.channels=$(sed -n 's/^channels = //p' "$job")" >/dev/null 2>log ||
            fail "$name: $(cat log)"
        small+=(--weights "start-$name/best.h5")
    fi
    [[ $(head -c 2 "$job") == '# ' ]] || fail "$name.ini does not begin with what it teaches"
    pneumo train "$job" "${small[@]}" >"$name.txt" 2>log || fail "$name: $(cat log)"
    grep -q "^job $name: " "$name.txt" || fail "$name: $(cat "$name.txt")"
    for fold in val test; do
        grep -q "^$fold fold: [1-9]" "$name.txt" || fail "$name: no $fold fold: $(cat "$name.txt")"
    done
    for file in last.h5 best.h5; do
        h5dump -H "runs/$name/$file" >/dev/null || fail "$name: h5dump cannot read $file"
    done
    pneumo inspect "runs/$name/best.h5" >/dev/null || fail "$name: inspect"
    # The job stored in a run reads back to the same job.
    mkdir again
    pneumo inspect --job "runs/$name/best.h5" >"again/$name.ini"
    pneumo train "again/$name.ini" --run again/run >/dev/null 2>log || fail "$name again: $(cat log)"
    cmp "runs/$name/last.h5" again/run/last.h5 || fail "$name: its own job leads elsewhere"
    rm -r again
done
((${#names[@]} > 0)) || fail "no jobs"

/usr/bin/python3 - "${names[@]}" <<'PY'
import csv, json, math, sys
import h5py

FIGURES = ["accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "auc"]
LABELS = {"normal": 0, "pneumonia": 1}


def check_figures(at, images):
    assert 0 <= at["threshold"] <= 1, at
    cells = at["confusion"]
    assert cells["true_positive"] + cells["false_negative"] == images["pneumonia"], at
    assert cells["true_negative"] + cells["false_positive"] == images["normal"], at
    for name in FIGURES:
        figure = at[name]
        if figure["value"] is None: # such as the precision of a model that never says pneumonia
            assert name in ("precision", "f1") and cells["true_positive"] == 0, (name, at)
            continue
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1, (name, figure)
        assert figure["low"] < figure["high"], (name, figure)
    assert math.isclose(at["sensitivity"]["value"], cells["true_positive"] / images["pneumonia"])
    assert math.isclose(at["specificity"]["value"], cells["true_negative"] / images["normal"])


def check_report(report, folds, of_causes, on_changed):
    assert list(report["folds"]) == ["val", "test"]
    for name, fold in report["folds"].items():
        check_figures(fold["chosen"], folds[name])
        check_figures(fold["half"], folds[name])
        assert fold["half"]["threshold"] == 0.5
        assert fold["chosen"]["threshold"] == report["decision"]["threshold"]
        assert ("causes" in fold) == of_causes
    assert report["decision"]["fold"] == ("val changed" if on_changed else "val")
    assert report["epochs"] == report["best_epoch"] == 1
    assert isinstance(report["warnings"], list)


def check_checkpoint(file, report):
    assert file["state"].attrs["epoch"] == 1 and file["state"].attrs["finished"] == 1
    assert file["decision"].attrs["threshold"] == report["decision"]["threshold"]
    assert file["state"].attrs["data_digest"].decode() == report["data"]["digest"]
    weights = file["model_weights"]
    count = sum(weights[layer][name].size for layer in weights.attrs["layer_names"]
                for name in weights[layer].attrs["weight_names"]
                if b"moving" not in name)
    assert count == report["parameters"], (count, report["parameters"])
    assert file["history"]["epoch"].tolist() == [1]


with h5py.File("data.h5") as data:
    folds = {fold: {label: int(data.attrs[f"count_{fold}_{label}"]) for label in LABELS}
             for fold in ("val", "test")}
for job in sys.argv[1:]:
    try:
        report = json.load(open(f"runs/{job}/report.json"))
        with h5py.File(f"runs/{job}/last.h5") as file:
            check_checkpoint(file, report)
            text = file["job"][()]
            of_causes = b"\ntask = cause\n" in text
            on_changed = b"\nthreshold_on = stress\n" in text
        check_report(report, folds, of_causes, on_changed)
        rows = list(csv.DictReader(open(f"runs/{job}/history.csv")))
        assert len(rows) == 1 and all(
            math.isfinite(float(value)) == (name != "val_stress_auc" or on_changed)
            for name, value in rows[0].items()), rows
    except BaseException:
        print(f"FAILED: {job}", file=sys.stderr)
        raise
print(f"{len(sys.argv) - 1} jobs train, and their runs are whole")
PY
