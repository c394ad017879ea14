"""Opens checkpoints and exported models with the programs that they are for, and compares what these
make of raw images with the scores of pneumo-dist: compare_peers.py GOLDEN DATA RUN..."""
import csv
import json
import os
import sys
import warnings

os.environ["KERAS_BACKEND"] = "jax"
warnings.filterwarnings("ignore", message="The structure of `inputs`")

import h5py
import keras
import numpy as np
import onnxruntime
from keras.src.legacy.saving import saving_utils
from safetensors.numpy import load_file

TOLERANCE = 1e-5


def probability(outputs):
    """Of pneumonia, from one sigmoid or from the classes normal and more."""
    outputs = np.asarray(outputs, np.float64)
    return outputs[:, 0] if outputs.shape[1] == 1 else 1 - outputs[:, 0]


def run_onnx(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probability", "logits"], {"image": np.moveaxis(images, -1, 1)})


def check_weights(run):
    """The arrays of the checkpoint and of safetensors are the same."""
    exported = load_file(f"{run}/model.safetensors")
    with h5py.File(f"{run}/best.h5") as file:
        group = file["model_weights"]
        names = [(layer.decode(), name.decode()) for layer in group.attrs["layer_names"]
                 for name in group[layer].attrs["weight_names"]]
        for layer, name in names:
            assert np.array_equal(group[layer][name], exported[name.removesuffix(":0")]), name
    assert len(names) == len(exported)


def check_swap(model, images, expected):
    """These two of Xception have one shape: only the order tells them apart."""
    names = ("batch_normalization_3", "block13_sepconv2_bn")
    if {layer.name for layer in model.layers}.issuperset(names):
        first, second = (model.get_layer(name) for name in names)
        weights = first.get_weights()
        first.set_weights(second.get_weights())
        second.set_weights(weights)
        assert np.abs(probability(model(images)) - expected).max() > 1000 * TOLERANCE


def check_run(run, pixels):
    with open(f"{run}/scores.csv") as file:
        rows = list(csv.DictReader(file))
    images = pixels[[int(row["id"]) for row in rows]]
    expected = 1 / (1 + np.exp(-np.array([float(row["logit"]) for row in rows])))
    assert len(images) >= 50 and np.ptp(expected) > 0.05, (len(images), np.ptp(expected))

    checkpoint = keras.models.load_model(f"{run}/best.h5", compile=False)
    model = keras.models.load_model(f"{run}/model.keras")
    for array in model.weights:
        array.assign(np.zeros(array.shape))
    model.load_weights(f"{run}/model.weights.h5")
    reloaded = keras.models.load_model(f"{run}/model.keras")
    for a, b, c in zip(checkpoint.weights, model.weights, reloaded.weights, strict=True):
        assert np.array_equal(a, b) and np.array_equal(a, c), a.path
    outputs = {"checkpoint": checkpoint(images), ".keras": model(images)}
    for name in ("model", "folded"):
        outputs[name + ".onnx"] = run_onnx(f"{run}/{name}.onnx", images)[0]
    for name, output in outputs.items():
        difference = np.abs(probability(output) - expected).max()
        assert difference <= TOLERANCE, (name, difference)
        classes = np.abs(np.asarray(output) - np.asarray(outputs["checkpoint"])).max()
        assert classes <= TOLERANCE, (name, classes)
    check_weights(run)
    check_swap(checkpoint, images, expected)
    return max(np.abs(probability(output) - expected).max() for output in outputs.values())


def check_layers(name):
    """A network of tests/exchange/test_export.c, with its input and logits."""
    images = np.fromfile(f"{name}.grey", np.float32)
    model = keras.models.load_model(f"{name}.keras")
    images = images.reshape(-1, *model.input_shape[1:])
    logits = np.fromfile(f"{name}.logits", np.float32).reshape(len(images), -1)
    expected = np.exp(logits.astype(np.float64))
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.ptp(expected, axis=0).max() > 0.01
    assert np.abs(np.asarray(model(images)) - expected).max() <= TOLERANCE
    for path in (f"{name}.onnx", f"{name}.folded.onnx"):
        assert np.abs(run_onnx(path, images)[0] - expected).max() <= TOLERANCE, path


def check_own_scaling(golden):
    """The layers that scale an image by its own mean and deviation, which is at least 1."""
    model = saving_utils.model_from_config(json.load(open(golden)))
    scaled = keras.Model(model.input, model.get_layer("grey_scaled").output)
    random = np.random.default_rng(1)
    images = random.uniform(0, 255, (4, *model.input_shape[1:])).astype(np.float32)
    images[1] = 77
    images[2] = images[2] / 400 + 200
    images[3] = 0
    for image, found in zip(images.astype(np.float64), np.asarray(scaled(images))):
        expected = (image - image.mean()) / max(image.std(), 1)
        assert np.abs(found - expected).max() <= TOLERANCE, image.std()


check_own_scaling(sys.argv[1])
for network in ("layers", "other-layers"):
    check_layers(network)
with h5py.File(sys.argv[2]) as data:
    pixels = data["images"][...][..., np.newaxis].astype(np.float32)
for path in sys.argv[3:]:
    try:
        print(f"{path:24} {check_run(path, pixels):.1e}", flush=True)
    except BaseException:
        print(f"FAILED: {path}", file=sys.stderr)
        raise
