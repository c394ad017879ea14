#!/usr/bin/env python3
"""Compares `pneumo-dist predict` with PyTorch on the same network, images and machine.

Both read, decode, shrink and score the same files. They alternate, each time in a fresh process;
the median images per second count, without loading the program and the weights. PyTorch uses Pillow
to decode, in as many threads as it computes with, and the faster of its two memory layouts. The
network is read from the checkpoint: vgg16, vgg19 or cnn-deep of any width. To verify that the
networks are the same, the probabilities are compared; they differ slightly, since Pillow shrinks
images with another filter. Needs python3-torch, python3-h5py, python3-pil.
"""
import argparse
import configparser
import csv
import io
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

LAYOUTS = ("contiguous", "channels_last")
SUFFIXES = (".jpeg", ".jpg", ".png")


# --- PyTorch. This part runs in a separate process. ---

class Checkpoint:
    """The network and the decision of a checkpoint."""

    def __init__(self, path):
        import h5py
        with h5py.File(path) as file:
            job = configparser.ConfigParser()
            job.read_string(file["job"].asstr()[()])
            self.model, self.channels = job["model"]["name"], job["data"].getint("channels")
            self.size = job["data"].getint("size")
            self.dense_head = job["model"].get("head", "pool") == "dense"
            state, decision = file["state"].attrs, file["decision"].attrs
            self.mean, self.deviation = float(state["pixel_mean"]), float(state["pixel_deviation"])
            self.temperature = float(decision.get("temperature", 1))
            self.flip = int(decision.get("views", 1)) > 1
            weights = file["model_weights"]
            self.layers = []  # (name, {"kernel": array, ...}), in forward order
            for layer in weights.attrs["layer_names"]:
                names = weights[layer].attrs["weight_names"]
                arrays = {re.split("[/:]", name.decode())[-2]: weights[layer][name][...]
                          for name in names}
                self.layers.append((layer.decode(), arrays))


def build(checkpoint):
    """The network in plain torch.nn."""
    import torch
    nn = torch.nn
    modules = []

    def fill(parameter, array, *order):
        values = torch.from_numpy(array.transpose(order) if order else array)
        assert parameter.shape == values.shape, (parameter.shape, values.shape)
        parameter.data = values.contiguous()

    block = 1
    for name, arrays in checkpoint.layers[:-1]:
        number = int(re.fullmatch(r"block(\d)_\w+", name).group(1))
        if number != block:
            modules.append(nn.MaxPool2d(2, ceil_mode=checkpoint.model == "cnn-deep"))
            block = number
        if "kernel" in arrays:
            height, width, inputs, outputs = arrays["kernel"].shape
            conv = nn.Conv2d(inputs, outputs, (height, width), padding=1, bias="bias" in arrays)
            fill(conv.weight, arrays["kernel"], 3, 2, 0, 1)
            modules.append(conv)
            if "bias" not in arrays:
                continue  # batch normalisation precedes the ReLU
            fill(conv.bias, arrays["bias"])
        else:
            norm = nn.BatchNorm2d(len(arrays["gamma"]), eps=1e-3)
            for parameter, key in ((norm.weight, "gamma"), (norm.bias, "beta"),
                                   (norm.running_mean, "moving_mean"),
                                   (norm.running_var, "moving_variance")):
                fill(parameter, arrays[key])
            modules.append(norm)
        modules.append(nn.ReLU(inplace=True))
    if checkpoint.model != "cnn-deep":
        modules.append(nn.MaxPool2d(2))
    kernel, bias = (checkpoint.layers[-1][1][key] for key in ("kernel", "bias"))
    last = nn.Linear(*kernel.shape)
    fill(last.weight, kernel, 1, 0)
    fill(last.bias, bias)
    modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), last]
    return nn.Sequential(*modules).eval()


def torch_predict(path, listed, layout, threads, batch, size):
    """Times PyTorch in this process; prints images per second and the probabilities."""
    import multiprocessing.pool
    import numpy
    import torch
    from PIL import Image
    torch.set_num_threads(threads)
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    checkpoint = Checkpoint(path)
    network = build(checkpoint).to(memory_format=order)
    images = pathlib.Path(listed).read_text().splitlines()

    def decode(image):
        with Image.open(image) as opened:
            grey = opened.convert("L").resize((size, size), Image.Resampling.BICUBIC)
        return numpy.asarray(grey, dtype=numpy.float32)

    logits = []
    start = time.perf_counter()
    with multiprocessing.pool.ThreadPool(threads) as pool, torch.inference_mode():
        for first in range(0, len(images), batch):
            x = torch.from_numpy(numpy.stack(pool.map(decode, images[first:first + batch])))
            x = ((x - checkpoint.mean) / checkpoint.deviation).unsqueeze(1)
            x = x.repeat(1, checkpoint.channels, 1, 1).to(memory_format=order)
            y = network(x)
            if checkpoint.flip:
                y = (y + network(x.flip(3))) / 2
            logits += y[:, 0].tolist()
    seconds = time.perf_counter() - start
    print(json.dumps({
        "images_per_second": len(images) / seconds, "version": torch.__version__,
        "probabilities": [1 / (1 + math.exp(-y / checkpoint.temperature)) for y in logits]}))


