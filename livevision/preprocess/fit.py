"""Fits an image of any size into a net's input of fixed size, and maps results back.

``Stretch`` fills the whole input and changes the aspect ratio; ``Letterbox`` keeps the ratio and
pads with grey; ``CentreCrop`` keeps it and crops to the centre. All map back the same way, given
by ``Placement``: a point at continuous position p of the image (0 is the left or upper edge of the
first pixel) is at ``p * scale + offset`` of the input.

``RESIZES`` has livevision's way to resize, and those of other projects, whose nets get the pixels
that their own packages give them.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from livevision.errors import UsageError, unknown
from livevision.frame import Image, Placement
from livevision.protocols import Fit

# Part of the shorter side that is visible: classifiers are evaluated on the central 224 of 256
# pixels.
_SEEN = 224 / 256

# Bilinear sampling reads two pixels along each axis, so up to about this factor none is skipped.
_SKIPS = 2.5

# ImageNet's mean colour in BGR: about zero once the input is normalised.
_FILL = (104, 116, 124)


class _Fit:
    """The mapping back, which all fits share."""

    def __init__(
        self,
        input_size: tuple[int, int],
        fill: tuple[int, ...] = _FILL,
        resize: Callable[[Image, tuple[int, int]], Image] | None = None,
    ) -> None:
        self.input_size = input_size
        self.fill = fill
        self.resize = resize or shrink

    def boxes(self, boxes: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
        """Map boxes from the input to the image.

        Args:
            boxes: float32, N×4, x1 y1 x2 y2 in input pixels.
            placement: Position of the image in the input.

        Returns:
            float32, N×4, x1 y1 x2 y2 in image pixels, clipped to the image.
        """
        offset = np.array(placement.offset * 2, np.float32)
        scale = np.array(placement.scale * 2, np.float32)
        size = np.array(placement.image_size * 2, np.float32)
        placed: NDArray[np.float32] = np.clip((boxes - offset) / scale, 0, size)
        return placed

    def class_map(self, class_map: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
        """Map a class map from the input to the image by nearest neighbour.

        Args:
            class_map: uint8, H×W at the input's size.
            placement: Position of the image in the input.

        Returns:
            uint8, H×W at the image's size.
        """
        (left, top), (width, height) = placement.offset, _covered(placement)
        shown = class_map[top : top + height, left : left + width]
        # INTER_NEAREST_EXACT samples at pixel centres; plain INTER_NEAREST shifts the map by up to
        # half an input pixel. Both cost the same.
        placed = cv2.resize(shown, placement.image_size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(placed, np.uint8)


class Stretch(_Fit):
    """Resizes the image to the whole input, ignoring its aspect ratio."""

    def place(self, image: Image) -> tuple[NDArray[np.uint8], Placement]:
        """Resize an image into the input.

        Args:
            image: uint8, H×W×3, BGR.

        Returns:
            The input, uint8, 1×H×W×3, BGR, and the placement.
        """
        height, width = image.shape[:2]
        scale = (self.input_size[0] / width, self.input_size[1] / height)
        placement = Placement((width, height), self.input_size, scale, (0, 0))
        return self.resize(image, self.input_size)[None], placement


class Letterbox(_Fit):
    """Resizes the image to fit, centred in the input, padded with grey."""

    def place(self, image: Image) -> tuple[NDArray[np.uint8], Placement]:
        """Resize an image into the input.

        Args:
            image: uint8, H×W×3, BGR.

        Returns:
            The input, uint8, 1×H×W×3, BGR, and the placement.
        """
        height, width = image.shape[:2]
        room = self.input_size
        ratio = min(room[0] / width, room[1] / height)
        size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
        left, top = self._corner(room[0] - size[0], room[1] - size[1])
        canvas = np.empty((1, room[1], room[0], 3), np.uint8)
        canvas[:] = self.fill
        canvas[0, top : top + size[1], left : left + size[0]] = self.resize(image, size)
        # From the rounded size, so that the mapping back is exact at any aspect ratio.
        scale = (size[0] / width, size[1] / height)
        return canvas, Placement((width, height), room, scale, (left, top))

    def _corner(self, width: int, height: int) -> tuple[int, int]:
        """Top left corner of the image, given the padding."""
        return width // 2, height // 2


class LetterboxTopLeft(Letterbox):
    """Resizes the image to fit, in the upper left corner, as YOLOX is trained."""

    def _corner(self, width: int, height: int) -> tuple[int, int]:
        del width, height
        return 0, 0


class CentreCrop(_Fit):
    """Crops to the centre, as classifiers are evaluated: 224 pixels of a side of 256.

    On wide video it sees only the middle, but objects at the size and shape that classifiers are
    trained on.
    """

    seen = _SEEN

    def place(self, image: Image) -> tuple[NDArray[np.uint8], Placement]:
        """Crop an image into the input.

        Args:
            image: uint8, H×W×3, BGR.

        Returns:
            The input, uint8, 1×H×W×3, BGR, and the placement, its offset rounded to whole pixels.
        """
        height, width = image.shape[:2]
        ratio = self.seen * min(width / self.input_size[0], height / self.input_size[1])
        seen = tuple(max(1, round(ratio * side)) for side in self.input_size)
        left, top = (width - seen[0]) // 2, (height - seen[1]) // 2
        middle = image[top : top + seen[1], left : left + seen[0]]
        scale = (self.input_size[0] / seen[0], self.input_size[1] / seen[1])
        offset = (-round(left * scale[0]), -round(top * scale[1]))
        placed = np.ascontiguousarray(self.resize(middle, self.input_size))
        return placed[None], Placement((width, height), self.input_size, scale, offset)

    def class_map(self, class_map: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
        """Map a class map to the image; pixels outside the crop take the nearest class.

        Args:
            class_map: uint8, H×W at the input's size.
            placement: Position of the image in the input.

        Returns:
            uint8, H×W at the image's size.
        """
        columns, rows = (
            ((np.arange(length) + 0.5) * scale + offset).astype(int).clip(0, side - 1)
            for length, scale, offset, side in zip(
                placement.image_size,
                placement.scale,
                placement.offset,
                placement.input_size,
                strict=True,
            )
        )
        return np.asarray(class_map[np.ix_(rows, columns)], np.uint8)


class CentreSquare(CentreCrop):
    """Crops to the largest centred rectangle of the input's shape."""

    seen = 1.0


