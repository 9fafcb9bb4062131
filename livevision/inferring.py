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

from livevision.carrying import Carrier
from livevision.channel import Channel
from livevision.frame import Frame, Inferred, Prepared
from livevision.stages import Stages


@dataclass(frozen=True, slots=True)
class Begun:
    """A frame that the engine is at work on, and what waits for the result."""

    frame: Frame
    finish: Callable[[], Inferred]


def infer(carrier: Carrier, stages: Stages, inbox: Channel[Any], outbox: Channel[Any]) -> None:
    """Carry frames through inference the way that the open stages allow, until the end."""
    if stages.together is not None and stages.most() > 1:
        _together(carrier, stages.together, stages, inbox, outbox)
    elif stages.start is not None and stages.depth() > 1:
        _overlap(carrier, stages.start, stages.depth(), inbox, outbox)
    else:
        carrier.carry("inference", inbox, outbox, stages.inference)


def _overlap(
    carrier: Carrier,
    start: Callable[[Prepared], Callable[[], Inferred]],
    depth: int,
    inbox: Channel[Any],
    outbox: Channel[Any],
) -> None:
    """Have several frames computed at once; their results go on in the frames' order.

    This thread begins, another one waits for the oldest frame: its waiting and decoding is what the
    stage is measured by. Between them are at most ``depth`` + 1 frames, so that the engine has more
    at hand when the oldest is waited for. Frames begun are not overtaken.
    """
    begun = carrier.link("overlay", depth - 1)
    waiting = threading.Thread(
        target=carrier.carry,
        args=("inference", begun, outbox, lambda item: item.finish()),
        name="inference",
        daemon=True,
    )
    waiting.start()
    try:
        with carrier.until_closed(begun):
            while True:
                item = inbox.get()
                if isinstance(item, Prepared):
                    with carrier.counted("overlay"):
                        begin = Begun(item.frame, start(item))
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
            started = time.perf_counter()
            with carrier.counted("overlay", len(items)):
                results = together(items) if len(items) > 1 else [stages.inference(item)]
            seconds = (time.perf_counter() - started) / len(items)
            for done, result in enumerate(results):
                carrier.meter.worked("inference", seconds)
                # Where the link is closed, this frame and those behind it are lost.
                with carrier.lost_behind("overlay", len(results) - done - 1):
                    carrier.put(outbox, "overlay", result, result.frame)
