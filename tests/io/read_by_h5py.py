"""Reads files of test_dataset.c and test_checkpoint.c as h5py and Keras do."""
import sys

import h5py
import numpy as np


def enum(array):
    return h5py.check_enum_dtype(array.dtype)


def dataset(file):
    assert file.attrs["format"] == b"pneumo-dist data set"
    assert file.attrs["format_version"] == 2
    assert file.attrs["seed"] == 2**64 - 1
    assert file.attrs["count_train_pneumonia"] == 2
    images = file["images"]
    assert images.shape == (7, 5, 6) and images.dtype == np.uint8
    assert images.chunks == (1, 5, 6) and images.fletcher32
    expected = np.arange(7 * 5 * 6, dtype=np.uint32).reshape(images.shape)
    assert np.array_equal(images[...], (expected * 7 % 256).astype(np.uint8))
    assert enum(file["label"]) == {"NORMAL": 0, "PNEUMONIA": 1}
    assert enum(file["cause"]) == {"NONE": 0, "BACTERIA": 1, "VIRUS": 2, "UNKNOWN": 3}
    assert enum(file["fold"]) == {"TRAIN": 0, "VAL": 1, "TEST": 2}
    assert list(file["label"]) == [0, 1, 0, 1, 0, 1, 0]
    assert file["patient"].dtype == np.int32 and list(file["patient"])[:3] == [0, 3, 6]
    assert file["shape"].dtype == np.uint16 and file["shape"].fletcher32
    assert file["shape"][...].tolist() == [[0, 0]] + [[100 * i, 65535 - i] for i in range(1, 7)]
    assert file["name"][1] == b"PNEUMONIA/person1_bacteria_1.jpeg"


def checkpoint(file):
    # Keras' load_weights: the group model_weights, if the file itself has no layer_names.
    assert "layer_names" not in file.attrs
    # Keras' load_model: decoded if it is bytes.
    assert file.attrs["model_config"].decode("utf8") == '{"class_name": "Functional"}'
    assert file.attrs["keras_version"].decode("utf8") == "2.4.0"
    assert file["input"].attrs["size"] == 112 and file["input"].attrs["scaling"] == b"image"
    weights = file["model_weights"]
    assert weights.attrs["backend"] == b"tensorflow"
    assert weights.attrs["keras_version"].decode("utf8")
    layers = [name.decode("utf8") for name in weights.attrs["layer_names"]]
    assert layers == ["block1_conv1", "dense"]
    names = {layer: [n.decode("utf8") for n in weights[layer].attrs["weight_names"]]
             for layer in layers}
    assert names["block1_conv1"] == ["block1_conv1/kernel:0", "block1_conv1/bias:0"]
    kernel = weights["block1_conv1"][names["block1_conv1"][0]]
    assert kernel.shape == (3, 3, 1, 4) and kernel.dtype == np.float32
    assert np.array_equal(kernel[...].ravel(), np.arange(36, dtype=np.float32) / 8)
    assert weights["dense/dense/kernel:0"].shape == (4, 1)
    assert file["optimizer/momentum/dense/kernel:0"].shape == (4, 1)
    assert file["history"]["epoch"].tolist() == [1, 2]
    assert file["history"].dtype.names[-2:] == ("gradient_norm", "val_stress_auc")
    assert file["state"].attrs["step"] == 1234
    assert file["decision"].attrs["threshold"] == 0.625
    images = file["calibration/images"]
    assert images[:].shape == (3, 16) and images[:].dtype == "uint8"
    assert list(images[1][:3]) == [1, 2, 0] and file["calibration"].attrs["normal"] == 2
    assert file["job"][()].decode("utf8").startswith("[train]\n")


with h5py.File(sys.argv[2], "r") as opened:
    {"dataset": dataset, "checkpoint": checkpoint}[sys.argv[1]](opened)
