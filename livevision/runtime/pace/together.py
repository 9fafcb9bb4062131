"""Whether frames of several live sources go through the nets in one call, settled by measurement.

Where frames wait for a net that is busy, one call for all of them delivers the first one later and
the last one sooner. Unasked it is done where the frames are, on average, no later: with N frames
and t for one, where a call for N takes at most (N + 1) / 2 · t. Who asks for it wants more frames,
and gets it where it takes clearly less than N · t.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from livevision.errors import LivevisionError
from livevision.frame import Batch, Inferred, Prepared
from livevision.models.model import Model
from livevision.results import Result

_log = logging.getLogger(__name__)

_MOST = 8
_ROUNDS = 7
# Of N · t. Closer to it than this, no more frames came through a whole run, and all came later.
_CLEARLY = 0.85


def frames_at_once(models: Sequence[Model], sources: int, asked: int | None) -> int:
    """How many frames the open nets take in one call; where it is more than 1, they are ready to.

    Args:
        models: The run's nets.
        sources: Live ones; frames of one source do not wait for each other.
        asked: What the user wants at most; None takes one of each source on a GPU, and 1 on a CPU,
            whose cores one frame keeps busy by itself.
    """
    unasked = asked is None
    if asked is None:
        on_gpu = all(m.engine_spec is not None and m.engine_spec.device != "cpu" for m in models)
        asked = _MOST if on_gpu else 1
    images = min(asked, sources)
    if images < 2:
        if asked > 1 and not unasked:
            _log.warning("--batch %d: one live source's frames do not wait for each other", asked)
        return 1
    try:
        for model in models:
            model.open_together(images)
    except LivevisionError as error:
        _log.warning("frames go through the net one by one: %s", error)
        return 1
    one, all_ = (sum(times) for times in zip(*(_measured(m, images) for m in models), strict=True))
    gains = all_ <= one * ((images + 1) / 2 if unasked else _CLEARLY * images)
    _log.info(
        "frames of %d sources go through the net %s: %d in one call take %.1f ms, one takes %.1f",
        sources,
        f"{images} at once where they wait" if gains else "one by one",
        images,
        1e3 * all_,
        1e3 * one,
    )
    if not gains:
        for model in models:
            model.close_together()
    return images if gains else 1


def infer_together(models: Sequence[Model], frames: Sequence[Prepared]) -> list[Inferred]:
    """Results of several frames, each net called once; in the frames' order."""
    found: list[dict[str, Result]] = [{} for _ in frames]
    for model in models:
        inputs = [frame.inputs[model.name] for frame in frames]
        outputs = model.together([batch for batch, _ in inputs])
        for frame, results, output, (_, placement) in zip(
            frames, found, outputs, inputs, strict=True
        ):
            results[model.name] = model.decode(output, placement, frame.settings)
    return [
        Inferred(frame.frame, results, frame.settings)
        for frame, results in zip(frames, found, strict=True)
    ]


def _measured(model: Model, images: int) -> tuple[float, float]:
    """Seconds of a call for one image and of one for several, the medians of a few in a row."""
    width, height = model.files.input_size
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    batch: Batch = model.prepare(noise)[0]
    calls: tuple[Callable[[], object], ...] = (
        lambda: model.infer(batch),
        lambda: model.together([batch] * images),
    )
    medians = []
    for call in calls:
        call()  # the first one sets things up
        seconds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
        medians.append(statistics.median(seconds))
    return medians[0], medians[1]
