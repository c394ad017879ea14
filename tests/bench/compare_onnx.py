#!/usr/bin/env python3
"""Compares the network alone in inference with ONNX Runtime, on the model that `export` writes.

A checkpoint of each model is trained for one step on phantoms and exported as ONNX, as it is and
with batch normalisation folded. `pneumo-dist bench --inference` and ONNX Runtime of peers.txt
then alternate, each in a fresh process, on random images in memory; medians count, and of ONNX
Runtime the faster of the two files. The time of neither includes decoding or loading.
"""
import argparse
import json
import pathlib
import resource
import statistics
import sys
import tempfile
import time

import peers


def onnx_passes(path, batch, threads, passes):
    """Times ONNX Runtime in this process."""
    import numpy
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    shape = [batch, *given.shape[1:]]
    images = numpy.random.default_rng(0).uniform(0, 255, shape).astype(numpy.float32)
    seconds = []
    for _ in range(passes + 1):
        start = time.perf_counter()
        session.run(None, {given.name: images})
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"rate": batch / statistics.median(seconds[1:]),
                      "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                      "version": onnxruntime.__version__}))


def export(options, folder, model):
    """The files of a model, trained for one step: {name: path}."""
    data, run = folder / "data.h5", folder / model
    lanes = 4
    peers.Done([options.program, "train", model, "--data", data, "--run", run, "--epochs", 1,
                "--set", f"data.size={options.size}", "--set", "data.channels=1",
                "--set", f"train.batch={lanes}", "--set", f"train.lanes={lanes}",
                "--set", f"train.epoch_images={lanes}", "--set", "model.weights=",
                "--set", "train.unfreeze_epoch=0", "--set", "train.monitor=auc",
                "--set", "evaluate.stress=no", "--set", "evaluate.threshold_on=validation"])
    files = {"onnx": folder / f"{model}.onnx", "onnx, folded": folder / f"{model}-folded.onnx"}
    for (name, path), more in zip(files.items(), ([], ["--fold-batchnorm"])):
        peers.Done([options.program, "export", run / "best.h5", "-o", path, *more])
    return files


def compare(options, model):
    """Results of peers.alternate for one model."""
    with tempfile.TemporaryDirectory(prefix="onnx-") as name:
        folder = pathlib.Path(name)
        peers.Done([options.program, "synth", folder / "phantoms", "--images", 60])
        peers.Done([options.program, "pack", folder / "phantoms", "-o", folder / "data.h5",
                    "--size", options.size])
        files = export(options, folder, model)

        def ours():
            figures = peers.Done([options.program, "bench", model, "--inference", "--batch",
                                  options.batch, "--size", options.size, "--channels", 1,
                                  "--threads", options.threads, "--steps", options.passes, "--set",
                                  "train.lanes=1", "--set", "model.weights=", "--json"]).json()
            return {"rate": figures["images_per_second"], "mib": figures["peak_rss_mib"]}

        def theirs(path):
            return peers.Done([options.peer, __file__, "--onnx", path, options.batch,
                               options.threads, options.passes]).json()
        turns = {"ours": ours}
        turns.update({of: lambda path=path: theirs(path) for of, path in files.items()})
        return peers.alternate(turns, options.rounds, classes={"ours": "ours"})


def parse(arguments=None):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="example: tests/bench/compare_onnx.py cnn-deep --size 112")
    p.add_argument("models", nargs="*", metavar="JOB", default=["cnn-deep", "vgg16", "xception"],
                   help="names of jobs (default: cnn-deep vgg16 xception)")
    p.add_argument("--rounds", type=int, default=5, help="default 5")
    p.add_argument("--passes", type=int, default=9, help="timed passes per run (default 9)")
    p.add_argument("--batch", type=int, default=8, help="images per pass (default 8)")
    p.add_argument("--size", type=int, default=224, help="side of the images (default 224)")
    p.add_argument("--threads", type=int, default=2, help="on both sides (default 2)")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args(arguments)
    options.program = peers.program(options.program)
    options.peer = peers.install(pathlib.Path(options.program).resolve().parent)
    return options


def main():
    if sys.argv[1:2] == ["--onnx"]:
        return onnx_passes(sys.argv[2], *map(int, sys.argv[3:]))
    options = parse()
    print(f"{peers.processor()}. Inference, batch {options.batch}, {options.size}x{options.size}x1"
          f", {options.threads} threads, median of {options.rounds}:\n")
    print("| model | images/s | ONNX Runtime | ratio | peak MiB | ONNX Runtime |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for model in options.models:
        results = compare(options, model)
        peer = peers.fastest(results, [name for name in results if name != "ours"])
        rate, peer_rate = (peers.median(results[name], "rate") for name in ("ours", peer))
        mib, peer_mib = (peers.median(results[name], "mib") for name in ("ours", peer))
        print(f"| {model} | {rate:.2f} | {peer_rate:.2f} ({results[peer][0]['version']}, {peer}) | "
              f"**{rate / peer_rate:.2f}** | {mib:.0f} | {peer_mib:.0f} |")


if __name__ == "__main__":
    main()
