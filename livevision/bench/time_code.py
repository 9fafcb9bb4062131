"""A number drawn into pictures, by which a frame is known again behind cameras and codecs.

Two rows of blocks in the lowest eighth of a picture: a bright and a dark one, and 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator

from livevision.frame import Image

_BITS, _COLUMNS = 16, 9
_SHARE = 8
_BRIGHT, _DARK = 235, 16
_LEAST_CONTRAST = 40


def draw(image: Image, number: int) -> None:
    """Write 0..65535 into a picture, uint8, H×W×3, in place."""
    bits = [bool(number >> place & 1) for place in reversed(range(_BITS))]
    half = _BITS // 2
    for (rows, columns), bright in zip(
        _blocks(image), [True, *bits[:half], False, *bits[half:]], strict=True
    ):
        image[rows, columns] = _BRIGHT if bright else _DARK


def read(image: Image) -> int | None:
    """The number in a picture; None where there is none."""
    levels = []
    for rows, columns in _blocks(image):
        # The middle of a block: its edges are blurred.
        dy, dx = (rows.stop - rows.start) // 4, (columns.stop - columns.start) // 4
        middle = image[rows.start + dy : rows.stop - dy, columns.start + dx : columns.stop - dx]
        levels.append(float(middle.mean()) if middle.size else 0.0)
    bright, dark = levels[0], levels[_COLUMNS]
    if bright - dark < _LEAST_CONTRAST:
        return None
    bits = [level > (bright + dark) / 2 for level in (*levels[1:_COLUMNS], *levels[_COLUMNS + 1 :])]
    return sum(bit << place for place, bit in enumerate(reversed(bits)))


def _blocks(image: Image) -> Iterator[tuple[slice, slice]]:
    height, width = image.shape[:2]
    top = height - height // _SHARE
    ys = [top + (height - top) * i // 2 for i in range(3)]
    xs = [width * i // _COLUMNS for i in range(_COLUMNS + 1)]
    for row in range(2):
        for column in range(_COLUMNS):
            yield slice(ys[row], ys[row + 1]), slice(xs[column], xs[column + 1])
