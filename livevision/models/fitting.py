"""The input size without the margins of a letterbox: ``--imgsz fit``."""

from __future__ import annotations

from collections.abc import Sequence

from livevision.models.catalog import ModelCard
from livevision.preprocess.fit import FITS, Letterbox, LetterboxTopLeft

Size = tuple[int, int]

FIT = "fit"
_STRIDE = 32  # the coarsest stride of nets that are used with a letterbox


def fitted_size(card: ModelCard, pictures: Sequence[Size | None]) -> Size:
    """The smallest input of a model that shows pictures as large as its own input does.

    A picture keeps its size in the input, and its place on the grid of the net's strides, so that
    only the margins change what the net finds.

    Args:
        card: The model.
        pictures: (width, height) of the pictures of each source; None where it is not known.

    Returns:
        (width, height); the model's own input if it has no margins, or if a picture's size is not
        known.

    >>> yolo = ModelCard("yolo11n", "detect", "", (640, 640), (), fit="letterbox")
    >>> fitted_size(yolo, [(1280, 720)]), fitted_size(yolo, [(1280, 720), (1080, 1920)])
    ((640, 384), (640, 640))
    """
    own = card.input_size
    kind = FITS[card.fit.partition("+")[0]]
    shown = [_shown(size, own) for size in pictures if size is not None]
    if not issubclass(kind, Letterbox) or not shown or len(shown) < len(pictures):
        return own
    # Half of what a centred picture's input loses is above it, and has to be whole strides.
    step = _STRIDE if kind is LetterboxTopLeft else 2 * _STRIDE
    width, height = (
        side - (side - max(needed)) // step * step
        for side, needed in zip(own, zip(*shown, strict=True), strict=True)
    )
    return width, height


def _shown(picture: Size, room: Size) -> Size:
    """The size of a picture in a letterbox."""
    ratio = min(room[0] / picture[0], room[1] / picture[1])
    return round(picture[0] * ratio), round(picture[1] * ratio)
