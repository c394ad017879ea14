#!/usr/bin/env python3
"""Compares the time of a whole job with PyTorch: cnn-deep-plain, 12 epochs of 3,600 images.

Both sides read the same packed data set, oversample, augment (rotation, translation, brightness,
contrast), train with AdamW on a one-cycle schedule, average the weights, validate after each
epoch and score the test fold, from the start of the process to its end. pneumo-dist also
checkpoints each epoch and writes its reports; the stress test is off, since PyTorch has none.
PyTorch keeps all images in memory and augments batches as tensors, which is its fastest way on a
CPU; of both precisions and memory layouts the fastest counts. The AUCs on the test fold show that
both have learned the same.
"""
import argparse
import json
import math
import pathlib
import shutil
import sys
import tempfile

import peers

LAYOUTS = ("contiguous", "channels_last")


# --- PyTorch. This part runs in a separate process. ---

def augmented(torch, images, generator):
    """Images [n][1][size][size], 0 to 1, as the job's [augment]."""
    n = len(images)

    def draw(limit):
        return (2 * torch.rand(n, generator=generator) - 1) * limit
    angle, shift = draw(math.radians(5)), (draw(2 * 0.04), draw(2 * 0.04))
    rows = [torch.stack([angle.cos(), -angle.sin(), shift[0]], 1),
            torch.stack([angle.sin(), angle.cos(), shift[1]], 1)]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), images.shape, align_corners=False)
    images = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    mean = images.mean((1, 2, 3), keepdim=True)
    contrast, brightness = 1 + draw(0.1), draw(0.1)
    return ((images - mean) * contrast.view(-1, 1, 1, 1) + mean +
            brightness.view(-1, 1, 1, 1)).clamp(0, 1)


def auc(scores, positive):
    """Ties count half: logits in bfloat16 have many."""
    above = scores[positive].unsqueeze(1) - scores[~positive].unsqueeze(0)
    return ((above > 0).double() + 0.5 * (above == 0).double()).mean().item()


def torch_job(path, layout, precision, epochs, epoch_images, batch, threads):
    import copy
    import h5py
    import torch
    import torch_models
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    order = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    with h5py.File(path) as file:
        pixels = torch.from_numpy(file["images"][:]).unsqueeze(1)
        label = torch.from_numpy(file["label"][:].astype("int64"))
        fold = torch.from_numpy(file["fold"][:].astype("int64"))
        mean, deviation = float(file.attrs["mean"]) / 255, float(file.attrs["deviation"]) / 255
    folds = [torch.nonzero(fold == number)[:, 0] for number in range(3)]
    train = folds[0]
    network = torch_models.MODELS["cnn-deep"](torch.nn, 1, pixels.shape[-1])
    network.insert(len(network) - 1, torch.nn.Dropout(0.3))
    network = network.to(memory_format=order)
    average = copy.deepcopy(network).eval()
    steps = epoch_images // batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * steps)
    positive = label[train] == 1
    weight = torch.where(positive, 1 / positive.sum(), 1 / (~positive).sum())

    def prepared(images):
        return ((images - mean) / deviation).to(memory_format=order)

    def score(which):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return torch.cat([average(prepared(pixels[part].float() / 255)).float()[:, 0]
                              for part in which.split(64)])
    bf16 = precision == "bf16"
    for _ in range(epochs):
        network.train()
        chosen = train[torch.multinomial(weight, steps * batch, replacement=True,
                                         generator=generator)]
        for part in chosen.split(batch):
            x = prepared(augmented(torch, pixels[part].float() / 255, generator))
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                logits = network(x)
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.binary_cross_entropy_with_logits(
                logits.float()[:, 0], label[part].float()).backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for to, of in zip(average.parameters(), network.parameters()):
                    to.lerp_(of, 0.005)
                for to, of in zip(average.buffers(), network.buffers()):
                    to.copy_(of)
        score(folds[1])
    torch.save(average.state_dict(), f"{path}.torch")
    scores = score(folds[2])
    if not scores.isfinite().all():
        sys.exit("PyTorch's scores are not finite")
    print(json.dumps({"auc": auc(scores, label[folds[2]] == 1), "version": torch.__version__}))


