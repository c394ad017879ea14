#!/usr/bin/env python3
"""Compares `pneumo-dist predict` with PyTorch on the same network, images and machine.

Both read, decode, shrink and score the same files. They alternate, each time in a fresh process;
the median images per second count, without loading the program and the weights. The peers are
PyTorch of peers.txt and Debian's python3-torch. Pillow decodes, in the processes of a DataLoader
or, without one, in as many threads as PyTorch computes with; of the newer PyTorch the fastest
counts of both ways, both memory layouts, float32 and autocast to bfloat16. The network is read
from the checkpoint: vgg16, vgg19 or cnn-deep of any width. To verify that the networks are the
same, the probabilities are compared; they differ slightly, since Pillow shrinks images with
another filter. Needs python3-h5py; for Debian's PyTorch also python3-torch and python3-pil.
"""
import argparse
import configparser
import csv
import io
import json
import math
import pathlib
import re
import statistics
import sys
import tempfile
import time

import peers

LAYOUTS = ("contiguous", "channels_last")
DECODERS = ("loader", "threads")
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


class Decoded:
    """The images of a list of paths, as a DataLoader's data set."""

    def __init__(self, paths, size):
        self.paths, self.size = paths, size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        import numpy
        from PIL import Image
        with Image.open(self.paths[index]) as opened:
            grey = opened.convert("L").resize((self.size, self.size), Image.Resampling.BICUBIC)
        return numpy.asarray(grey, dtype=numpy.float32)


def batches(decoded, decoder, batch, threads):
    """Decoded images, `batch` at a time, in order."""
    import multiprocessing.pool
    import numpy
    import torch
    if decoder == "loader":
        yield from torch.utils.data.DataLoader(decoded, batch_size=batch, num_workers=threads)
        return
    with multiprocessing.pool.ThreadPool(threads) as pool:
        for first in range(0, len(decoded), batch):
            at = range(first, min(first + batch, len(decoded)))
            yield torch.from_numpy(numpy.stack(pool.map(decoded.__getitem__, at)))


def torch_predict(path, listed, layout, precision, decoder, threads, batch, size):
    """Times PyTorch in this process; prints images per second and the probabilities."""
    import torch
    torch.set_num_threads(threads)
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    checkpoint = Checkpoint(path)
    network = build(checkpoint).to(memory_format=order)
    decoded = Decoded(pathlib.Path(listed).read_text().splitlines(), size)
    logits = []
    start = time.perf_counter()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for x in batches(decoded, decoder, batch, threads):
            x = ((x - checkpoint.mean) / checkpoint.deviation).unsqueeze(1)
            x = x.repeat(1, checkpoint.channels, 1, 1).to(memory_format=order)
            y = network(x).float()
            if checkpoint.flip:
                y = (y + network(x.flip(3)).float()) / 2
            logits += y[:, 0].tolist()
    seconds = time.perf_counter() - start
    print(json.dumps({
        "images_per_second": len(decoded) / seconds, "version": torch.__version__,
        "probabilities": [1 / (1 + math.exp(-y / checkpoint.temperature)) for y in logits]}))


# --- The comparison ---

def run_ours(options, images):
    done = peers.Done([options.program, "predict", options.checkpoint, *images, "--threads",
                       options.threads])
    rows = csv.DictReader(io.StringIO(done.out))
    speed = re.search(r"([0-9.]+) images/s", done.log)
    return {"rate": float(speed.group(1)), "mib": done.mib,
            "probabilities": [float(row["probability"]) for row in rows]}


def run_torch(options, python, listed, *way):
    done = peers.Done([python, __file__, "--torch", options.checkpoint, listed, *way,
                       options.threads, options.batch, options.size])
    return {**done.json(), "rate": done.json()["images_per_second"], "mib": done.mib}


