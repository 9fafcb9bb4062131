"""What travels between the stages: one value for each arrow of the pipeline.

    capture: Frame -> preprocess: Prepared -> inference: Inferred -> overlay: Rendered -> output

Every image is a uint8 array of shape H×W×3 in BGR order. A stage never writes to an image it was
given; it makes a new one. Only where nobody can see a frame again, as in a run of the command line
on video files, is its own picture drawn on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import supervision as sv

    from livevision.config.scene import Scene
    from livevision.results import ClassMap, Label, Result

Image = NDArray[np.uint8]
"""A picture: uint8, H×W×3, BGR."""

Batch = Mapping[str, NDArray[Any]]
"""An engine's inputs (or outputs) by name."""


class Colours(NamedTuple):
    """What the values of pictures mean as light, in numbers of ITU-T H.273, as FFmpeg has them.

    Attributes:
        primaries: 1 is BT.709, which is that of sRGB too; 5 and 6 are BT.601, 9 is BT.2020.
        transfer: 1 is BT.709, 6 BT.601.
    """

    primaries: int
    transfer: int


STANDARD_COLOURS = Colours(1, 1)


class Picture(NamedTuple):
    """Which still picture a frame is.

    Attributes:
        path: Its file, as the user's words lead to it.
        page: Its place in a file of several, from 0; None in a file of one.
    """

    path: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source, upright, with the times that belong to it.

    Attributes:
        source: Position of the source in the run's list of sources, from 0.
        index: Number of the frame in its source, from 0. Frames skipped by a stride or dropped by
            a live link keep their numbers, so an index always names the same picture.
        time: The source's own presentation time in seconds; for a camera, seconds since it opened.
        wall_time: ``time.monotonic()`` when the frame was captured; latency is counted from here.
            Of a live stream that is when the frame was due by the stream's own clock.
        image: uint8, H×W×3, BGR, rotation already applied.
        picture: For a still picture which one it is; its time is only its turn in a video made of
            the pictures, 1/25 s for each. None for video.
        lag: Seconds between ``wall_time`` and the moment a live frame was at hand, decoded.
    """

    source: int
    index: int
    time: float
    wall_time: float
    image: Image
    picture: Picture | None = None
    lag: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in a net's input: ``input = image * scale + offset`` on each axis.

    Attributes:
        image_size: (width, height) of the image in pixels.
        input_size: (width, height) of the net's input in pixels.
        scale: (x, y) factors from image pixels to input pixels.
        offset: (x, y) of the image's top left corner in the input, in input pixels.
    """

    image_size: tuple[int, int]
    input_size: tuple[int, int]
    scale: tuple[float, float]
    offset: tuple[int, int]


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What may change while a source is watched.

    A value is replaced whole, and travels with each frame, so that all work on a frame agrees.

    Attributes:
        conf: Boxes of a lower score are left out, 0..1.
        iou: Of two boxes of a class that overlap by more than this, the weaker goes, 0..1.
        classes: Names or numbers of the classes to keep; empty keeps all.
        paused: No frame of the source is looked at.
        scene: What is watched in its pictures; None for nothing.
    """

    conf: float = 0.25
    iou: float = 0.5
    classes: tuple[str | int, ...] = ()
    paused: bool = False
    scene: Scene | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame with the engine input, and its placement, of each model that looks at it.

    Attributes:
        frame: It.
        inputs: By the name of the model.
        settings: Of its source, at this moment; None leaves them to the models.
    """

    frame: Frame
    inputs: Mapping[str, tuple[Batch, Placement]]
    settings: LiveSettings | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in the scene of a source up to a frame.

    Attributes:
        scene: What is watched.
        lines: By the name of a line, crossings in and out.
        zones: By the name of a zone, how many are inside.
    """

    scene: Scene
    lines: Mapping[str, tuple[int, int]]
    zones: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Inferred:
    """A frame with what each model found in it, in the frame's own pixels.

    Attributes:
        frame: It.
        results: By the name of the model.
        settings: Those that its source had when it was prepared.
        counts: What was counted so far in its scene; None where none is watched.
    """

    frame: Frame
    results: Mapping[str, Result]
    settings: LiveSettings | None = None
    counts: Counts | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A frame, its results by the models' names, and the picture to show: uint8, H×W×3, BGR.

    Where no sink wants a picture nothing is drawn, and ``image`` is the frame's own.
    """

    frame: Frame
    results: Mapping[str, Result]
    image: Image

    @property
    def index(self) -> int:
        """The frame's number in its source."""
        return self.frame.index

    @property
    def time(self) -> float:
        """The frame's presentation time in seconds."""
        return self.frame.time

    @property
    def detections(self) -> sv.Detections | None:
        """What the first detector found; None where none ran. See ``results`` for several."""
        from livevision.results import ClassMap, Label

        found = (r for r in self.results.values() if not isinstance(r, ClassMap | Label))
        return next(found, None)

    @property
    def class_map(self) -> ClassMap | None:
        """What the first segmenter found; None where none ran."""
        from livevision.results import ClassMap

        return next((r for r in self.results.values() if isinstance(r, ClassMap)), None)

    @property
    def label(self) -> Label | None:
        """What the first classifier found; None where none ran."""
        from livevision.results import Label

        return next((r for r in self.results.values() if isinstance(r, Label)), None)
