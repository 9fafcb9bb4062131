"""Interfaces of the pipeline: source, engine, task, overlay and sink, as protocols.

An implementation is any object with these methods, named in ``registry``; nothing has to inherit
from the protocols. Implementations live in the folder of their stage and know nothing of threads.
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
    """What a source reports when it is open.

    Attributes:
        name: The name the user gave, with passwords hidden; fit for logs and results.
        live: True for a camera or a stream, which continues whether or not it is read.
        size: (width, height) of its frames in pixels, upright.
        rate: Average frames per second, or None if unknown.
        time_base: The unit of its presentation times in seconds, or None.
        frames: Approximate number of frames, or None if unknown.
        bit_rate: Bits per second of the video, or None.
        colours: Colour primaries and transfer; BT.709 for pictures, cameras and whatever states
            none.
        aspect: Pixel aspect ratio, width by height, upright.
        extras: What its file holds besides video (audio, subtitles, metadata), for sinks that copy
            it; None for other sources, and if no sink copies it.
        still: True for pictures, each of which has a name and no time.
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
    """Frames of a camera, file, stream or folder. Open once constructed.

    Iteration ends with the source. It raises SourceError if the source fails or goes silent; a live
    source has tried to reconnect by then. ``losses`` counts, by cause, what never became a frame
    (corrupt packets, reconnections). ``life`` is readable from any thread and says whether the
    source is connecting, live, retrying or ended; it is ``SourceOptions.life`` if that was given.
    """

    info: SourceInfo
    losses: dict[str, int]
    life: Life

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None:
        """Release the device or file. Another thread may call this to end an iteration."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and numpy dtype name of one engine input or output."""

    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Inputs and outputs of an engine, and where it computes."""

    engine: str
    device: str
    precision: str
    inputs: Mapping[str, TensorSpec] = field(default_factory=dict)
    outputs: Mapping[str, TensorSpec] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.engine} {self.device} {self.precision}"


class Engine(Protocol):
    """A net ready to compute, used and closed on one thread.

    It is opened on that thread too, unless it is opened during a run, on a thread that no frame
    waits for. The first dimension of an image's shape in ``spec.inputs`` is the batch size; the
    engine's files fix it (``ModelFiles.batch``).
    """

    spec: EngineSpec

    def __call__(self, batch: Batch) -> dict[str, Any]:
        """Compute outputs by name from inputs by name, as in ``spec``; the caller owns them."""

    def close(self) -> None: ...


class Pending(Protocol):
    """The outputs of a batch in flight.

    Call it once, on any thread; it waits, and raises what went wrong.

    Attributes:
        done: ``time.perf_counter()`` when the outputs were ready, which may be long before they
            are fetched. Set by the call; None if the engine does not report it.
    """

    done: float | None

    def __call__(self) -> dict[str, Any]: ...


@runtime_checkable
class Overlapping(Protocol):
    """An engine that takes several batches in flight; other engines are called batch by batch.

    Attributes:
        streams: Batches that the engine computes at the same time.
        depth: Batches to keep in flight: the engine's parallelism, at least 2; 1 means no overlap.
    """

    streams: int
    depth: int

    def start(self, batch: Batch) -> Pending:
        """Start a batch and return at once; the result waits for the outputs.

        The engine may read the batch until the outputs are there. Results may be fetched in any
        order. ``close`` ends batches that were started and never fetched.
        """


class Fit(Protocol):
    """Maps an image to a net's input, and results back to the image.

    ``place`` returns the input as uint8, 1×H×W×3, BGR. ``boxes`` takes and returns float32, N×4,
    x1 y1 x2 y2; ``class_map`` takes and returns uint8, H×W.
    """

    def place(self, image: Image) -> tuple[NDArray[np.uint8], Placement]: ...

    def boxes(self, boxes: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]: ...

    def class_map(
        self, class_map: NDArray[np.uint8], placement: Placement
    ) -> NDArray[np.uint8]: ...


class Task(Protocol):
    """Pre- and post-processing of a net: image to inputs, outputs to a result."""

    name: str

    def prepare(self, image: Image) -> tuple[Batch, Placement]: ...

    def decode(self, outputs: Mapping[str, Any], placement: Placement) -> Result: ...


class Decoder(Protocol):
    """Converts the outputs of a third-party net to those of livevision's graphs.

    Attributes:
        classes: Number of classes of the net; None if unknown.
    """

    classes: int | None

    def __call__(
        self, outputs: Mapping[str, Any], size: tuple[int, int], conf: float, iou: float
    ) -> dict[str, Any]:
        """Convert outputs with the net's names to the layout of ``inference.graph``.

        Args:
            outputs: Outputs of the net.
            size: (width, height) of its input.
            conf: Minimum confidence; boxes below it may be dropped.
            iou: IoU above which the weaker of two boxes of a class is dropped.
        """


@dataclass(frozen=True, slots=True)
class Rates:
    """Recent rates of a source, for display.

    Attributes:
        capture_fps: Frames per second captured; None, as for the others, if not known yet.
        model_fps: Frames per second that inference alone could do: one over its mean time.
        delivered_fps: Frames per second that reach the outputs.
        latency_ms: Mean time from capture to delivery; None for a file processed frame by frame,
            where it would only measure the queues.
        dropped: Frames dropped so far in the run.
        model: Name of the model, or of several.
        engine: Engine, device and precision, such as ``openvino cpu fp32``.
        lag_ms: Mean time that a live source is behind its own clock; part of the latency.
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
    """Draws a result on a picture, avoiding what other overlays draw.

    Overlays are planned first and drawn later: ``plan`` marks in the room what must stay visible,
    reserves areas for texts, and returns a function that draws on a picture in place.
    """

    def plan(self, result: Any, room: Room) -> Callable[[Image], None]: ...


@dataclass(frozen=True, slots=True)
class OutletPolicy:
    """What happens if a sink is slower than its frames, or fails.

    Attributes:
        full: ``wait``: frames of a file wait, so that none is lost; of a live source the oldest
            waiting frame is dropped. ``newest``: only the newest frame of any source is kept.
            ``durable``: like ``wait``, with a long queue for live sources, of results without
            pictures.
        failing: ``end``: the output is one the user asked for, so its source, or the run, ends.
            ``retry``: the sink is created again after pauses of 0.5 s to 10 s; frames that come in
            between are counted as dropped.
    """

    full: str = "wait"
    failing: str = "end"


class Sink(Protocol):
    """Takes finished frames in order. ``close`` always leaves a complete, readable output.

    Attributes:
        wants_image: False if only the results are written, so that nothing need be drawn.
        wants_frame: Class attribute; True if it reads the frame's own image, which then is not
            drawn on.
        where: Where the user finds the output, for the last line of a run; "" once closed if
            nothing was written.
        policy: Class attribute; without it frames wait and a failure ends the run.

    It is created on the main thread; ``write`` and ``close`` are called on a thread of its own, or
    on the main thread if the sink is ``Attentive``.
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
    """A sink that waits for the presentation time of a frame; waiting does not count as work.

    Attributes:
        waited: Total seconds of waiting.
    """

    waited: float


@runtime_checkable
class Shared(Protocol):
    """A sink that takes frames of several sources; ``opened`` is called for each of them."""

    def opened(self, source: int, info: SourceInfo) -> None: ...


class StopRequested(Exception):
    """Raised by a sink that the user closed (a window, a key): a clean end, not a failure."""
