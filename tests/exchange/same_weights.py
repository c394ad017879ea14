"""same_weights.py A B [fold]: prints the layers whose weights differ between two checkpoints,
and fails if there are any. `fold`: the first convolution of A has the sum of B's planes."""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1]) as a, h5py.File(sys.argv[2]) as b:
    a, b = a["model_weights"], b["model_weights"]
    assert list(a.attrs["layer_names"]) == list(b.attrs["layer_names"])
    different = set()
    for layer in a.attrs["layer_names"]:
        for name in a[layer].attrs["weight_names"]:
            x, y = a[layer][name][...], b[layer][name][...]
            if sys.argv[3:] == ["fold"] and layer == b"block1_conv1" and x.ndim == 4:
                y = y.sum(axis=2, keepdims=True, dtype="f8").astype("f4")
            if not np.array_equal(x, y):
                different.add(layer.decode())
    print(*sorted(different))
    sys.exit(len(different) > 0)
