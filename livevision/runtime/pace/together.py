"""Decides by measurement whether frames of several live sources share one call of the nets.

If frames wait for a busy net, one call for all delivers the first one later and the last one
sooner. By default this is done if the frames are, on average, no later: with N frames and time t
for one, if a call for N takes at most (N + 1) / 2 · t. Users who ask for it want throughput, and
get it if the call takes clearly less than N · t.
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
# Of N · t. Above this ratio whole runs were no faster, and all frames later.
_CLEARLY = 0.85


def frames_at_once(models: Sequence[Model], sources: int, asked: int | None) -> int:
    """How many frames the open nets take in one call; if more than 1, they are prepared for it.

    Args:
        models: The run's nets.
        sources: Number of live sources; frames of one source do not wait for each other.
        asked: The user's maximum; None takes one of each source on a GPU, and 1 on a CPU, whose
            cores one frame keeps busy.
    """
    unasked = asked is None
    if asked is None:
        on_gpu = all(m.engine_spec is not None and m.engine_spec.device != "cpu" for m in models)
        asked = _MOST if on_gpu else 1
    images = min(asked, sources)
    if images < 2:
        if asked > 1 and not unasked:
            _log.warning("--batch %d: frames of one live source do not wait", asked)
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
    """Results of several frames in their order, with one call of each net."""
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
    """Seconds of a call for one image and for several; medians of a few calls in a row."""
    width, height = model.files.input_size
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    batch: Batch = model.prepare(noise)[0]
    calls: tuple[Callable[[], object], ...] = (
        lambda: model.infer(batch),
        lambda: model.together([batch] * images),
    )
    medians = []
    for call in calls:
        call()  # the first call initialises
        seconds = []
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - started)
        medians.append(statistics.median(seconds))
    return medians[0], medians[1]