FITS: dict[str, type[Stretch] | type[Letterbox] | type[CentreCrop]] = {
    "stretch": Stretch,
    "letterbox": Letterbox,
    "letterbox-top-left": LetterboxTopLeft,
    "centre-crop": CentreCrop,
    "centre-square": CentreSquare,
}


def with_resize(fit: str, resize: str) -> str:
    """The name of a fit that resizes in another way than livevision's."""
    return fit if resize == "smooth" else f"{fit}+{resize}"


def make_fit(name: str, input_size: tuple[int, int], fill: int | None = None) -> Fit:
    """Create the named fit for an input of (width, height) pixels.

    Args:
        name: One of ``FITS``, or one with one of ``RESIZES`` behind a +.
        input_size: (width, height) in pixels.
        fill: Padding value of a letterbox, 0..255; default: ImageNet's mean colour.

    Raises:
        UsageError: The name is unknown.
    """
    fit, _, resize = name.partition("+")
    if fit not in FITS or (resize or "smooth") not in RESIZES:
        raise UsageError(unknown("fit", name, FITS))
    colour = _FILL if fill is None else (fill,) * 3
    return FITS[fit](input_size, colour, RESIZES[resize or "smooth"])


def shrink(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (width, height) without the aliasing of bilinear sampling.

    Averaging 2×2 blocks is many times faster than area averaging in general, so images are halved
    as often as possible, then resized bilinearly.

    Args:
        image: uint8, H×W×3.
        size: (width, height) in pixels.
    """
    while image.shape[1] >= 2 * size[0] and image.shape[0] >= 2 * size[1]:
        if image.shape[1] % 2 or image.shape[0] % 2:
            break
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
    while image.shape[1] > _SKIPS * size[0] and image.shape[1] % 2 == 0:
        # At exactly half, bilinear sampling is the average of two pixels, and faster.
        half = (image.shape[1] // 2, image.shape[0])
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_LINEAR), np.uint8)
    while image.shape[0] > _SKIPS * size[1] and image.shape[0] % 2 == 0:
        half = (image.shape[1], image.shape[0] // 2)
        image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_LINEAR), np.uint8)
    height, width = image.shape[:2]
    if (width, height) == size:
        return image
    skips = width > _SKIPS * size[0] or height > _SKIPS * size[1]
    kind = cv2.INTER_AREA if skips else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size, interpolation=kind), np.uint8)


def bilinear(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (width, height) by the four pixels around each point, and no others.

    What YOLO's, YOLOX's and RF-DETR's packages do, however far an image is shrunk.

    Args:
        image: uint8, H×W×3.
        size: (width, height) in pixels.
    """
    if image.shape[1::-1] == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def antialiased(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (width, height) by all pixels of an area, weighted by a triangle.

    What Pillow and torchvision do, and so the packages of the DETR family; several times as slow as
    livevision's own way.

    Args:
        image: uint8, H×W×3.
        size: (width, height) in pixels.
    """
    if image.shape[1::-1] == size:
        return image
    from PIL import Image as pillow

    whole = pillow.fromarray(np.ascontiguousarray(image))
    return np.asarray(whole.resize(size, pillow.Resampling.BILINEAR), np.uint8)


RESIZES: dict[str, Callable[[Image, tuple[int, int]], Image]] = {
    "smooth": shrink,
    "bilinear": bilinear,
    "antialiased": antialiased,
}
"""Ways to resize: livevision's own, and those of other projects."""


def _covered(placement: Placement) -> tuple[int, int]:
    """(width, height) of the image in the input, in input pixels."""
    width, height = (
        round(length * scale)
        for length, scale in zip(placement.image_size, placement.scale, strict=True)
    )
    return width, height
