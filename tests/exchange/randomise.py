"""randomise.py CHECKPOINT: replaces the weights by random ones, those of batch normalisation too: after
a short training most of these are nearly equal, and a swap would not show.
randomise.py CHECKPOINT SCORES: scales the last layer, so that the logits in SCORES would have had the
mean 0 and the deviation 1/2: no probability is near 0 or 1, and none is as all the others. For a task
with several outputs this is only roughly so."""
import csv
import sys

import h5py
import numpy as np

DRAWS = {
    "gamma": lambda r, shape: r.uniform(0.5, 1.5, shape),
    "moving_variance": lambda r, shape: r.uniform(0.5, 1.5, shape),
    "beta": lambda r, shape: r.normal(0, 0.2, shape),
    "bias": lambda r, shape: r.normal(0, 0.2, shape),
    "moving_mean": lambda r, shape: r.normal(0, 0.2, shape),
}


def draw(random, weight, shape):
    if weight in DRAWS:
        return DRAWS[weight](random, shape)
    inputs = np.prod(shape[:2]) if weight == "depthwise_kernel" else np.prod(shape[:-1])
    return random.normal(0, np.sqrt(2 / inputs), shape)


def arrays(file):
    """Layer, weight and array of all weights, in the file's order."""
    group = file["model_weights"]
    for layer in group.attrs["layer_names"]:
        for name in group[layer].attrs["weight_names"]:
            yield layer.decode(), name.decode().split("/")[-1].split(":")[0], group[layer][name]


with h5py.File(sys.argv[1], "r+", locking=False) as file:
    if len(sys.argv) == 2:
        random = np.random.default_rng(5)
        for layer, weight, array in arrays(file):
            array[...] = draw(random, weight, array.shape)
    else:
        with open(sys.argv[2]) as scores:
            logits = [float(row["logit"]) for row in csv.DictReader(scores)]
        mean, deviation = np.mean(logits), np.std(logits)
        for layer, weight, array in arrays(file):
            if layer != "predictions":
                continue
            values = array[...]
            if weight == "bias": # one logit for pneumonia, or the first one for normal
                values[0] -= mean if len(values) == 1 else -mean
            array[...] = values / (2 * deviation)
