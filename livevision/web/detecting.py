"""Posted pictures: a second copy of the run's models, on a thread of its own.

The run's own nets belong to its inference thread and are busy with live frames.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from livevision.errors import UsageError
from livevision.frame import Frame, Rendered
from livevision.models.for_run import for_run
from livevision.output.records import row_of
from livevision.web.guard import Refused

if TYPE_CHECKING:
    from livevision.config import Settings
    from livevision.models.model import Model

MAX_PIXELS = 40_000_000
_MAX_PENDING = 8  # pictures waiting or being computed


class Detector:
    """Runs the models of a run on posted pictures; they are loaded for the first one.

    Args:
        settings: Settings of the run.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: Sequence[Model] | None = None
        self._thread = ThreadPoolExecutor(1, "web-detect")
        self._pending = 0

    async def __call__(self, data: bytes, conf: float | None) -> dict[str, Any]:
        """Results of a picture in the format of JSON lines, with its ``width`` and ``height``.

        Raises:
            UsageError: It is not a picture, or too large.
            Refused: Too many pictures are waiting.
        """
        if self._pending >= _MAX_PENDING:
            raise Refused(503, "too many pictures are waiting; try again in a moment")
        self._pending += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._detect, data, conf)
        finally:
            self._pending -= 1

    def close(self) -> None:
        """Stop the thread; waiting pictures are discarded."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _detect(self, data: bytes, conf: float | None) -> dict[str, Any]:
        image = _decoded(data)
        if self._models is None:
            self._models = for_run(self._settings).models
        results = {
            model.name: model(image, conf=conf) if model.task == "detect" else model(image)
            for model in self._models
        }
        rendered = Rendered(Frame(0, 0, 0.0, 0.0, image), results, image)
        row = row_of(rendered, "", live=False)
        kinds: tuple[str, ...] = ("detections", "segments", "labels")
        found = {kind: row[kind] for kind in kinds if kind in row}
        return {"width": image.shape[1], "height": image.shape[0], **found}


def _decoded(data: bytes) -> Any:
    """A picture as uint8, H×W×3, BGR.

    Raises:
        UsageError: It cannot be decoded, or has too many pixels.
    """
    from io import BytesIO

    from PIL import Image

    try:
        # Pillow reads the size without decoding, so that a decompression bomb is never decoded.
        with Image.open(BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as opened:
            width, height = opened.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise UsageError("the body is not a JPEG, PNG or WebP picture") from None
    if width * height > MAX_PIXELS:
        raise UsageError(f"the picture has {width}×{height} pixels; at most 40 million are allowed")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UsageError("the picture is damaged")
    return image
