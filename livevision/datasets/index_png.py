"""PNGs whose pixels are class numbers: grey or with a palette."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from livevision.errors import DataError


def read_indices(path: Path) -> npt.NDArray[np.uint8]:
    """The stored numbers, uint8 H×W; palette indices, where OpenCV would read colours.

    Raises:
        DataError: The file is missing, broken, in colour, or has numbers above 255.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file has zero bytes")
        with Image.open(path) as picture:
            if picture.format in ("JPEG", "WEBP"):
                raise DataError(
                    f"{path}: class numbers cannot be stored in a {picture.format}, which is "
                    "compressed with losses; store them as PNG"
                )
            mode = picture.mode
            stored = np.asarray(picture)
    except FileNotFoundError:
        raise DataError(f"{path}: the file of labels does not exist") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: cannot be decoded: {error}") from error
    if stored.ndim == 3:
        # Some programs write grey as colours, with or without alpha.
        colours = stored[..., : 3 if stored.shape[2] >= 3 else 1]
        if (colours != colours[..., :1]).any():
            raise DataError(
                f"{path}: is a picture in colour ({mode}); labels are class numbers, in a grey PNG "
                "or as the indices of a palette"
            )
        stored = colours[..., 0]
    if stored.dtype != np.uint8 and stored.size and not 0 <= stored.min() <= stored.max() <= 255:
        raise DataError(f"{path}: has class numbers up to {stored.max()}; 0..255 are allowed")
    return stored.astype(np.uint8)
