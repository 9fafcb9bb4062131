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
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livevision.frame import Frame, Inferred
from livevision.protocols import SourceInfo
from livevision.runtime.carrying import Carrier
from livevision.runtime.links import Channel
from livevision.runtime.stages import Computing, Ended, Opened


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


def infer(
    carrier: Carrier, stage: Computing, inbox: Channel[Any], outbox: Channel[Any], place: str
) -> None:
    """Carry frames through inference the way that the open stage allows, until the end.

    Args:
        carrier: Shared by the run's threads.
        stage: It.
        inbox: The link in front of it.
        outbox: The link behind it.
        place: The name of the stage behind it.
    """
    if stage.most > 1:
        _together(carrier, stage, inbox, outbox, place)
    elif stage.depth > 1:
        _overlap(carrier, stage, inbox, outbox, place)
    else:
        carrier.carry(stage, inbox, outbox, place)


class _Finishing:
    """The second half of inference: waits for the frames that were begun, oldest first."""

    def __init__(self, carrier: Carrier, stage: Computing) -> None:
        self.name = stage.name
        self._meter = carrier.meter
        self._net = NetTime(stage.streams)

    def opened(self, source: int, info: SourceInfo) -> None:
        pass

    def ended(self, source: int) -> None:
        pass

    def __call__(self, item: Begun) -> Inferred:
        asked = time.perf_counter()
        result, done = item.finish()
        if done is not None:
            decoding = time.perf_counter() - max(asked, done)
            # The next frame is computed while this one is decoded: the longer of the two counts.
            self._meter.worked(self.name, max(self._net.of(item.begun, done), decoding))
        return result


def _overlap(
    carrier: Carrier, stage: Computing, inbox: Channel[Any], outbox: Channel[Any], place: str
) -> None:
    """Have several frames computed at once; their results go on in the frames' order.

    This thread begins, another one waits for the oldest frame and decodes. Between them are at most
    ``depth`` + 1 frames, so that the engine has more at hand when the oldest is waited for. Frames
    begun are not overtaken.
    """
    begun = carrier.link(place, stage.depth - 1)
    waiting = threading.Thread(
        target=carrier.carry,
        args=(_Finishing(carrier, stage), begun, outbox, place),
        kwargs={"measured": True},
        name=stage.name,
        daemon=True,
    )
    waiting.start()
    try:
        with carrier.until_closed(begun):
            while True:
                item = inbox.get()
                if isinstance(item, Opened | Ended):
                    carrier.announce(stage, item)
                    begun.tell(item)
                    continue
                if carrier.too_old(stage.name, item.frame):
                    continue
                with carrier.counted(place, item.frame):
                    begin = Begun(item.frame, time.perf_counter(), stage.start(item))
                carrier.put(begun, place, begin, item.frame, waits=True)
    finally:
        waiting.join()


def _together(
    carrier: Carrier, stage: Computing, inbox: Channel[Any], outbox: Channel[Any], place: str
) -> None:
    """Take frames in one call where as many wait as it takes, and one by one where not.

    No frame waits for others to come: that would be latency for nothing.
    """
    most = stage.most
    with carrier.until_closed(outbox):
        while True:
            item = inbox.get()
            if isinstance(item, Opened | Ended):
                carrier.announce(stage, item)
                outbox.tell(item)
                continue
            items = [item, *inbox.take(most - 1)]
            items = [one for one in items if not carrier.too_old(stage.name, one.frame)]
            if not items:
                continue
            started = time.perf_counter()
            with carrier.counted(place, *(one.frame for one in items)):
                results = stage.together(items) if len(items) > 1 else [stage(items[0])]
            seconds = (time.perf_counter() - started) / len(items)
            for done, result in enumerate(results):
                carrier.meter.worked(stage.name, seconds)
                # Where the link is closed, this frame and those behind it are lost.
                with carrier.lost_behind(place, [r.frame for r in results[done + 1 :]]):
                    carrier.put(outbox, place, result, result.frame)
