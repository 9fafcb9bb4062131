"""Text as masks: words rendered once by FreeType, cached, and joined to lines.

Class names and figures repeat from frame to frame, so a line is mostly copied from the cache. The
font is the one in Pillow; letters that it lacks (ü, Cyrillic, Chinese) come from system fonts, and
without one are replaced by plain letters, or "?".
"""

from __future__ import annotations

import math
import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Mask = NDArray[np.uint8]
"""Ink coverage of each pixel, 0..255, H×W."""

DIGIT_SPACE = "\u2007"
"""A space as wide as a digit, which keeps numbers of different lengths in their column."""

_ABOVE, _BELOW, _SPACE = 0.80, 0.24, 0.3  # of the size: above and below the baseline, word space
_OTHERS_SCALE = 0.85  # other fonts are larger at the same size, and have accented capitals
_OTHERS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Arial Unicode.ttf",
)


def line_height(size: int) -> int:
    """Rows of the masks at a size in pixels, for any text."""
    return math.ceil(size * _ABOVE) + math.ceil(size * _BELOW)


@lru_cache(maxsize=512)
def line(text: str, size: int) -> Mask:
    """One line of text; read-only.

    Args:
        text: Words separated by spaces.
        size: Font size in pixels.
    """
    # Two spaces have an empty word between them.
    words = [word(w, size) for w in text.split(" ")]
    gap = round(size * _SPACE)
    wide = sum(w.shape[1] for w in words) + gap * (len(words) - 1)
    mask = np.zeros((line_height(size), wide), np.uint8)
    left = 0
    for letters in words:
        mask[:, left : left + letters.shape[1]] = letters
        left += letters.shape[1] + gap
    return mask


@lru_cache(maxsize=1024)
def word(text: str, size: int) -> Mask:
    """A word, optionally with leading digit spaces; read-only."""
    if not text:
        return np.zeros((line_height(size), 0), np.uint8)
    from PIL import Image, ImageDraw

    shown = text.lstrip(DIGIT_SPACE)
    blank = (len(text) - len(shown)) * _font("", size).getlength("0")
    shown = " ".join(shown.split())
    face = _face_for(shown)
    if face is None:
        face, shown = "", _in_plain_letters(shown)
    font = _font(face, size)
    wide = math.ceil(blank + font.getlength(shown))
    picture = Image.new("L", (max(1, wide), line_height(size)))
    at = (blank, math.ceil(size * _ABOVE))
    ImageDraw.Draw(picture).text(at, shown, fill=255, font=font, anchor="ls")
    return np.asarray(picture)[:, :wide]


@lru_cache(maxsize=64)
def _font(face: str, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    if face:
        return ImageFont.truetype(face, max(1, round(size * _OTHERS_SCALE)))
    return ImageFont.load_default(size)  # type: ignore[return-value]


@lru_cache(maxsize=256)
def _face_for(text: str) -> str | None:
    """The first font with all the letters; "" is Pillow's own, None if there is none."""
    if text.isascii():
        return ""
    return next((f for f in ("", *_other_faces()) if all(_has(f, c) for c in text)), None)


@lru_cache(maxsize=1)
def _other_faces() -> tuple[str, ...]:
    """The installed fonts of ``_OTHERS``, and Matplotlib's, a dependency of supervision."""
    from PIL import ImageFont

    found = []
    for name in _OTHERS:
        try:
            found.append(str(ImageFont.truetype(name, 10).path))
        except (OSError, ImportError):
            continue
    spec = find_spec("matplotlib")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            found.append(str(file))
    return tuple(found)


@lru_cache(maxsize=1024)
def _has(face: str, letter: str) -> bool:
    """Whether a font has a letter, rather than the box for missing ones."""
    font = _font(face, 20)
    return letter == " " or bytes(font.getmask(letter)) != bytes(font.getmask("\U0010ffff"))


def _in_plain_letters(text: str) -> str:
    """The text in ASCII: letters without accents, "?" for all others."""
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in plain)
