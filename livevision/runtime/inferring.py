"""The three modes of the inference stage.

=========  =====================================================================================
one        One frame at a time: call the net and wait.
overlap    Several frames in flight, for throughput: if no frame may be dropped and the engine
           computes several at once.
together   Frames that wait at the same moment, mostly of several live sources, share one call of
           the net: if the engine does that faster than one call each.
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
    """A frame in flight.

    Attributes:
        frame: The frame.
        begun: ``time.perf_counter()`` when the engine got it.
        finish: Waits for the result; also returns when the net was done.
    """

    frame: Frame
    begun: float
    finish: Callable[[], tuple[Inferred, float | None]]


class NetTime:
    """The net's time per frame if several are computed at the same moment.

    The wait for a result says nothing: it is zero if another stage is slower than the net. The time
    is therefore derived from starts and ends: a frame is at work from the moment a stream was free
    for it. Since the streams share the machine, the net's time for a frame is the stream's divided
    by their number.

    Args:
        streams: Frames computed at the same moment.
    """

    def __init__(self, streams: int) -> None:
        self._free = [0.0] * streams

    def of(self, begun: float, done: float) -> float:
        """Seconds for the next frame, in the order of starts."""
        stream = min(range(len(self._free)), key=self._free.__getitem__)
        seconds = max(0.0, done - max(begun, self._free[stream]))
        self._free[stream] = max(done, self._free[stream])
        return seconds / len(self._free)


def infer(
    carrier: Carrier, stage: Computing, inbox: Channel[Any], outbox: Channel[Any], place: str
) -> None:
    """Carry frames through inference in the mode that the open stage supports, until the end.

    Args:
        carrier: Shared by the run's threads.
        stage: The stage.
        inbox: The link before it.
        outbox: The link after it.
        place: The name of the next stage.
    """
    if stage.most > 1:
        _together(carrier, stage, inbox, outbox, place)
    elif stage.depth > 1:
        _overlap(carrier, stage, inbox, outbox, place)
    else:
        carrier.carry(stage, inbox, outbox, place)


class _Finishing:
    """The second half of inference: waits for frames in flight, oldest first."""

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
    """Keep several frames in flight; results keep the frames' order.

    This thread starts frames; another one waits for the oldest and decodes it. At most ``depth``
    + 1 frames are in flight, so that the engine has work while the oldest is waited for. Newer
    frames do not replace those in flight.
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
    """Process waiting frames in one call if enough of them wait, else one by one.

    No frame waits for others to arrive: that would only add latency.
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
                # If the link is closed, this frame and those behind it are lost.
                with carrier.lost_behind(place, [r.frame for r in results[done + 1 :]]):
                    carrier.put(outbox, place, result, result.frame)