# --- The comparison ---

def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nfailed with exit code {done.returncode}:\n{done.stderr}")
    return done


def run_ours(options, images):
    done = run([options.program, "predict", options.checkpoint, *images, "--threads",
                str(options.threads)])
    rows = csv.DictReader(io.StringIO(done.stdout))
    speed = re.search(r"([0-9.]+) images/s", done.stderr)
    return {"images_per_second": float(speed.group(1)),
            "probabilities": [float(row["probability"]) for row in rows]}


def run_torch(options, listed, layout):
    return json.loads(run([sys.executable, __file__, "--torch", options.checkpoint, listed, layout,
                           *map(str, (options.threads, options.batch, options.size))]).stdout)


def measure(options, images, listed):
    """results[contender]: one result per round. Every other round runs in reverse order."""
    turns = {"ours": lambda: run_ours(options, images)}
    turns.update({layout: lambda layout=layout: run_torch(options, listed, layout)
                  for layout in LAYOUTS})
    results = {name: [] for name in turns}
    for number in range(options.rounds):
        for name in turns if number % 2 == 0 else reversed(turns):
            result = turns[name]()
            results[name].append(result)
            print(f"round {number + 1}/{options.rounds}  {name:14} "
                  f"{result['images_per_second']:8.1f} images/s", file=sys.stderr)
    return results


def find_images(options, folder):
    if options.images is None:
        options.images = folder
        run([options.program, "synth", f"{folder}/phantoms", "--images", str(options.count)])
    found = sorted(path for path in pathlib.Path(options.images).rglob("*")
                   if path.suffix.lower() in SUFFIXES)
    if not found:
        sys.exit(f"{options.images}: contains no images")
    # Spaced evenly over the whole folder, so that both classes occur.
    step = max(1, len(found) // options.count)
    return [str(path) for path in found[::step][:options.count]]


def parse():
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/predict_torch.py runs/cnn-deep/best.h5 chest_xray")
    p.add_argument("checkpoint")
    p.add_argument("images", nargs="?", help="a folder of images (default: phantoms)")
    p.add_argument("--count", type=int, default=1000, help="images to predict (default 1000)")
    p.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    p.add_argument("--threads", type=int, default=2, help="on both sides (default 2)")
    p.add_argument("--batch", type=int, default=16, help="images per PyTorch forward pass (default 16)")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args()
    if options.program is None:
        options.program = str(pathlib.Path(__file__).resolve().parents[2] / "build/pneumo-dist")
    if not os.access(options.program, os.X_OK):
        p.error(f"{options.program} is not a program: build it or pass --program")
    checkpoint = Checkpoint(options.checkpoint)
    if checkpoint.model not in ("cnn-deep", "vgg16", "vgg19") or checkpoint.dense_head:
        p.error(f"{options.checkpoint}: this script does not support its network")
    options.model, options.size = checkpoint.model, checkpoint.size
    if options.size == 0:
        p.error(f"{options.checkpoint}: its job does not set the image size (data.size)")
    return options


def main():
    if sys.argv[1:2] == ["--torch"]:
        return torch_predict(*sys.argv[2:5], *map(int, sys.argv[5:]))
    options = parse()
    with tempfile.TemporaryDirectory() as folder:
        images = find_images(options, folder)
        listed = f"{folder}/images.txt"
        pathlib.Path(listed).write_text("\n".join(images))
        results = measure(options, images, listed)
    speed = {name: statistics.median(result["images_per_second"] for result in of)
             for name, of in results.items()}
    layout = max(LAYOUTS, key=speed.get)
    differences = [abs(a - b) for a, b in zip(results["ours"][0]["probabilities"],
                                              results[layout][0]["probabilities"], strict=True)]
    middle = statistics.median(differences)
    if middle > 0.02:
        sys.exit(f"the networks differ: the probabilities differ by {middle:.3f} (median)")
    print(f"{len(images)} images, {options.model} at {options.size}x{options.size}, "
          f"{options.threads} threads, median of {options.rounds}, against PyTorch "
          f"{results[layout][0]['version']} ({layout}); probabilities differ by {middle:.4f} "
          f"(median), {max(differences):.3f} (maximum):\n")
    ours, peer = speed["ours"], speed[layout]
    print("| images/s | PyTorch | ratio |\n| ---: | ---: | ---: |")
    print(f"| {ours:.1f} | {peer:.1f} | **{ours / peer:.2f}** |")


if __name__ == "__main__":
    main()
