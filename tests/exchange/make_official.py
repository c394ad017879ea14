"""Weights of a checkpoint in the layouts of other programs: make_official.py CHECKPOINT FOLDER.

official.h5 has that of ImageNet's official files, which Keras 1 wrote: VGG's layers have their names,
Xception's are numbered in the order in which the network was built, a block's shortcut before the
block. swapped.h5 is the same with batch normalisations 36 and 38 swapped. later.h5 has the names of the
second Xception of a process in today's Keras. torch.safetensors has the layout of torchvision's VGG, and
torch_bn.safetensors also what tells its variant with batch normalisation."""
import json
import pathlib
import re
import struct
import sys

import h5py
import numpy as np


def read(path):
    with h5py.File(path) as file:
        group = file["model_weights"]
        return {layer.decode(): {name.decode().split("/")[-1].split(":")[0]: group[layer][name][...]
                                 for name in group[layer].attrs["weight_names"]}
                for layer in group.attrs["layer_names"]}


def xception_numbers():
    """Our names by Keras 1's, in the order of building."""
    counts, names = {}, {}

    def add(kind, layer):
        counts[kind] = counts.get(kind, 0) + 1
        names[f"{kind}_{counts[kind]}"] = layer

    def unnamed(kind, number):
        return kind if number == 0 else f"{kind}_{number}"

    def separable(block, number):
        add("separableconvolution2d", f"block{block}_sepconv{number}")
        add("batchnormalization", f"block{block}_sepconv{number}_bn")

    for number in (1, 2):
        add("convolution2d", f"block1_conv{number}")
        add("batchnormalization", f"block1_conv{number}_bn")
    for block in range(2, 15):
        if block in (2, 3, 4, 13):
            shortcut = (2, 3, 4, 13).index(block)
            add("convolution2d", unnamed("conv2d", shortcut))
            add("batchnormalization", unnamed("batch_normalization", shortcut))
        for number in range(1, 4 if 5 <= block <= 12 else 3):
            separable(block, number)
    assert counts == {"convolution2d": 6, "separableconvolution2d": 34, "batchnormalization": 40}
    assert [names[f"batchnormalization_{i}"][:5] for i in (3, 6, 9, 36)] == ["batch"] * 4
    return names


def write(path, groups):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([name.encode() for name in groups])
        for name, arrays in groups.items():
            group = file.create_group(name)
            names = [f"{name}_{i}:0" for i in range(len(arrays))]
            group.attrs["weight_names"] = np.array([x.encode() for x in names])
            for x, array in zip(names, arrays.values()):
                group[x] = array


def write_safetensors(path, arrays):
    header, data = {}, b""
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array, "<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape,
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def write_torch(folder, weights):
    arrays, number, block = {}, 0, 1
    for layer, of in weights.items():
        if not layer.startswith("block"):
            continue
        if int(layer[5]) != block: # pooling between blocks
            number, block = number + 1, block + 1
        arrays[f"features.{number}.weight"] = of["kernel"].transpose(3, 2, 0, 1)
        arrays[f"features.{number}.bias"] = of["bias"]
        number += 2
    write_safetensors(folder / "torch.safetensors", arrays)
    arrays["features.1.running_mean"] = np.zeros(8)
    write_safetensors(folder / "torch_bn.safetensors", arrays)


def main():
    weights, folder = read(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir()
    if "block14_sepconv2" not in weights:
        write(folder / "official.h5", weights)
        write(folder / "notop.h5", {k: v for k, v in weights.items() if k.startswith("block")})
        write_torch(folder, weights)
        return
    later = {layer: re.sub(r"^(conv2d|batch_normalization)(_(\d))?$",
                           lambda m: f"{m[1]}_{int(m[3] or 0) + 4}", layer) for layer in weights}
    write(folder / "later.h5", {later[layer]: of for layer, of in weights.items()})
    groups = {old: weights[layer] for old, layer in xception_numbers().items()}
    groups["predictions"] = weights["predictions"]
    write(folder / "official.h5", groups)
    a, b = "batchnormalization_36", "batchnormalization_38"
    groups[a], groups[b] = groups[b], groups[a]
    write(folder / "swapped.h5", groups)


if __name__ == "__main__":
    main()
