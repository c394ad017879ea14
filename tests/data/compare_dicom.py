"""compare_dicom.py DECODER FOLDER: writes radiographs in every transfer syntax, depth and sign with
pydicom, decodes them and pydicom's own test files with DECODER (tests/data/decode_image.c), and compares
the greys with those of the pixel values that pydicom and the tools of GDCM and DCMTK decode. Prints a
table; fails if a grey or a pixel value differs by more than the limit, or if a tool decodes what it is not
known to."""
import collections
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import warnings

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import (CTImageStorage, DeflatedExplicitVRLittleEndian, DigitalXRayImageStorageForPresentation,
                         ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000,
                         JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless,
                         JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless, RLELossless)

warnings.simplefilter("ignore")
decoder, folder = sys.argv[1], pathlib.Path(sys.argv[2])
folder.mkdir(exist_ok=True)
HEIGHT, WIDTH = 123, 97  # odd, so that padding matters

UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
                DeflatedExplicitVRLittleEndian)
PYDICOM = (RLELossless, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000)
LOSSY_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)
JPEG_LS = (JPEGLSLossless, JPEGLSNearLossless)


def dcmtk(syntax):
    """DCMTK's command that decompresses; None: it has none (JPEG 2000 is a module that is sold)."""
    if syntax in UNCOMPRESSED:
        return ["dcmconv", "+te"]
    if syntax in (JPEG2000, JPEG2000Lossless):
        return None
    return ["dcmdrle"] if syntax == RLELossless else ["dcmdjpls"] if syntax in JPEG_LS else ["dcmdjpeg"]


TOOLS = {"GDCM": lambda syntax: ["gdcmconv", "--raw"], "DCMTK": dcmtk}


def can_decode(command, ds):
    """Both tools refuse JPEG-LS streams of 8 bits whose pixels the header puts into 16 bits."""
    return command is not None and not (
        ds.file_meta.TransferSyntaxUID in JPEG_LS and (ds.BitsStored, ds.BitsAllocated) == (8, 16))


def radiograph(bits, signed):
    """A chest in outline with noise, over most of the range."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] / np.array([HEIGHT, WIDTH]).reshape(2, 1, 1)
    shade = 0.25 + 0.5 * np.exp(-((x - 0.5) ** 2 + (y - 0.5) ** 2) * 6)
    for centre in (0.3, 0.7):
        shade -= 0.3 * np.exp(-((x - centre) ** 2 * 60 + (y - 0.5) ** 2 * 12))
    shade = np.clip(shade + np.random.default_rng(bits).normal(0, 0.02, shade.shape), 0, 1)
    values = np.round(shade * (2**bits - 1)).astype(np.int64)
    return values - (2 ** (bits - 1) if signed else 0)


def data_set(values, allocated, stored, signed, **more):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = DigitalXRayImageStorageForPresentation
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3.4"
    ds.PatientName, ds.PatientID, ds.Modality = "A^B", "1", "DX"
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, stored, stored - 1
    ds.PixelRepresentation = int(signed)
    for name, value in more.items():
        setattr(ds, name, value)
    return ds


def cells(values, allocated, order="<"):
    return (values & (2**allocated - 1)).astype(f"{order}u{allocated // 8}")


def lossless(values, allocated, stored, predictor):
    data = cells(values & (2**stored - 1), allocated)
    return imagecodecs.jpeg8_encode(data, lossless=True, predictor=predictor, bitspersample=stored)


def write(path, ds, values, syntax):
    """Encodes with pydicom's encoders, or for JPEG with libjpeg-turbo."""
    allocated, stored = ds.BitsAllocated, ds.BitsStored
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax in UNCOMPRESSED:
        raw = cells(values, allocated, ">" if syntax == ExplicitVRBigEndian else "<").tobytes()
        ds.PixelData = raw + b"\0" * (len(raw) % 2)
        ds["PixelData"].VR = "OW" if allocated > 8 or syntax == ImplicitVRLittleEndian else "OB"
        if syntax == ExplicitVRBigEndian and allocated == 8:
            ds["PixelData"].VR = "OB"
    elif syntax in PYDICOM:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        raw = cells(values, allocated).tobytes()
        ds.PixelData = raw + b"\0" * (len(raw) % 2)
        ds["PixelData"].VR = "OW"
        options = {JPEGLSNearLossless: {"jls_error": 2}, JPEG2000: {"j2k_cr": [4]}}.get(syntax, {})
        ds.compress(syntax, generate_instance_uid=False, **options)
    else:
        if syntax in (JPEGLossless, JPEGLosslessSV1):
            stream = lossless(values, allocated, stored, 1 if syntax == JPEGLosslessSV1 else 4)
        else:
            stream = imagecodecs.jpeg8_encode(cells(values, allocated), level=92, bitspersample=stored)
        ds.PixelData = encapsulate([stream])
        ds["PixelData"].VR = "OB"
    ds.save_as(path, enforce_file_format=True)