# --- The comparison ---

def make_data(options, folder):
    if options.images is None:
        options.images = folder / "phantoms"
        peers.Done([options.program, "synth", options.images, "--images", options.count])
    data = folder / "data.h5"
    peers.Done([options.program, "pack", options.images, "-o", data, "--size", 112])
    return data


def compare(options):
    """Results of peers.alternate: "rate" is jobs per hour."""
    with tempfile.TemporaryDirectory(prefix="job-") as name:
        folder = pathlib.Path(name)
        data = make_data(options, folder)

        def ours(precision):
            run = folder / f"run-{precision}"
            more = [] if precision == "float32" else ["--set", f"model.precision={precision}"]
            done = peers.Done([options.program, "train", "cnn-deep-plain", "--data", data, "--run",
                               run, "--epochs", options.epochs, "--threads", options.threads,
                               "--set", f"train.epoch_images={options.epoch_images}",
                               "--set", "evaluate.stress=no", *more])
            figures = json.loads((run / "report.json").read_text())["folds"]["test"]["chosen"]
            shutil.rmtree(run)
            return {"rate": 3600 / done.seconds, "mib": done.mib, "auc": figures["auc"]["value"]}

        def theirs(layout, precision):
            done = peers.Done([options.peer, __file__, "--torch", data, layout, precision,
                               options.epochs, options.epoch_images, 64, options.threads])
            return {**done.json(), "rate": 3600 / done.seconds, "mib": done.mib}
        turns, classes = {}, {}
        for precision in ("float32", "bf16"):
            turns[f"ours {precision}"] = lambda precision=precision: ours(precision)
            classes[f"ours {precision}"] = f"ours {precision}"
            for layout in LAYOUTS:
                at = f"torch {layout} {precision}"
                turns[at] = lambda way=(layout, precision): theirs(*way)
                classes[at] = "torch"
        return peers.alternate(turns, options.rounds, classes=classes)


def parse(arguments=None):
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="example: tests/bench/job_torch.py chest_xray --rounds 3")
    p.add_argument("images", nargs="?", help="a folder that pack reads (default: phantoms)")
    p.add_argument("--count", type=int, default=2000, help="phantoms to draw (default 2000)")
    p.add_argument("--epochs", type=int, default=12, help="default 12")
    p.add_argument("--epoch-images", type=int, default=3600, help="default 3600")
    p.add_argument("--rounds", type=int, default=3, help="default 3")
    p.add_argument("--threads", type=int, default=2, help="on both sides (default 2)")
    p.add_argument("--program", default=None, help="pneumo-dist (default build/pneumo-dist)")
    options = p.parse_args(arguments)
    options.program = peers.program(options.program)
    options.peer = peers.install(pathlib.Path(options.program).resolve().parent)
    return options


def main():
    if sys.argv[1:2] == ["--torch"]:
        return torch_job(*sys.argv[2:5], *map(int, sys.argv[5:]))
    options = parse()
    results = compare(options)
    print(f"{peers.processor()}. cnn-deep-plain, {options.epochs} epochs of {options.epoch_images} "
          f"images, {options.threads} threads, median of {options.rounds}:\n")
    print("| | seconds | peak MiB | test AUC |\n| --- | ---: | ---: | ---: |")
    for name, of in results.items():
        print(f"| {name} | {3600 / peers.median(of, 'rate'):.1f} | {peers.median(of, 'mib'):.0f} | "
              f"{peers.median(of, 'auc'):.4f} |")
    best = {side: peers.fastest(results, [name for name in results if name.startswith(side)])
            for side in ("ours", "torch")}
    ratio = (peers.median(results[best["ours"]], "rate") /
             peers.median(results[best["torch"]], "rate"))
    print(f"\n{best['ours']} over {best['torch']}: **{ratio:.2f}**")


if __name__ == "__main__":
    main()
