"""Files that are no models, broken ones and hostile ones, in the current folder: make_broken.py MODELS,
where MODELS is tests/golden/keras. good.h5 is the model that the others vary."""
import json
import pathlib
import struct
import sys
import zipfile

import h5py
import numpy as np

models = pathlib.Path(sys.argv[1])


def write(name, data):
    pathlib.Path(name).write_bytes(data)


write("lfs.h5", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
write("page.h5", b"<!DOCTYPE html><html><body>Sign in</body></html>\n")
write("source.h5", b"import keras\nmodel = keras.Sequential()\n")
write("byte.keras", b"P")
write("empty.h5", b"")
write("cut.keras", (models / "sequential.keras").read_bytes()[:20000])
write("cut.h5", (models / "sequential.h5").read_bytes()[:20000])


def sequential(layers, channels=1):
    first = {"class_name": "InputLayer",
             "config": {"name": "i", "batch_shape": [None, 8, 8, channels]}}
    return json.dumps({"class_name": "Sequential",
                       "config": {"name": "m", "layers": [first] + layers}})


def layer(class_name, **config):
    return {"class_name": class_name, "config": {"name": "x", **config}}


flat = layer("Flatten")
flat["config"]["name"] = "f"
dense = sequential([flat, layer("Dense", units=1)])


def legacy(name, config=dense, weights=("x/kernel:0", "x/bias:0"), fill=None):
    with h5py.File(name, "w") as file:
        file.attrs["model_config"] = config
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([b"f", b"x"])
        root.create_group("f").attrs["weight_names"] = np.array([], "f8")
        group = root.create_group("x")
        group.attrs["weight_names"] = np.array([w.encode() for w in weights])
        if fill:
            fill(group)


def good(group):
    group["x/kernel:0"] = np.ones((64, 1), "f4")
    group["x/bias:0"] = np.ones(1, "f4")


legacy("good.h5", fill=good)
legacy("planes.h5", sequential([flat, layer("Dense", units=1)], channels=2))
legacy("lambda.h5", sequential([layer("Lambda")]))
legacy("deep.h5", "[" * 10000)


def loop(group):
    group["x"] = h5py.SoftLink("/model_weights/x/y")
    group["y"] = h5py.SoftLink("/model_weights/x/x")


legacy("loop.h5", fill=loop)


def external_link(group):
    group["x"] = h5py.ExternalLink("good.h5", "/model_weights/x/x")


legacy("link.h5", fill=external_link)


def external_data(group):
    x = group.create_group("x")
    x.create_dataset("kernel:0", (64, 1), "f4", external=[("good.h5", 0, 256)])
    x["bias:0"] = np.ones(1, "f4")


legacy("external.h5", fill=external_data)


def huge(group):
    x = group.create_group("x")
    x.create_dataset("kernel:0", (2**31 - 1, 2**31 - 1), "f4", chunks=(1, 1024))
    x["bias:0"] = np.ones(1, "f4")


legacy("huge.h5", fill=huge)


def shape(group):
    group["x/kernel:0"] = np.ones((63, 1), "f4")
    group["x/bias:0"] = np.ones(1, "f4")


legacy("shape.h5", fill=shape)

legacy("missing.h5", weights=("x/kernel:0",), fill=good)
wide = layer("Dense", units=2**20)
wide["config"]["name"] = "wide"
legacy("wide.h5", sequential([flat, wide, layer("Dense", units=1)]), fill=good)
padding = layer("ZeroPadding2D", padding=15000)
legacy("padded.h5", sequential([padding, flat, layer("Dense", units=1)]), fill=good)
legacy("units.h5", sequential([flat, layer("Dense", units=2**31 - 1)]), fill=good)
with h5py.File("other.h5", "w") as file:
    file["numbers"] = np.ones(4)

with zipfile.ZipFile("bomb.keras", "w", zipfile.ZIP_DEFLATED) as file:
    file.writestr("config.json", b" " * (1 << 28))
with zipfile.ZipFile("photos.keras", "w") as file:
    file.writestr("a.txt", b"a")
with zipfile.ZipFile("npz.keras", "w") as file:
    file.writestr("config.json", dense)
    file.writestr("model.weights.npz", b"a")

# Texts of variable length, 3,000 of which name the same 2,000,000 bytes.
with h5py.File("alias.h5", "w") as file:
    file.attrs["model_config"] = dense
    texts = ["a" * 2000000] + ["b%04d" % i for i in range(3000)]
    file.create_group("model_weights").attrs.create(
        "layer_names", np.array(texts, object), dtype=h5py.string_dtype())
data = bytearray(pathlib.Path("alias.h5").read_bytes())
at = data.find(struct.pack("<I", 2000000))
while data[at + 16:at + 20] != struct.pack("<I", 5):
    at = data.find(struct.pack("<I", 2000000), at + 1)
for i in range(1, 3001):
    data[at + 16 * i:at + 16 * (i + 1)] = data[at:at + 16]
write("alias.h5", data)


def safetensors(name, header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    write(name, struct.pack("<Q", len(text) if length is None else length) + text + data)


def array(shape, offsets, dtype="F32"):
    return {"x/kernel": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


safetensors("long.safetensors", array([1], [0, 4]), length=1 << 20)
safetensors("deep.safetensors", b"{" + b'"a":{' * 10000)
safetensors("overflow.safetensors", array([2**31 - 1] * 3, [0, 4]), bytes(4))
safetensors("outside.safetensors", array([4], [0, 16]), bytes(8))
safetensors("backwards.safetensors", array([1], [8, 4]), bytes(8))
safetensors("negative.safetensors", array([-1], [0, 4]), bytes(4))
safetensors("integers.safetensors", array([1], [0, 8], "I64"), bytes(8))
safetensors("names.safetensors", {"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}},
            bytes(4))
