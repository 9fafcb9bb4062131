"""Colours of classes: BGR, uint8, the same for a class in every frame and every run.

CamVid and VOC have colours that everybody who works with them knows; every other list of classes
gets bright ones, spread round the colour circle.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from livevision.errors import UsageError, unknown

Colour = tuple[int, int, int]
"""Blue, green, red, 0..255."""

# The 11 classes of the small CamVid benchmark and the spellings in use for them.
CAMVID: dict[str, Colour] = {
    "sky": (128, 128, 128),
    "building": (0, 0, 128),
    "pole": (128, 192, 192),
    "road": (128, 64, 128),
    "pavement": (222, 40, 60),
    "sidewalk": (222, 40, 60),
    "tree": (0, 128, 128),
    "sign": (128, 128, 192),
    "sign_symbol": (128, 128, 192),
    "fence": (128, 64, 64),
    "car": (128, 0, 64),
    "pedestrian": (0, 64, 64),
    "bicyclist": (192, 128, 0),
}

VOC_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep"),
    *("sofa", "train", "tvmonitor"),
)

# Classes that stand for "nothing to see here"; the picture shows through them.
CLEAR = frozenset({"background", "void", "unlabelled", "unlabeled", "ignore", "ignored"})

PALETTES = ("auto", "camvid", "voc", "spread")


def palette(labels: Sequence[str], name: str = "auto") -> NDArray[np.uint8]:
    """One colour for each class: uint8, N×3, BGR.

    Args:
        labels: Class names, in the order of their ids.
        name: "camvid" and "voc" are the data sets' own colours, "spread" the generated ones;
            "auto" takes a data set's where all the names are its own, else the generated.

    Raises:
        UsageError: There is no such palette, or it has no colour for one of the classes.
    """
    if name not in PALETTES:
        raise UsageError(unknown("palette", name, PALETTES))
    known = {"camvid": CAMVID, "voc": _voc()}
    if name == "auto":
        plain = [_plain(label) for label in labels if _plain(label) not in CLEAR]
        name = next((k for k, table in known.items() if set(plain) <= set(table)), "spread")
    if name == "spread":
        return np.array([spread(i) for i in range(len(labels))], np.uint8).reshape(-1, 3)
    table = known[name]
    colours = []
    for label in labels:
        if _plain(label) not in table and _plain(label) not in CLEAR:
            raise UsageError(unknown(f"class of the palette {name!r}", label, table))
        colours.append(table.get(_plain(label), (0, 0, 0)))
    return np.array(colours, np.uint8).reshape(-1, 3)


def is_clear(label: str) -> bool:
    """Whether a class stands for no object, so that its pixels keep the picture's colours."""
    return _plain(label) in CLEAR


def spread(class_id: int) -> Colour:
    """A bright colour for a class id; neighbouring ids lie far apart on the colour circle."""
    # Steps by the golden section never come near an earlier hue soon; after one round of the
    # ids, a second lightness tells the near ones apart.
    hue = (0.05 + class_id * 0.61803398875) % 1.0
    lightness = (0.55, 0.42, 0.68)[(class_id // 10) % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.9)
    # Pure blues are too dark for a thin line; white is mixed in up to a least brightness.
    light = 0.299 * red + 0.587 * green + 0.114 * blue
    white = max(0.0, (0.4 - light) / (1 - light))
    blue, green, red = (round(255 * (v + white * (1 - v))) for v in (blue, green, red))
    return blue, green, red


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever reads better on a colour."""
    blue, green, red = colour
    return (0, 0, 0) if 0.114 * blue + 0.587 * green + 0.299 * red > 140 else (255, 255, 255)


def _plain(label: str) -> str:
    """A label as the tables spell it."""
    return label.strip().lower().replace(" ", "_").replace("-", "_")


def _voc() -> dict[str, Colour]:
    """VOC's colours: the bits of the class id dealt to red, green and blue, highest bits first."""
    colours: dict[str, Colour] = {}
    for class_id, name in enumerate(VOC_NAMES):
        channels = [0, 0, 0]
        rest, bit = class_id, 7
        while rest:
            for c in range(3):
                channels[c] |= (rest >> c & 1) << bit
            rest, bit = rest >> 3, bit - 1
        colours[name] = (channels[2], channels[1], channels[0])
    return colours
