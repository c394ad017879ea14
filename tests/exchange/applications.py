"""Models of keras.applications with random weights, in every layout in which their weights are found.

    applications.py make FOLDER MODEL DATA
    applications.py compare DATA MODEL TOLERANCE RUN...

`make` writes model.h5, model.keras, model.weights.h5 (Keras 3), legacy.h5 (save_weights of Keras 2),
official.h5 (the layout of ImageNet's official files, Keras 1), swapped.h5 (the same with two batch
normalisations of one shape swapped) and, of VGG, torch.safetensors (torchvision's layout). `compare`
reads the scores of trainings that started from these files and changed nothing, and compares them
with Keras' outputs for the same images; those from swapped.h5 must differ.
"""
import csv
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "jax"

import h5py
import keras
import numpy as np
from keras.src.layers.layer import Layer
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import save_file

CLASSES = 3 # normal, bacteria, virus
BUILDERS = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19,
            "xception": keras.applications.Xception}
# keras.applications.imagenet_utils.preprocess_input, of planes that are equal; and torchvision's.
SCALINGS = {"caffe": ((103.939, 116.779, 123.68), (1, 1, 1)), "tf": ((127.5,) * 3, (127.5,) * 3),
            "torch": (np.array((0.485, 0.456, 0.406)) * 255, np.array((0.229, 0.224, 0.225)) * 255)}
OWN_SCALING = {"vgg16": "caffe", "vgg19": "caffe", "xception": "tf"}
SUFFIXES = {"Conv2D": ("W", "b"), "Dense": ("W", "b"),
            "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "b"),
            "BatchNormalization": ("gamma", "beta", "running_mean", "running_std")}
OLD_CLASSES = {"Conv2D": "convolution2d", "SeparableConv2D": "separableconvolution2d",
               "BatchNormalization": "batchnormalization"}


def build(name, size):
    """The model, and its layers in the order in which they were made."""
    made, new = [], Layer.__new__

    def record(cls, *arguments, **keywords):
        layer = new(cls, *arguments, **keywords)
        made.append(layer)
        return layer

    Layer.__new__ = record
    try:
        model = BUILDERS[name](weights=None, classes=CLASSES, input_shape=(size, size, 3))
    finally:
        Layer.__new__ = new
    return model, [layer for layer in made if layer in model.layers]


def draw(model):
    random = np.random.default_rng(3)
    for layer in model.layers:
        arrays = []
        for array in layer.weights:
            shape = array.shape
            if array.name in ("gamma", "moving_variance"):
                arrays.append(random.uniform(0.5, 1.5, shape))
            elif array.name in ("beta", "bias", "moving_mean"):
                arrays.append(random.normal(0, 0.2, shape))
            else:
                inputs = np.prod(shape[:2]) if "depthwise" in array.name else np.prod(shape[:-1])
                arrays.append(random.normal(0, np.sqrt(2 / inputs), shape))
        layer.set_weights(arrays)


def temper(model, images):
    """Scales the last layer so that the logits have a mean of 0 and a deviation of 1/5."""
    last = model.layers[-1]
    kernel, bias = last.get_weights()
    logits = run(keras.Model(model.input, last.input), images).astype(np.float64) @ kernel + bias
    scale = 0.2 / logits.std(axis=0)
    last.set_weights([kernel * scale, (bias - logits.mean(axis=0)) * scale])


def run(model, images):
    return np.concatenate([np.asarray(model(images[i:i + 4])) for i in range(0, len(images), 4)])


def scale(pixels, name):
    means, deviations = SCALINGS[name]
    planes = np.repeat(pixels[..., np.newaxis].astype(np.float64), 3, axis=-1)
    return ((planes - means) / deviations).astype(np.float32)


# --- Layouts ---

def put_group(root, group, names, arrays):
    made = root.create_group(group)
    made.attrs["weight_names"] = np.array([name.encode() for name in names])
    for name, array in zip(names, arrays, strict=True):
        made[name] = array


def write_official(path, name, made, swap=()):
    """Groups named by Keras 1, which numbered the layers of a class from 1 in the order in which
    they were made; those of VGG have names of their own."""
    counts, groups, arrays = {}, [], {}
    for layer in made:
        if not layer.weights:
            continue
        kind = type(layer).__name__
        counts[kind] = counts.get(kind, 0) + 1
        old = OLD_CLASSES.get(kind)
        group = f"{old}_{counts[kind]}" if name == "xception" and old else layer.name
        groups.append((group, SUFFIXES[kind]))
        arrays[group] = layer.get_weights()
    if swap:
        first, second = (f"batchnormalization_{number}" for number in swap)
        arrays[first], arrays[second] = arrays[second], arrays[first]
    ending = "" if name == "xception" else "_1"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([group.encode() for group, _ in groups])
        for group, suffixes in groups:
            names = [f"{group}_{suffix}{ending}:0" for suffix in suffixes[:len(arrays[group])]]
            put_group(file, group, names, arrays[group])


def write_torch(path, model):
    """torchvision's VGG: modules are numbered with ReLUs and pooling, kernels are OIHW, and the first
    dense layer reads the image channel by channel."""
    arrays, number, dense, shape = {}, 0, 0, None
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            kernel, bias = layer.get_weights()
            arrays[f"features.{number}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
            arrays[f"features.{number}.bias"] = bias
            number += 2
        elif kind == "MaxPooling2D":
            number += 1
            shape = layer.output.shape[1:]
        elif kind == "Dense":
            kernel, bias = layer.get_weights()
            if dense == 0:
                kernel = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            arrays[f"classifier.{dense}.weight"] = np.ascontiguousarray(kernel.T)
            arrays[f"classifier.{dense}.bias"] = bias
            dense += 3
    save_file(arrays, path)


def read_images(path):
    with h5py.File(path) as file:
        return file["images"][...]


def make(folder, name, data):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    images = read_images(data)
    size = images.shape[1]
    BUILDERS[name](weights=None, classes=CLASSES, input_shape=(size, size, 3)) # numbers run on
    model, made = build(name, size)
    draw(model)
    temper(model, scale(images[::len(images) // 8], OWN_SCALING[name]))
    model.save(folder / "model.h5")
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    with h5py.File(folder / "legacy.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    write_official(folder / "official.h5", name, made)
    if name == "xception":
        write_official(folder / "swapped.h5", name, made, swap=(36, 38))
    else:
        write_torch(folder / "torch.safetensors", model)


# --- Comparing ---

def compare(data, name, tolerance, runs):
    model = keras.models.load_model(f"{name}/model.keras")
    pixels = read_images(data)
    for path in map(pathlib.Path, runs):
        rows = list(csv.DictReader(open(path / "scores.csv")))
        scaling = "torch" if path.name == "torch.safetensors" else OWN_SCALING[name]
        images = scale(pixels[[int(row["id"]) for row in rows]], scaling)
        expected = 1 - run(model, images)[:, 0].astype(np.float64)
        found = 1 / (1 + np.exp(-np.array([float(row["logit"]) for row in rows])))
        difference = np.abs(found - expected).max()
        print(f"{name:10} {path.name:20} {len(rows)} images of {images.shape[1]}, spread "
              f"{np.ptp(expected):.2f}: {difference:.1e}", flush=True)
        if path.name == "swapped.h5":
            assert difference > 100 * tolerance, difference
            continue
        # torchvision's scaling makes the images, and so the spread, much smaller.
        assert difference <= min(tolerance, np.ptp(expected) / 1000), difference
        assert scaling == "torch" or np.ptp(expected) > 0.02, np.ptp(expected)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:5])
    else:
        compare(sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5:])
