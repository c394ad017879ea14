#!/usr/bin/env python3
"""Writes keras/ and keras.h beside itself: small Keras models with random weights in every layout,
descriptions of networks for weights-only files, and what real Keras computes with them on images
drawn by a formula. Needs keras 3 (made with 3.15.1 and its backend jax); the tests only read the
files. Usage: make_keras.py [FOLDER]

FOLDER holds files that others trained, which are no part of the project; their outputs are in
keras.h, too, and the tests compare them where PNEUMO_KERAS_MODELS names the same folder.
"""
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")
import h5py
import keras
import numpy as np
from keras import layers
from keras.src.legacy.saving import legacy_h5_format, saving_utils

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = 2


def draw(size):
    """Grey images, 0 to 255, as the tests draw them."""
    y, x = np.mgrid[:size, :size]
    return np.stack([(x * (3 + n) + y * (5 + 2 * n) + x * y * (n + 1) // 7) % 256
                     for n in range(IMAGES)]).astype("float32")


def predict(model, scale):
    _, size, _, channels = model.input_shape
    x = np.repeat(draw(size)[..., None], channels, -1) / scale
    return model.predict(x, verbose=0)


def shake(model, seed):
    """Draws all weights anew, so that none has a default value."""
    draw_from = np.random.default_rng(seed)
    for weight in model.weights:
        value = draw_from.normal(0, 0.3, weight.shape)
        positive = "variance" in weight.path or "gamma" in weight.path
        weight.assign(np.abs(value) + 0.5 if positive else value)


def block(x, filters, name):
    x = layers.SeparableConv2D(filters, 3, padding="same", name=f"{name}_sep")(x)
    x = layers.BatchNormalization(epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_act")(x)


def every_layer():
    """A functional model with a nested one and every class that can be imported."""
    inner_input = keras.Input((8, 8, 6), name="inner_input")
    x = layers.BatchNormalization(scale=False, name="inner_bn")(inner_input)
    x = layers.DepthwiseConv2D(3, padding="valid", name="inner_depthwise")(x)
    x = layers.LeakyReLU(negative_slope=0.2, name="inner_leaky")(x)
    inner = keras.Model(inner_input, layers.Conv2D(5, 1, use_bias=False, name="inner_conv")(x),
                        name="inner")
    inner.get_layer("inner_bn").trainable = False

    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = layers.RandomFlip(name="flip")(x)
    x = layers.ZeroPadding2D(((1, 0), (2, 1)), name="pad")(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu6", name="stem")(x)
    short = layers.Conv2D(6, 1, strides=2, padding="same", name="short")(x)
    x = block(block(x, 4, "first"), 6, "second")
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool")(x)
    x = layers.Add(name="sum")([x, short])
    x = layers.Dropout(0.3, name="drop")(x)
    x = layers.Conv2D(6, 2, padding="valid", activation="elu", name="shrink")(x)
    x = inner(x)
    wide = layers.AveragePooling2D(3, strides=2, padding="same", name="average")(x)
    other = layers.Conv2D(4, 3, strides=2, padding="same", activation="sigmoid", name="gate")(x)
    x = layers.Concatenate(name="join")([wide, other, layers.ReLU(4, 0.1, name="capped")(other)])
    both = [layers.GlobalAveragePooling2D(name="mean")(x),
            layers.GlobalMaxPooling2D(name="most")(x)]
    x = layers.Concatenate(name="vector")(both)
    x = layers.Dense(7, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Dense(3, activation="softmax", name="output")(x),
                       name="every_layer")


def find_tensors(item):
    """The histories of the tensors in a call's arguments, in their order."""
    if isinstance(item, dict):
        return [item["config"]["keras_history"]]
    return [tensor for part in item for tensor in find_tensors(part)]


def as_keras_2(config):
    """A functional model's description with nodes and shapes as get_config of Keras 2 writes them: a
    tensor is [layer, node, number, arguments], and the nodes of a nested model count from 1."""
    nested = {layer["name"] for layer in config["layers"] if layer["class_name"] == "Functional"}
    result = []
    for layer in config["layers"]:
        inner = dict(layer["config"])
        if layer["name"] in nested:
            inner = as_keras_2(inner)
        if "batch_shape" in inner:
            inner["batch_input_shape"] = inner.pop("batch_shape")
        calls = [[[name, node + (name in nested), number, call["kwargs"]]
                  for name, node, number in find_tensors(call["args"])]
                 for call in layer["inbound_nodes"]]
        result.append({"class_name": layer["class_name"], "config": inner, "name": layer["name"],
                       "inbound_nodes": calls})
    return {**config, "layers": result, "input_layers": [config["input_layers"]],
            "output_layers": [config["output_layers"]]}


def sequential():
    normalise = layers.Normalization(name="normalise")
    model = keras.Sequential([
        keras.Input((16, 16, 3)), normalise,
        layers.Conv2D(4, 3, activation="relu", name="conv"), layers.MaxPooling2D(name="pool"),
        layers.Flatten(name="flatten"), layers.Dense(5, use_bias=False, name="hidden"),
        layers.ELU(name="elu"), layers.Dense(2, activation="softmax", name="output")],
        name="sequential")
    shake(model, 2)
    normalise.adapt(np.stack([draw(16), draw(16) / 2, draw(16) + 7], -1))
    return model


def separable_chest():
    """The network of separable-weights-only.hdf5, by the shapes of its weights."""
    x = image = keras.Input((64, 64, 3))
    for _ in range(2):
        x = layers.Conv2D(16, 3, activation="relu", padding="same")(x)
    x = layers.MaxPooling2D()(x)
    for filters in 16, 32, 64, 128, 256:
        for _ in range(2):
            x = layers.SeparableConv2D(filters, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    x = layers.Flatten()(x)
    for units in 512, 128, 64:
        x = layers.Dropout(0.5)(layers.Dense(units, activation="relu")(x))
    return keras.Model(image, layers.Dense(1, activation="sigmoid")(x))


def tuner_trial():
    """The network of tuner-trial.weights.h5, by its paths and shapes."""
    augment = keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.1),
                                layers.RandomZoom(0.1)])
    stack = [keras.Input((64, 64, 3)), augment, layers.Rescaling(1 / 255)]
    for filters in 48, 32, 32:
        stack += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D()]
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(384, activation="relu"),
              layers.Dropout(0.5), layers.Dense(3, activation="softmax")]
    return keras.Sequential(stack)


