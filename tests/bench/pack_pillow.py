"""pack_pillow.py FOLDER OUT.h5 [PROCESSES] [SIZE]: what `pneumo-dist pack` is compared with: decodes
the images below FOLDER to grey with Pillow, resizes them, and writes them with h5py, as a user's script
would do it. Prints images per second."""
import multiprocessing
import pathlib
import sys
import time

import h5py
import numpy as np
from PIL import Image, ImageOps

folder, out = pathlib.Path(sys.argv[1]), sys.argv[2]
processes = int(sys.argv[3]) if len(sys.argv) > 3 else 1
size = int(sys.argv[4]) if len(sys.argv) > 4 else 224


def decode(path):
    with Image.open(path) as image:
        grey = ImageOps.exif_transpose(image).convert("L")
        return np.asarray(grey.resize((size, size), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    start = time.monotonic()
    with h5py.File(out, "w") as file, multiprocessing.Pool(processes) as pool:
        images = file.create_dataset("images", (len(paths), size, size), "u1", chunks=(1, size, size),
                                     fletcher32=True)
        for i, image in enumerate(pool.imap(decode, paths, 4)):
            images[i] = image
        file["name"] = [str(path.relative_to(folder)) for path in paths]
    seconds = time.monotonic() - start
    print(f"{len(paths)} images, {processes} processes: {len(paths) / seconds:.1f} images/s")