def window(ds, name):
    value = ds.get(name)
    return float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)


def wanted(ds):
    """What the manual promises, from pydicom's pixels."""
    stored = ds.pixel_array
    values = apply_modality_lut(stored, ds).astype(float)
    bits = ds.BitsStored
    if ds.get("VOILUTSequence"):
        table = ds.VOILUTSequence[0]
        white = apply_voi_lut(values.astype(np.int64), ds) / (2.0 ** table.LUTDescriptor[2] - 1)
    elif ds.get("WindowWidth") not in (None, ""):
        centre, width = window(ds, "WindowCenter"), window(ds, "WindowWidth")
        function = ds.get("VOILUTFunction") or "LINEAR"
        white = {"LINEAR": (values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5,
                 "LINEAR_EXACT": (values - centre) / width + 0.5,
                 "SIGMOID": 1 / (1 + np.exp(-4 * (values - centre) / width))}[function]
    elif bits <= 8:
        low = -(2 ** (bits - 1)) if ds.PixelRepresentation else 0
        ends = np.array([low, low + 2**bits - 1]) * float(ds.get("RescaleSlope", 1)) + float(
            ds.get("RescaleIntercept", 0))
        white = (values - ends.min()) / (ends.max() - ends.min())
    else:
        order = np.sort(values[stored != ds.get("PixelPaddingValue", 2**40)])
        low, high = (order[int(np.ceil(share * order.size)) - 1] for share in (0.005, 0.995))
        white = (values - low) / (high - low)
    grey = np.floor(255 * np.clip(white, 0, 1) + 0.5)
    return 255 - grey if ds.PhotometricInterpretation == "MONOCHROME1" else grey


def decode(path):
    """The greys, or the error."""
    out = folder / f"{path.name}.pgm"
    done = subprocess.run([decoder, path, out], capture_output=True, text=True)
    if done.returncode:
        assert done.returncode == 1 and done.stderr.count("\n") == 1, (path, done)
        return done.stderr.strip()
    head, pixels = out.read_bytes().split(b"\n", 1)
    width, height = map(int, head.split()[1:3])
    return np.frombuffer(pixels, np.uint8).reshape(height, width).astype(float)


def made():
    """(name, path, largest difference allowed)"""
    number = 0
    depths = [(8, 8), (16, 8), (16, 10), (16, 12), (16, 14), (16, 15), (16, 16)]
    for syntax in (*UNCOMPRESSED, *PYDICOM, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1):
        for allocated, stored in depths:
            for signed in (False, True):
                lossy_jpeg = {JPEGBaseline8Bit: 8, JPEGExtended12Bit: 12}.get(syntax)
                if lossy_jpeg and (stored != lossy_jpeg or signed or (stored == 8 and allocated == 16)):
                    continue
                if syntax == RLELossless and (allocated, stored) == (16, 8):
                    continue  # pydicom 3.0 writes half of the data, which it cannot read either
                number += 1
                values = radiograph(stored, signed)
                ds = data_set(values, allocated, stored, signed)
                path = folder / f"{number:03}.dcm"
                try:
                    write(path, ds, values, syntax)
                except (ValueError, RuntimeError, NotImplementedError) as error:
                    print(f"not written: {syntax.name} {stored}/{allocated}: {error}")
                    continue
                yield syntax.name, path, 1 if lossy_jpeg else 0
    table = Dataset()
    table.LUTDescriptor = [256, 500, 12]
    table.LUTData = np.array([4095 * (i / 255) ** 2 for i in range(256)]).astype("<u2").tobytes()
    for variant in ({"PhotometricInterpretation": "MONOCHROME1"},
                    {"WindowCenter": 1500, "WindowWidth": 1000},
                    {"WindowCenter": [1500.5, 9], "WindowWidth": [1000, 9]},
                    {"WindowCenter": 1500, "WindowWidth": 1000, "VOILUTFunction": "SIGMOID"},
                    {"WindowCenter": 1500, "WindowWidth": 1000, "VOILUTFunction": "LINEAR_EXACT"},
                    {"WindowCenter": 100, "WindowWidth": 900, "RescaleSlope": "0.5", "RescaleIntercept": "-700"},
                    {"RescaleSlope": "-2", "RescaleIntercept": "9000"},
                    {"VOILUTSequence": [table]},
                    {"PixelPaddingValue": 0}):
        number += 1
        values = radiograph(12, False)
        values[:20] = 0
        path = folder / f"{number:03}.dcm"
        write(path, data_set(values, 16, 12, False, **variant), values, ExplicitVRLittleEndian)
        yield "greys: " + ", ".join(variant), path, 0
    values = radiograph(12, False)
    for syntax in (*UNCOMPRESSED, RLELossless):  # other codecs store the value itself
        number += 1
        path = folder / f"{number:03}.dcm"
        write(path, data_set(values << 4, 16, 12, False, HighBit=15), values << 4, syntax)
        shifted = decode(path)
        write(path, data_set(values, 16, 12, False), values, syntax)
        assert np.array_equal(shifted, decode(path)), f"high bit 15, {syntax.name}"


def convert(tool, ds, path):
    """The data set as a tool decompresses it; None: the tool cannot."""
    command = TOOLS[tool](ds.file_meta.TransferSyntaxUID)
    if command is None:
        return None
    out = folder / f"{path.name}.{tool}"
    done = subprocess.run([*command, path, out], capture_output=True, text=True)
    if not can_decode(command, ds):
        assert done.returncode != 0 and not out.exists(), (tool, path, "is not refused: mend can_decode")
        return None
    assert done.returncode == 0, (tool, path, done)
    return pydicom.dcmread(out)


def compare(case):
    """(name, depth, {program: largest difference of a grey; None: it cannot})"""
    name, path, most = case
    ds = pydicom.dcmread(path)
    got = decode(path)
    assert not isinstance(got, str), (name, path, got)
    differences = {"pydicom": int(np.abs(got - wanted(ds)).max())}
    for tool in TOOLS:
        other = convert(tool, ds, path)
        differences[tool] = None if other is None else int(np.abs(got - wanted(other)).max())
        if other is not None:
            # Two decoders of lossy JPEG can round differently.
            apart = np.abs(other.pixel_array.astype(int) - ds.pixel_array.astype(int)).max()
            assert apart <= (ds.file_meta.TransferSyntaxUID in LOSSY_JPEG), (tool, path, apart)
    for program, difference in differences.items():
        limit = most if program == "pydicom" else 0
        assert difference is None or difference <= limit, (name, path, program, difference)
    return name, f"{ds.BitsStored}/{ds.BitsAllocated}{'s' if ds.PixelRepresentation else ''}", differences


def published():
    """pydicom's files: (name, path, largest difference allowed) of grey images of one frame and 8 or 16 bits,
    which are decoded; the number of the others, which are refused."""
    cases, refused = [], 0
    for path in sorted((pathlib.Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm")):
        try:
            ds = pydicom.dcmread(path)
            ds.pixel_array
        except Exception:
            decode(path)  # no crash, one line
            continue
        if (ds.PhotometricInterpretation.startswith("MONOCHROME") and ds.get("NumberOfFrames", 1) == 1
                and ds.BitsAllocated in (8, 16)):
            syntax = ds.file_meta.TransferSyntaxUID
            cases.append((f"pydicom's: {syntax.name}", path, 3 if syntax == JPEGExtended12Bit else 0))
        else:
            assert isinstance(decode(path), str), (path, "is not refused")
            refused += 1
    return cases, refused


published_cases, refused = published()
rows = collections.OrderedDict()
compared = 0
with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    for name, depth, differences in pool.map(compare, [*made(), *published_cases]):
        row = rows.setdefault(name, [0, [], collections.defaultdict(set)])
        row[0] += 1
        row[1] += [depth] if depth not in row[1] else []
        for program, difference in differences.items():
            row[2][program].add(difference)
        compared += 1


def cell(found):
    """The largest difference, and how many kinds of files a tool cannot decode."""
    known = found - {None}
    text = "cannot" if not known else "equal" if known == {0} else f"by {max(known)}"
    return text + (" *" if known and None in found else "")


for name, (files, depths, found) in rows.items():
    print(f"{name[:45]:45} {files:3} files  "
          + "  ".join(f"{program} {cell(found[program]):8}" for program in ("pydicom", *TOOLS)) + "  " + " ".join(depths))
print(f"{compared} files compared, {refused} of colour or several frames refused")
print("*: the tool refuses JPEG-LS of 8 bits in 16")
assert compared > 100 and refused > 30
