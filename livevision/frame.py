"""Values that travel between the stages: one type for each arrow of the pipeline.

    capture: Frame -> preprocess: Prepared -> inference: Inferred -> overlay: Rendered -> output

Every image is a uint8 array of shape H×W×3 in BGR order. A stage never writes to an image it was
given; it makes a new one. The one exception: command-line runs on video files draw on the frame's
own image, since nobody can see the frame again.
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
    """Colour primaries and transfer of pictures, as code points of ITU-T H.273, as in FFmpeg.

    Attributes:
        primaries: 1 is BT.709, also used by sRGB; 5 and 6 are BT.601, 9 is BT.2020.
        transfer: 1 is BT.709, 6 BT.601.
    """

    primaries: int
    transfer: int


STANDARD_COLOURS = Colours(1, 1)


class Picture(NamedTuple):
    """Identifies a still picture.

    Attributes:
        path: Its file, as reached from the user's path.
        page: Page in a multi-page file, from 0; None for a file with one picture.
    """

    path: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source, upright, with its times.

    Attributes:
        source: Position of the source in the run's list of sources, from 0.
        index: Number of the frame in its source, from 0. Frames skipped by a stride or dropped by
            a live link keep their numbers, so an index always names the same picture.
        time: Presentation time of the source in seconds; for a camera, seconds since it opened.
        wall_time: ``time.monotonic()`` at capture; latency is counted from here. For a live stream,
            when the frame was due by the stream's own clock.
        image: uint8, H×W×3, BGR, rotation already applied.
        picture: Identity of a still picture; its time is its place in a video of all pictures,
            1/25 s each. None for video.
        lag: Seconds from ``wall_time`` until a live frame was decoded.
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
    """Position of an image in a net's input: ``input = image * scale + offset`` on each axis.

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
    """Settings of a source that may change during a run.

    A value is replaced as a whole and travels with each frame, so that all work on a frame agrees.

    Attributes:
        conf: Minimum confidence of a box, 0..1.
        iou: IoU above which the weaker of two boxes of a class is dropped, 0..1.
        classes: Names or numbers of the classes to keep; empty keeps all.
        paused: Frames of the source are dropped unprocessed.
        scene: Scene to watch; None for none.
    """

    conf: float = 0.25
    iou: float = 0.5
    classes: tuple[str | int, ...] = ()
    paused: bool = False
    scene: Scene | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A frame with the engine inputs and their placement for each model that processes it.

    Attributes:
        frame: The frame.
        inputs: Inputs and placement by model name.
        settings: Settings of its source at this moment; None leaves them to the models.
    """

    frame: Frame
    inputs: Mapping[str, tuple[Batch, Placement]]
    settings: LiveSettings | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts in the scene of a source up to a frame.

    Attributes:
        scene: The scene.
        lines: Crossings in and out by name of the line.
        zones: Tracks inside by name of the zone.
    """

    scene: Scene
    lines: Mapping[str, tuple[int, int]]
    zones: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Inferred:
    """A frame with the result of each model, in the frame's own pixels.

    Attributes:
        frame: The frame.
        results: Results by model name.
        settings: Settings of its source when the frame was prepared.
        counts: Counts of its scene so far; None without a scene.
        ignored: Detections left out because they lie in a region that its scene ignores.
    """

    frame: Frame
    results: Mapping[str, Result]
    settings: LiveSettings | None = None
    counts: Counts | None = None
    ignored: tuple[sv.Detections, ...] = ()

    @property
    def hidable(self) -> list[sv.Detections | ClassMap]:
        """All results with positions, which can be hidden: also those that are ignored."""
        from livevision.results import Label

        found = [each for each in self.results.values() if not isinstance(each, Label)]
        return [*found, *self.ignored]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A frame, its results by model name, and the picture to show: uint8, H×W×3, BGR.

    If no sink wants pictures, nothing is drawn and ``image`` is the frame's own; ``undrawn`` is
    then what a page draws from when somebody looks.
    """

    frame: Frame
    results: Mapping[str, Result]
    image: Image
    undrawn: Inferred | None = None

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
        """Result of the first detector; None without one. See ``results`` for several."""
        from livevision.results import ClassMap, Label

        found = (r for r in self.results.values() if not isinstance(r, ClassMap | Label))
        return next(found, None)

    @property
    def class_map(self) -> ClassMap | None:
        """Result of the first segmenter; None without one."""
        from livevision.results import ClassMap

        return next((r for r in self.results.values() if isinstance(r, ClassMap)), None)

    @property
    def label(self) -> Label | None:
        """Result of the first classifier; None without one."""
        from livevision.results import Label

        return next((r for r in self.results.values() if isinstance(r, Label)), None)
