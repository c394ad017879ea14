#!/usr/bin/env python3
"""Shows that two builds of the program train the same weights, bit for bit.

    tests/bench/same_arrays.py OLD NEW

trains a list of small jobs with both programs on synthetic radiographs: every model, precision,
optimiser, schedule, regulariser, balance and augmentation, and fine-tuning in two stages, each on 1,
3 and 8 ranks. Then it compares all arrays of the last and best checkpoints, except times and texts,
and the scores. Takes about five minutes on 2 cores. OLD may be a folder with the results of an
earlier run (--keep) instead of a program.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py

SMALL = ["data.size=32", "model.width=0.25", "train.batch=32", "train.epoch_images=96",
         "train.epochs=2", "evaluate.stress_images=8"]
AUGMENT = ["augment.crop_min=0.4", "augment.crop_max=1.6", "augment.flip=yes", "augment.rotate=10",
           "augment.translate=0.1", "augment.brightness=0.2", "augment.contrast=0.2",
           "augment.black=0.5", "augment.gamma=0.5", "augment.blur=0.02",
           "augment.resample_min=0.5", "augment.sharpen=0.5", "augment.noise=0.02",
           "augment.border=0.1", "augment.erase=0.2"]
CASES = {
    "dense1": ["model.name=dense1", "train.optimizer=sgd", "train.nesterov=yes"],
    "dense1-l1": ["model.name=dense1", "regularise.l1=1e-3", "regularise.l2=1e-3",
                  "train.optimizer=rmsprop", "train.momentum=0.5"],
    "mlp2": ["model.name=mlp2", "model.hidden=16", "model.dropout=0.3", "train.optimizer=adam",
             "regularise.label_smoothing=0.1", "data.balance=weights"],
    "cnn": ["model.name=cnn", "model.hidden=16", "train.schedule=cosine", "train.clip_norm=1",
            "train.warmup_epochs=1", "evaluate.views=zoom", "data.scaling=image"],
    "cnn-mpi": ["model.name=cnn", "model.hidden=16", "train.schedule=step", "train.step_epochs=1",
                "model.init=he-uniform", "augment.mixup=0.3"],
    "cnn-deep": ["model.name=cnn-deep", "model.dropout=0.1", "train.ema=0.9",
                 "regularise.weight_decay=0.02", "data.balance=oversample", "train.monitor=stress",
                 "evaluate.threshold_on=stress", "evaluate.threshold_rule=both", *AUGMENT],
    "cnn-deep-lane": ["model.name=cnn-deep", "model.batchnorm=lane", "train.plateau_epochs=1",
                      "train.schedule=constant", "evaluate.views=auto"],
    "cnn-deep-cause": ["model.name=cnn-deep", "data.task=cause"],
    "cnn-deep-stream": ["model.name=cnn-deep", "run.images=stream", "run.bucket_kib=4",
                        "data.balance=shape"],
    "cnn-deep-stages": ["model.name=cnn-deep", "model.freeze=block3", "train.unfreeze_epoch=2",
                        "train.rate_decay=0.8", "regularise.l2_sp=0.01"],
    "vgg16": ["model.name=vgg16", "data.channels=3", "model.head=dense", "model.width=0.1"],
    "vgg19": ["model.name=vgg19", "model.normalise=yes", "model.width=0.1"],
    "xception": ["model.name=xception", "model.width=0.1", "train.monitor=loss"],
    "xception-bf16": ["model.name=xception", "model.width=0.1", "model.precision=bf16"],
}
RANKS = (1, 3, 8)
TEXTS = ("state", "job", "profile")  # arrays of times, texts or paths


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stderr}")


def train_all(program, data, folder):
    for name, settings in CASES.items():
        folder.mkdir(parents=True, exist_ok=True)
        job = folder / f"{name}.ini"
        sections = {}
        for setting in dict(text.split("=", 1) for text in SMALL + settings).items():
            section, key = setting[0].split(".")
            sections.setdefault(section, []).append(f"{key} = {setting[1]}\n")
        job.write_text("".join(f"[{s}]\n" + "".join(lines) for s, lines in sections.items()))
        for ranks in RANKS:
            launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", ranks]
            run(*(launcher if ranks > 1 else []), program, "train", job, "-d", data, "-t", 1,
                "--run", folder / f"{name}-{ranks}")
        print(f"{folder.name}: {name}", file=sys.stderr, flush=True)


def arrays(path):
    """The name and bytes of every numeric array of a checkpoint."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and \
                not name.startswith(TEXTS):
            found[name] = item[()].tobytes()

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        found.update({f"decision@{key}": repr(value) for key, value in
                      file["decision"].attrs.items() if not isinstance(value, (str, bytes))})
    return found


def compare(old, new):
    differ = compared = 0
    for name in CASES:
        for ranks in RANKS:
            run_name = f"{name}-{ranks}"
            for file in ("last.h5", "best.h5"):
                a, b = arrays(old / run_name / file), arrays(new / run_name / file)
                compared += len(a)
                for array in sorted(a.keys() | b.keys()):
                    if a.get(array) != b.get(array):
                        differ += 1
                        print(f"{run_name}/{file}: {array} differs")
            if (old / run_name / "scores.csv").read_bytes() != \
                    (new / run_name / "scores.csv").read_bytes():
                differ += 1
                print(f"{run_name}: scores differ")
    print(f"{len(CASES)} jobs on {', '.join(map(str, RANKS))} ranks: {compared} arrays compared, "
          f"{differ} differ")
    return differ


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=pathlib.Path, metavar="OLD")
    parser.add_argument("new", type=pathlib.Path, metavar="NEW")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for the results")
    arguments = parser.parse_args()
    os.environ.update(OMP_WAIT_POLICY="passive", OMPI_MCA_mpi_yield_when_idle="1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (arguments.keep or pathlib.Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        data = folder / "data.h5"
        results = []
        for name, program in (("old", arguments.old.resolve()), ("new", arguments.new.resolve())):
            if program.is_dir():
                results.append(program)
                continue
            if not data.exists():
                run(program, "synth", folder / "phantoms", "--images", 160, "--seed", 5)
                run(program, "pack", folder / "phantoms", "-o", data, "--size", 32)
            train_all(program, data, folder / name)
            results.append(folder / name)
        sys.exit(1 if compare(*results) else 0)


if __name__ == "__main__":
    main()
