#!/usr/bin/env python3
"""Writes tests/data/golden/pictures/: small PNG and JPEG files, and what Pillow and torchvision make of them.

Run with a Python that has Pillow, numpy and torchvision: tools/golden/make_pictures.py
NAME.png or NAME.jpg is the picture, NAME.rgb its pixels [height, width, 3] as Pillow's convert("RGB") gives them, and
NAME_SIDE.rgb those after torchvision's Resize(SIDE) and CenterCrop(SIDE) on the PIL image, as its ImageFolder does.
"""
import pathlib

import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision.transforms import CenterCrop, Resize

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/golden/pictures"
SIDES = {"wide.png": (16, 37, 50), "tall.png": (8, 24)}


def photograph(height, width, channels):
    """Smooth shapes, an edge and some grain, so that every filter has something to do."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    values = 120 + 70 * np.sin(x / 5 + c) * np.cos(y / 7 - c) + 50 * (x > y) - 13 * ((3 * x + 5 * y + c) % 7)
    return np.clip(values, 0, 255).astype(np.uint8)


def save(name, image, **options):
    path = OUT / name
    image.save(path, **options)
    stored = Image.open(path)
    (OUT / f"{path.stem}.rgb").write_bytes(np.asarray(stored.convert("RGB")).tobytes())
    for side in SIDES.get(name, ()):
        square = CenterCrop(side)(Resize(side)(stored.convert("RGB")))
        (OUT / f"{path.stem}_{side}.rgb").write_bytes(np.asarray(square).tobytes())


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rgb = Image.fromarray(photograph(11, 17, 3))
    save("rgb.png", rgb)
    save("grey.png", rgb.convert("L"))
    save("bits.png", rgb.convert("1"))
    save("palette.png", rgb.quantize(13))
    save("opacity.png", Image.fromarray(photograph(11, 17, 4)))
    save("grey_opacity.png", rgb.convert("LA"))
    save("baseline.jpg", rgb, quality=85)
    save("full_colour.jpg", rgb, quality=95, subsampling=0)
    save("grey_baseline.jpg", rgb.convert("L"), quality=80)
    save("progressive.jpg", rgb, quality=80, progressive=True)
    grey = np.asarray(rgb.convert("L"))  # Pillow's convert("RGB") cuts 16 bits off instead of reducing them
    Image.fromarray(grey.astype(np.uint16) * 257).save(OUT / "deep.png")
    (OUT / "deep.rgb").write_bytes(np.repeat(grey[:, :, None], 3, axis=2).tobytes())
    rgb.convert("CMYK").save(OUT / "cmyk.jpg")
    save("wide.png", Image.fromarray(photograph(37, 53, 3)))
    save("tall.png", Image.fromarray(photograph(61, 24, 3)))
    print("Pillow", PIL.__version__, "torchvision", torchvision.__version__)


main()
