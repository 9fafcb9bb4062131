"""The five seams of the pipeline, each as narrow as it can be.

A source, engine, task, overlay or sink is any object of these shapes, named in ``registry``;
none has to inherit from anything. Implementations stand in the folder of their stage and know
nothing of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from livevision.frame import STANDARD_COLOURS, Batch, Colours, Frame, Image, Placement, Rendered
from livevision.results import Result

if TYPE_CHECKING:
    from livevision.capture.life import Life
    from livevision.media.extras import Extras
    from livevision.overlay.room import Room


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What is known of a source once it is open.

    Attributes:
        name: What the user called it, with passwords hidden; fit for logs and results.
        live: True for a camera or a stream, which goes on whether or not it is watched.
        size: (width, height) of its frames in pixels, upright.
        rate: Average frames per second, or None where the source does not say.
        time_base: The unit of its presentation times in seconds, or None.
        frames: About how many frames will come, or None where nobody knows.
        bit_rate: Bits per second of the video, or None.
        colours: What its pictures' values mean as light; pictures, cameras and whatever does not
            say are taken for BT.709.
        aspect: Width of a pixel by its height, upright.
        extras: What its file holds beside the pictures, for sinks that copy it; None for anything
            else, and where no sink was to copy.
        still: True for pictures, each of which has a name and none a time.
    """

    name: str
    live: bool
    size: tuple[int, int]
    rate: Fraction | None = None
    time_base: Fraction | None = None
    frames: int | None = None
    bit_rate: int | None = None
    colours: Colours = STANDARD_COLOURS
    aspect: Fraction = Fraction(1)
    extras: Extras | None = None
    still: bool = False


class Source(Protocol):
    """Frames from a camera, file, stream or folder. Open once constructed.

    Iteration ends with the source. It raises SourceError when the source breaks off or goes silent;
    a live source has by then tried to reconnect. Frames lost on the way in (undecodable packets,
    reconnections) are counted in ``losses``, by cause. ``life`` says, on any thread and at any
    moment, whether it connects, is live, tries again or has ended; it is ``SourceOptions.life``
    where that was given.
    """

    info: SourceInfo
    losses: dict[str, int]
    life: Life

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Release the device or file. Another thread may call it to end an iteration."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and numpy dtype name of one engine input or output."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What an engine takes and gives, and where it computes."""

    engine: str
    device: str
    precision: str
    inputs: Mapping[str, TensorSpec] = field(default_factory=dict)
    outputs: Mapping[str, TensorSpec] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.engine} {self.device} {self.precision}"


class Engine(Protocol):
    """A net ready to compute, used and closed on one thread.

    It is opened there too, unless a run changes to it as it goes: then on a thread that no frame
    waits for. The first number of an image's shape in ``spec.inputs`` is how many it takes in a
    call, which is what its files were made for (``ModelFiles.batch``).
    """

    spec: EngineSpec

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """Arrays in by name, arrays out by name, as ``spec`` tells; these are the caller's."""

    def close(self) -> None: ...


class Pending(Protocol):
    """What waits for the outputs of a batch that an engine has begun on.

    It is called once, on any thread, and raises what went wrong.

    Attributes:
        done: ``time.perf_counter()`` of the moment when the outputs were there, which may be long
            before anybody asks for them. Known after the call; None where the engine cannot tell.
    """

    done: float | None

    def __call__(self) -> dict[str, Any]: ...


@runtime_checkable
class Overlapping(Protocol):
    """An engine that takes several batches in flight; any other engine is called batch by batch.

    Attributes:
        streams: Batches that the engine computes at once.
        depth: Batches to keep in flight: the engine's parallelism, at least 2; 1 means no overlap.
    """

    streams: int
    depth: int

    def start(self, batch: Batch) -> Pending:
        """Begin, and return at once with what waits for the outputs, as ``Engine`` gives them.

        The batch is lent until then, and batches may be asked for in any order. ``close`` ends what
        was begun and never asked for.
        """


class Fit(Protocol):
    """How an image is laid into a net's input, and what was found there laid back on the image.

    ``place`` gives the input as uint8, 1×H×W×3, BGR. ``boxes`` takes and gives float32, N×4,
    x1 y1 x2 y2; ``class_map`` uint8, H×W.
    """

    def place(self, image: Image) -> tuple[NDArray[np.uint8], Placement]: ...

    def boxes(self, boxes: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]: ...

    def class_map(
        self, class_map: NDArray[np.uint8], placement: Placement
    ) -> NDArray[np.uint8]: ...