def load(path):
    """Keras 3 cannot load all files of Keras 2 by itself."""
    try:
        return keras.models.load_model(path, compile=False)
    except Exception:
        file = h5py.File(path)
        config = json.loads(file.attrs["model_config"])
        first = config["config"]["layers"][0]
        if first["class_name"] != "InputLayer":
            shape = first["config"].pop("batch_input_shape")
            config["config"]["layers"].insert(0, {
                "class_name": "InputLayer",
                "config": {"batch_shape": shape, "name": "in", "dtype": "float32"}})
        model = saving_utils.model_from_config(config)
        legacy_h5_format.load_weights_from_hdf5_group(file["model_weights"], model)
        return model


class Golden:
    def __init__(self):
        self.cases = []

    def add(self, file, like, scale, outputs):
        self.cases.append((file, like, scale, outputs))

    def write(self, foreign_from):
        text = ("/* Written by make_keras.py: what Keras computes with the models in keras/, and "
                "with those of others. */\n")
        for i, (_, _, _, outputs) in enumerate(self.cases):
            numbers = ", ".join(f"{float(value):.9g}" for value in outputs.ravel())
            text += f"static const double keras_{i}[] = {{{numbers}}};\n"
        text += "static const keras_case keras_cases[] = {\n"
        for i, (file, like, scale, outputs) in enumerate(self.cases):
            like = f'"{like}"' if like else "NULL"
            text += (f'    {{"{file}", {like}, {scale}, {outputs.shape[1]}, keras_{i}, '
                     f'{"true" if i >= foreign_from else "false"}}},\n')
        text += f"}};\nenum {{ KERAS_IMAGES = {IMAGES} }};\n"
        with open(os.path.join(HERE, "keras.h"), "w") as file:
            file.write(text)


def describe(model, name):
    with open(os.path.join(HERE, "keras", name), "w") as file:
        file.write(model.to_json())


def add_own(golden):
    folder = os.path.join(HERE, "keras")
    model = every_layer()
    shake(model, 1)
    describe(model, "every_layer.json")
    for name in "every_layer.h5", "every_layer.keras":
        model.save(os.path.join(folder, name))
        golden.add(name, None, 1, predict(model, 1))
    model.save_weights(os.path.join(folder, "every_layer.weights.h5"))
    golden.add("every_layer.weights.h5", "every_layer.json", 1, predict(model, 1))
    with open(os.path.join(folder, "every_layer_2.json"), "w") as file:
        config = as_keras_2(json.loads(model.to_json())["config"])
        json.dump({"class_name": "Functional", "config": config}, file)
    golden.add("every_layer.h5", "every_layer_2.json", 1, predict(model, 1))
    model = sequential()
    for name in "sequential.h5", "sequential.keras":
        model.save(os.path.join(folder, name))
        golden.add(name, None, 1, predict(model, 1))


def add_foreign(golden, folder):
    scales = {"sequential-keras3.keras": 1}
    for name in ("batchnorm-keras2.12.h5", "logistic-keras3-legacy.h5",
                 "mini-xception-keras2.0.hdf5", "sequential-inner-scope.h5",
                 "sequential-keras2.4.h5", "sequential-keras3.keras"):
        scale = scales.get(name, 255)
        golden.add(name, None, scale, predict(load(os.path.join(folder, name)), scale))
    model = separable_chest()
    describe(model, "separable_chest.json")
    with h5py.File(os.path.join(folder, "separable-weights-only.hdf5")) as file:
        legacy_h5_format.load_weights_from_hdf5_group(file, model)
    golden.add("separable-weights-only.hdf5", "separable_chest.json", 255, predict(model, 255))
    model = tuner_trial()
    describe(model, "tuner_trial.json")
    model.load_weights(os.path.join(folder, "tuner-trial.weights.h5"))
    golden.add("tuner-trial.weights.h5", "tuner_trial.json", 1, predict(model, 1))


def main():
    golden = Golden()
    add_own(golden)
    own = len(golden.cases)
    if len(sys.argv) > 1:
        add_foreign(golden, sys.argv[1])
    golden.write(own)


if __name__ == "__main__":
    main()
