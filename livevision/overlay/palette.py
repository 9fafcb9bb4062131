"""Class colours: BGR, uint8, the same for a class in every frame and every run.

Boxes are bright and class maps deep, so that a box is visible on any class. In both, colours of
classes are as far apart as possible, common classes first. Street scenes have their own colours, in
which adjacent classes differ in hue and brightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from livevision.errors import UsageError, unknown
from livevision.overlay.contrast import contrast_ratio, luminance, oklab

Colour = tuple[int, int, int]
"""Blue, green, red, 0..255."""

_LEAST_CHROMA = 0.1  # in Oklab; pictures are full of greys
_UNLIKE = 0.12  # distance in Oklab

BRIGHT = (0.5, 0.9)
"""Range of luminance of box colours."""

DEEP = (0.03, 0.3)
"""Range of luminance of class-map colours."""

# The classes of CamVid and Cityscapes, with synonyms. Found by hill climbing: any two of CamVid's
# differ by at least 0.14 in Oklab; adjacent ones by 0.2, and in brightness by 1.35 to 1.
STREET: dict[str, Colour] = {
    "sky": (230, 156, 40),
    "building": (16, 22, 95),
    "wall": (91, 45, 85),
    "pole": (133, 90, 90),
    "road": (134, 27, 43),
    "pavement": (180, 100, 162),
    "tree": (15, 84, 0),
    "terrain": (0, 172, 20),
    "sign": (220, 0, 219),
    "traffic_light": (72, 10, 255),
    "fence": (30, 153, 155),
    "car": (0, 98, 255),
    "truck": (0, 110, 191),
    "bus": (255, 0, 80),
    "train": (205, 30, 0),
    "motorcycle": (211, 103, 222),
    "bicyclist": (143, 167, 2),
    "rider": (162, 20, 255),
    "pedestrian": (50, 0, 188),
}
STREET |= {
    other: STREET[name]
    for name, others in {
        "pavement": ("sidewalk",),
        "tree": ("vegetation",),
        "sign": ("sign_symbol", "traffic_sign"),
        "bicyclist": ("bicycle",),
        "pedestrian": ("person",),
    }.items()
    for other in others
}

# The 11 classes of the small CamVid benchmark, with their common spellings.
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

# Classes without objects; they are transparent.
CLEAR = frozenset({"background", "void", "unlabelled", "unlabeled", "ignore", "ignored"})

# What cameras see most; these colours should be farthest apart.
_COMMON = (
    *("person", "pedestrian", "car", "bicycle", "motorbike", "motorcycle", "bus", "truck", "dog"),
    *("cat", "horse", "sheep", "cow", "bird", "train", "boat", "aeroplane", "airplane"),
)
_FIRST_BRIGHT: tuple[Colour, ...] = (
    *((0, 215, 255), (255, 215, 0), (255, 160, 255), (80, 255, 120)),
    *((85, 180, 255), (255, 190, 185), (180, 170, 255), (215, 255, 120)),
)
_FIRST_DEEP: tuple[Colour, ...] = (
    *((110, 0, 230), (255, 90, 0), (40, 130, 0), (0, 100, 230)),
    *((190, 0, 120), (140, 130, 0), (0, 60, 120), (120, 20, 20)),
)

PALETTES = ("auto", "street", "camvid", "voc", "spread")


def palette(labels: Sequence[str], name: str = "auto") -> NDArray[np.uint8]:
    """The colours of the classes in a class map: uint8, N×3, BGR.

    Args:
        labels: Class names, in the order of their ids.
        name: "street" for the classes of CamVid and Cityscapes, "spread" for any; "auto" takes the
            first if it has all the names, else the second. "camvid" and "voc" are the colours
            published with these data sets, some of which are hard to tell apart.

    Raises:
        UsageError: The palette is unknown, or has no colour for a class.
    """
    if name not in PALETTES:
        raise UsageError(unknown("palette", name, PALETTES))
    if name == "auto":
        plain = {_plain(label) for label in labels} - CLEAR
        name = "street" if plain and plain <= set(STREET) else "spread"
    if name == "spread":
        return _dealt(labels, deep())
    table = {"street": STREET, "camvid": CAMVID, "voc": _voc()}[name]
    colours = []
    for label in labels:
        if _plain(label) not in table and _plain(label) not in CLEAR:
            raise UsageError(unknown(f"class of the palette {name!r}", label, table))
        colours.append(table.get(_plain(label), (0, 0, 0)))
    return np.array(colours, np.uint8).reshape(-1, 3)


def box_palette(labels: Sequence[str]) -> NDArray[np.uint8]:
    """The colours of the classes' boxes: uint8, N×3, BGR."""
    return _dealt(labels, bright())


@lru_cache(maxsize=1)
def bright() -> NDArray[np.uint8]:
    """256 bright colours, uint8, N×3, each as far as possible from those before it.

    All differ from the street colours of class maps, on which boxes often lie.
    """
    return _far_apart(_FIRST_BRIGHT, BRIGHT, list(STREET.values()))


@lru_cache(maxsize=1)
def deep() -> NDArray[np.uint8]:
    """256 deep colours, uint8, N×3, each as far as possible from those before it."""
    return _far_apart(_FIRST_DEEP, DEEP)


def is_clear(label: str) -> bool:
    """Whether a class stands for no object and is transparent."""
    return _plain(label) in CLEAR


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever reads better on a colour; the contrast is at least 4.5 to 1."""
    black, white = contrast_ratio([(0, 0, 0), (255, 255, 255)], colour)
    return (0, 0, 0) if black > white else (255, 255, 255)


def _dealt(labels: Sequence[str], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A colour for each class, the first ones for common classes; none for transparent ones."""
    ranks = {name: rank for rank, name in enumerate(_COMMON)}
    plain = [_plain(label) for label in labels]
    order = sorted(range(len(labels)), key=lambda i: (ranks.get(plain[i], len(ranks)), i))
    dealt = np.zeros((len(labels), 3), np.uint8)
    order = [i for i in order if plain[i] not in CLEAR]
    dealt[order] = colours[np.arange(len(order)) % len(colours)]
    return dealt


def _far_apart(
    first: Sequence[Colour],
    luminances: tuple[float, float],
    unlike: Sequence[Colour] = (),
    count: int = 256,
) -> NDArray[np.uint8]:
    """Colours of a luminance range from a grid, greedily the farthest from all before."""
    steps = np.arange(0, 256, 15)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    lab, light = oklab(grid), luminance(grid)
    coloured = np.hypot(lab[:, 1], lab[:, 2]) >= _LEAST_CHROMA
    for colour in unlike:
        coloured &= np.linalg.norm(lab - oklab(colour), axis=1) >= _UNLIKE
    kept = coloured & (light >= luminances[0]) & (light <= luminances[1])
    grid, lab = grid[kept], lab[kept]
    chosen = list(first)
    nearest = np.linalg.norm(lab[:, None] - oklab(first), axis=2).min(1)
    while len(chosen) < count:
        best = int(nearest.argmax())
        blue, green, red = (int(v) for v in grid[best])
        chosen.append((blue, green, red))
        nearest = np.minimum(nearest, np.linalg.norm(lab - lab[best], axis=1))
    return np.array(chosen, np.uint8)


def _plain(label: str) -> str:
    """A label in the spelling of the tables."""
    return label.strip().lower().replace(" ", "_").replace("-", "_")


def _voc() -> dict[str, Colour]:
    """VOC's colours: bits of the class id distributed to red, green and blue, high bits first."""
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