def measure(options, images, listed):
    """Results of peers.alternate, and the class of each contender."""
    turns, classes = {"ours": lambda: run_ours(options, images)}, {"ours": "ours"}

    def add(of_class, python, *way):
        name = " ".join((of_class, *way))
        turns[name], classes[name] = lambda: run_torch(options, python, listed, *way), of_class
    for layout in LAYOUTS:
        if options.debian:
            add("debian", peers.DEBIAN, layout, "float32", "threads")
        for precision in ("float32", "bf16"):
            for decoder in DECODERS:
                add("torch", options.peer, layout, precision, decoder)
    return peers.alternate(turns, options.rounds, classes=classes), classes


def find_images(options, folder):
    if options.images is None:
        options.images = folder
        peers.Done([options.program, "synth", f"{folder}/phantoms", "--images", options.count])
    found = sorted(path for path in pathlib.Path(options.images).rglob("*")
                   if path.suffix.lower() in SUFFIXES)
    if not found:
        sys.exit(f"{options.images}: contains no images")
    # Spaced evenly over the whole folder, so that both classes occur.
    step = max(1, len(found) // options.count)
    return [str(path) for path in found[::step][:options.count]]


def parse(arguments=None):
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: tests/bench/predict_torch.py runs/cnn-deep/best.h5 chest_xray")
    p.add_argument("checkpoint")
    p.add_argument("images", nargs="?", help="a folder of images (default: phantoms)")
    p.add_argument("--count", type=int, default=1000, help="images to predict (default 1000)")
    p.add_argument("--rounds", type=int, default=5, help="runs of each contender (default 5)")
    p.add_argument("--threads", type=int, default=2, help="on both sides (default 2)")
    p.add_argument("--batch", type=int, default=16,
                   help="images per PyTorch forward pass (default 16)")
    p.add_argument("--no-debian", dest="debian", action="store_false",
                   help="without Debian's PyTorch")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args(arguments)
    options.program = peers.program(options.program)
    options.peer = peers.install(pathlib.Path(options.program).resolve().parent)
    checkpoint = Checkpoint(options.checkpoint)
    if checkpoint.model not in ("cnn-deep", "vgg16", "vgg19") or checkpoint.dense_head:
        p.error(f"{options.checkpoint}: this script does not support its network")
    options.model, options.size = checkpoint.model, checkpoint.size
    if options.size == 0:
        p.error(f"{options.checkpoint}: its job does not set the image size (data.size)")
    return options


def compare(options):
    """(label, ours, peer, ratio) of each kind of peer; stops if the networks differ."""
    with tempfile.TemporaryDirectory() as folder:
        images = find_images(options, folder)
        listed = f"{folder}/images.txt"
        pathlib.Path(listed).write_text("\n".join(images))
        results, classes = measure(options, images, listed)
    for of_class in ("torch", "debian"):
        peer = peers.fastest(results, [name for name in classes if classes[name] == of_class])
        if peer is None:
            continue
        differences = [abs(a - b) for a, b in zip(results["ours"][0]["probabilities"],
                                                  results[peer][0]["probabilities"], strict=True)]
        middle = statistics.median(differences)
        if middle > 0.02:
            sys.exit(f"the networks differ: the probabilities differ by {middle:.3f} (median)")
        ours, rate = (peers.median(results[name], "rate") for name in ("ours", peer))
        yield (f"{results[peer][0]['version']}, {' '.join(peer.split()[1:])}", ours, rate,
               ours / rate)


def main():
    if sys.argv[1:2] == ["--torch"]:
        return torch_predict(*sys.argv[2:7], *map(int, sys.argv[7:]))
    options = parse()
    rows = list(compare(options))
    print(f"{peers.processor()}. {options.count} images, {options.model} at {options.size}x"
          f"{options.size}, {options.threads} threads, median of {options.rounds}:\n")
    print("| PyTorch | images/s | PyTorch | ratio |\n| --- | ---: | ---: | ---: |")
    for label, ours, rate, ratio in rows:
        print(f"| {label} | {ours:.1f} | {rate:.1f} | **{ratio:.2f}** |")


if __name__ == "__main__":
    main()
