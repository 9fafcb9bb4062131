"""The ways through the inference stage: frame by frame, several at once, several in one call.

=========  =====================================================================================
one        The net is called for a frame and waited for.
overlap    Several frames are begun before the first is waited for: for throughput, where every
           frame counts and the engine computes several at once.
together   Frames that wait at the same moment, mostly of several live sources, go through the net
           in one call: where the engine does that faster than one after the other.
=========  =====================================================================================
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from livevision.frame import Frame, Inferred, Prepared
from livevision.runtime.carrying import Carrier
from livevision.runtime.links import Channel
from livevision.runtime.stages import Stages


@dataclass(frozen=True, slots=True)
class Begun:
    """A frame that the engine is at work on.

    Attributes:
        frame: It.
        begun: ``time.perf_counter()`` before the engine was given it.
        finish: Waits for the result, and tells when the net was done.
    """

    frame: Frame
    begun: float
    finish: Callable[[], tuple[Inferred, float | None]]


class NetTime:
    """The net's time for a frame, where several are computed at the same moment.

    What waits for a result measures how long it waits, and that is nothing where another stage is
    slower than the net. So the net's work is told from its beginnings and ends: a frame is at work
    in the stream that was free first, once it was. As many streams share the machine, so the net's
    time for a frame is that part of the stream's.

    Args:
        streams: How many frames are computed at the same moment.
    """

    def __init__(self, streams: int) -> None:
        self._free = [0.0] * streams

    def of(self, begun: float, done: float) -> float:
        """Seconds, for the next of the frames in the order of their beginnings."""
        stream = min(range(len(self._free)), key=self._free.__getitem__)
        seconds = max(0.0, done - max(begun, self._free[stream]))
        self._free[stream] = max(done, self._free[stream])
        return seconds / len(self._free)


def infer(carrier: Carrier, stages: Stages, inbox: Channel[Any], outbox: Channel[Any]) -> None:
    """Carry frames through inference the way that the open stages allow, until the end."""
    if stages.together is not None and stages.most() > 1:
        _together(carrier, stages.together, stages, inbox, outbox)
    elif stages.start is not None and stages.depth() > 1:
        _overlap(carrier, stages.start, stages, inbox, outbox)
    else:
        carrier.carry("inference", inbox, outbox, stages.inference)


def _overlap(
    carrier: Carrier,
    start: Callable[[Prepared], Callable[[], tuple[Inferred, float | None]]],
    stages: Stages,
    inbox: Channel[Any],
    outbox: Channel[Any],
) -> None:
    """Have several frames computed at once; their results go on in the frames' order.

    This thread begins, another one waits for the oldest frame and decodes. Between them are at most
    ``depth`` + 1 frames, so that the engine has more at hand when the oldest is waited for. Frames
    begun are not overtaken.
    """
    begun = carrier.link("overlay", stages.depth() - 1)
    net = NetTime(stages.streams())

    def finish(item: Begun) -> Inferred:
        asked = time.perf_counter()
        result, done = item.finish()
        if done is not None:
            decoding = time.perf_counter() - max(asked, done)
            # The next frame is computed while this one is decoded: the longer of the two counts.
            carrier.meter.worked("inference", max(net.of(item.begun, done), decoding))
        return result

    waiting = threading.Thread(
        target=carrier.carry,
        args=("inference", begun, outbox, finish),
        kwargs={"measured": True},
        name="inference",
        daemon=True,
    )
    waiting.start()
    try:
        with carrier.until_closed(begun):
            while True:
                item = inbox.get()
                if isinstance(item, Prepared):
                    if carrier.too_old("inference", item.frame):
                        continue
                    with carrier.counted("overlay"):
                        begin = Begun(item.frame, time.perf_counter(), start(item))
                    carrier.put(begun, "overlay", begin, item.frame, waits=True)
                else:
                    begun.tell(item)
    finally:
        waiting.join()


def _together(
    carrier: Carrier,
    together: Callable[[Sequence[Prepared]], list[Inferred]],
    stages: Stages,
    inbox: Channel[Any],
    outbox: Channel[Any],
) -> None:
    """Take frames in one call where as many wait as it takes, and one by one where not.

    No frame waits for others to come: that would be latency for nothing.
    """
    most = stages.most()
    with carrier.until_closed(outbox):
        while True:
            item = inbox.get()
            if not isinstance(item, Prepared):
                outbox.tell(item)
                continue
            items = [item, *inbox.take(most - 1)]
            items = [one for one in items if not carrier.too_old("inference", one.frame)]
            if not items:
                continue
            started = time.perf_counter()
            with carrier.counted("overlay", len(items)):
                results = together(items) if len(items) > 1 else [stages.inference(items[0])]
            seconds = (time.perf_counter() - started) / len(items)
            for done, result in enumerate(results):
                carrier.meter.worked("inference", seconds)
                # Where the link is closed, this frame and those behind it are lost.
                with carrier.lost_behind("overlay", len(results) - done - 1):
                    carrier.put(outbox, "overlay", result, result.frame)