class Task(Protocol):
    """Both halves of a job around a net: the image into its input, its output into a result."""

    name: str

    def prepare(self, image: Image) -> tuple[Batch, Placement]: ...

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> Result: ...


class Decoder(Protocol):
    """Brings the outputs of somebody else's net into the form of those of livevision's graphs.

    Attributes:
        classes: How many classes the net has; None where it does not tell.
    """

    classes: int | None

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> dict[str, Any]:
        """Arrays in by the net's names, out as ``inference.graph`` lays them out.

        Args:
            outputs: What the net gave.
            size: (width, height) of its input.
            conf: Boxes of a lower score are not wanted.
            iou: Of two boxes of a class that overlap by more than this, the weaker goes.
        """


@dataclass(frozen=True, slots=True)
class Rates:
    """What the display shows: a source's rates over the recent past.

    Attributes:
        capture_fps: Frames per second that come in; None, as the others, where not known yet.
        model_fps: Frames per second that inference alone could do, one over its mean time.
        delivered_fps: Frames per second that reach the outputs, which is what the user has.
        latency_ms: Mean time from capture to delivery; None for a file, of which every frame is
            taken: there it is but the length of the queues.
        dropped: Frames dropped so far in the run.
        model: Name of the model, or of several.
        engine: What computes it, such as ``openvino cpu fp32``.
        lag_ms: Mean time that a live source is behind its own clock, which latency includes.
    """

    capture_fps: float | None = None
    model_fps: float | None = None
    delivered_fps: float | None = None
    latency_ms: float | None = None
    dropped: int = 0
    model: str = ""
    engine: str = ""
    lag_ms: float | None = None


class Overlay(Protocol):
    """Draws a result on a picture, clear of what others draw there.

    A picture is planned first and drawn then: ``plan`` tells the room what is to stay visible and
    takes the places that texts will stand on, and what it gives draws on the picture in place.
    """

    def plan(self, result: Any, room: Room) -> Callable[[Image], None]: ...


@dataclass(frozen=True, slots=True)
class OutletPolicy:
    """What happens where a sink is slower than its frames, or fails.

    Attributes:
        full: ``wait``: frames of a file wait, so that none is lost, and of a live source the oldest
            waiting frame goes. ``newest``: only the newest frame is kept, of any source.
            ``durable``: as ``wait``, with a long queue for live sources, of results without
            pictures.
        failing: ``end``: what it writes is what the user wants, so its source, or the run, ends.
            ``retry``: the sink is made anew, with pauses from 0.5 s to 10 s, and frames that come
            meanwhile are counted as dropped.
    """

    full: str = "wait"
    failing: str = "end"


class Sink(Protocol):
    """Takes finished frames in order. ``close`` always leaves a finished, readable output.

    Attributes:
        wants_image: False where only the results are kept, so that nothing need be drawn.
        wants_frame: Of its class, where it looks at the frame itself; else that may be drawn on.
        where: Where the user finds what was written, for the last line of a run; "" once closed,
            where that is nothing.
        policy: Of its class; where there is none, frames wait and its failure ends the run.

    It is made on the main thread; ``write`` and ``close`` are called on one thread of its own, or
    on the main thread where the sink is ``Attentive``.
    """

    wants_image: bool
    where: str

    def write(self, rendered: Rendered) -> None: ...

    def close(self) -> None: ...


@runtime_checkable
class Attentive(Protocol):
    """A sink that needs calls while no frame arrives, such as a window waiting for keys."""

    def attend(self) -> None: ...


@runtime_checkable
class Pacing(Protocol):
    """A sink that waits for the presentation time of a frame; the wait does not count as work.

    Attributes:
        waited: Seconds that it has done so, in all.
    """

    waited: float


@runtime_checkable
class Shared(Protocol):
    """A sink that takes the frames of several sources; it is called for each that opens."""

    def opened(self, source: int, info: SourceInfo) -> None: ...


class StopRequested(Exception):
    """Raised by a sink that the user closed (a window, a key): a clean end, not a failure."""
