#!/usr/bin/env python3
"""Writes changes.h, the expected images of tests/data/test_change.c.

Needs numpy, scipy and Pillow. Geometric changes use scipy's interpolation at the points to which
pixel centres are mapped, blur uses its Gaussian filter, and JPEG uses libjpeg.

    python3 make_changes.py | clang-format > changes.h
"""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

HEIGHT, WIDTH, PICKS = 72, 64, 40


def make_image():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (3 * x + 2 * y + 40 * ((x // 8 + y // 8) % 2) + 5 * (x * y % 11)) % 256


IMAGE = make_image().astype(float)


def sample(image, height, width, points, matrix=((1, 0), (0, 1)), offset=(0, 0), fill=None):
    """Means over points x points samples of each pixel; matrix and offset map (u, v), in [0, 1]
    over the output's width and height, to the same units of the image."""
    h, w = image.shape
    v, u = np.mgrid[: height * points, : width * points]
    u, v = (u + 0.5) / (width * points), (v + 0.5) / (height * points)
    x = (matrix[0][0] * u + matrix[0][1] * v + offset[0]) * w - 0.5
    y = (matrix[1][0] * u + matrix[1][1] * v + offset[1]) * h - 0.5
    values = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest")
    if fill is not None:
        values[(x < -0.5) | (y < -0.5) | (x > w - 0.5) | (y > h - 0.5)] = fill
    return values.reshape(height, points, width, points).mean(axis=(1, 3))


def centred(matrix):
    m = np.array(matrix, float)
    return m, 0.5 - m @ [0.5, 0.5]


def frame(image, width, height, fill=None):
    matrix, offset = centred([[width, 0], [0, height]])
    points = max(1, int(np.ceil(max(abs(width), abs(height)) - 0.01)))
    return sample(image, HEIGHT, WIDTH, points, matrix, offset, fill)


def gauss(image, sigma):
    reach = np.ceil(4 * sigma)
    return ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=reach / sigma)


def gamma(image, exponent):
    return 255 * (image / 255) ** exponent


def contrast(image, factor):
    return np.clip(127.5 + factor * (image - 127.5), 0, 255)


def resample(image, factor):
    small = sample(image, round(HEIGHT * factor), round(WIDTH * factor), int(np.ceil(1 / factor)))
    return sample(small, HEIGHT, WIDTH, 1)


def border(image, share):
    out = image.copy()
    x, y = round(share * WIDTH), round(share * HEIGHT)
    out[:y] = out[HEIGHT - y :] = 0
    out[:, :x] = out[:, WIDTH - x :] = 0
    return out


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(float)


CHANGES = {
    "zoom-in-0.85": frame(IMAGE, 0.85, 0.85),
    "zoom-in-0.7": frame(IMAGE, 0.7, 0.7),
    "zoom-out-1.08": frame(IMAGE, 1.08, 1.08),
    "zoom-out-1.3": frame(IMAGE, 1.3, 1.3),
    "zoom-out-black-1.08": frame(IMAGE, 1.08, 1.08, 0),
    "zoom-out-black-1.3": frame(IMAGE, 1.3, 1.3, 0),
    "stretch-width-0.85": frame(IMAGE, 0.85, 1),
    "stretch-height-0.85": frame(IMAGE, 1, 0.85),
    "mirror": IMAGE[:, ::-1],
    "gamma-0.7": gamma(IMAGE, 0.7),
    "gamma-1.4": gamma(IMAGE, 1.4),
    "contrast-0.7": contrast(IMAGE, 0.7),
    "contrast-1.3": contrast(IMAGE, 1.3),
    "blur-0.008": gauss(IMAGE, 0.008 * WIDTH),
    "resample-0.35": resample(IMAGE, 0.35),
    "sharpen-1": np.clip(2 * IMAGE - gauss(IMAGE, 0.006 * WIDTH), 0, 255),
    "border-0.08": border(IMAGE, 0.08),
    "zoom-0.85-gamma-0.7": gamma(frame(IMAGE, 0.85, 0.85), 0.7),
    "zoom-0.85-gamma-1.4": gamma(frame(IMAGE, 0.85, 0.85), 1.4),
    "zoom-0.85-blur-0.008": frame(gauss(IMAGE, 0.008 * WIDTH), 0.85, 0.85),
    "jpeg-30": jpeg(IMAGE, 30),
    "jpeg-10": jpeg(IMAGE, 10),
}


def turned(degrees, shift):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix, offset = centred([[c, -s], [s, c]])
    return matrix, offset + shift


# The direction of rotations and shifts is random per sample, so tests check their maps instead.
MAPS = {
    "turned": (*turned(10, (0, 0)), None),
    "turned back, black": (*turned(-10, (0, 0)), 0),
    "shifted": (np.eye(2), np.array([0.08 * 0.6, -0.08 * 0.8]), None),
    "sheared and shrunk": (*centred([[1.6, 0.3], [-0.2, 2.2]]), None),
}


def numbers(values):
    return "{" + ", ".join(f"{v:.5g}" for v in values) + "}"


def picks(image):
    return numbers(image.ravel()[[i * 1153 % (HEIGHT * WIDTH) for i in range(PICKS)]])


print("/* Written by make_changes.py; do not edit. */")
print("#include <math.h>\n")
print(f"enum {{ GOLDEN_HEIGHT = {HEIGHT}, GOLDEN_WIDTH = {WIDTH}, GOLDEN_PICKS = {PICKS} }};\n")
print("/* Grey values of the pixels number i * 1153 % (height * width). */")
print("static const struct {\nconst char *name;\nfloat greys[GOLDEN_PICKS];\n} golden_changes[] = {")
for name, image in CHANGES.items():
    print(f'{{"{name}", {picks(image)}}},')
print("};\n")
print("static const struct {\nconst char *name;\nfloat map[6], fill;\nfloat greys[GOLDEN_PICKS];\n"
      "} golden_maps[] = {")
for name, (matrix, offset, fill) in MAPS.items():
    places = [matrix[0][0], matrix[0][1], offset[0], matrix[1][0], matrix[1][1], offset[1]]
    across = np.hypot(matrix[0][0], matrix[1][0])
    down = np.hypot(matrix[0][1], matrix[1][1])
    points = max(1, int(np.ceil(max(across, down) - 0.01)))
    image = sample(IMAGE, HEIGHT, WIDTH, points, matrix, offset, fill)
    values = "{" + ", ".join(f"{float(v):.9g}f" if "." in f"{float(v):.9g}" else f"{v:g}" for v in places) + "}"
    print(f'{{"{name}", {values}, {"NAN" if fill is None else fill}, {picks(image)}}},')
print("};")
