"""Compares a lower-precision graph with fp32 on real frames, and rejects it if they disagree."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from livevision import registry
from livevision.errors import ModelError
from livevision.inference.description import read_description
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.models.export import cached_graph
from livevision.models.lowering.frames import Frames, split

if TYPE_CHECKING:
    from livevision.inference.agreement import Agreement

_log = logging.getLogger(__name__)

BOUNDS = {"detect": 0.85, "segment": 0.75, "classify": 0.9}
"""Minimum agreement with fp32 by task: AP50, mIoU or share of equal top-1 classes."""

_MOST_UNLIKE = 0.5


@dataclass(frozen=True)
class Evidence:
    """Frames for calibration and comparison.

    Attributes:
        calibrate: The user's frames for int8; some are held out for the comparison.
        check: Frames for the comparison instead of those.
    """

    calibrate: Frames | None = None
    check: Frames | None = None

    def parts(self) -> tuple[Frames | None, Frames | None]:
        """Frames for calibration, and frames for the comparison."""
        if self.check is not None or self.calibrate is None:
            return self.calibrate, self.check
        return split(self.calibrate)


@dataclass(frozen=True)
class Format:
    """How a lower-precision file is made and kept, and which engine runs it.

    Attributes:
        engine: The engine's name.
        device: The engine's device.
        suffix: Suffix of its files.
        make: Writes a file; the frames are for calibration, None for other precisions than int8.
        keep: Moves it to its destination, with its description.
    """

    engine: str
    device: str
    suffix: str
    make: Callable[[Frames | None, Path], None]
    keep: Callable[[Path, Mapping[str, str]], None]


def with_graph(
    files: ModelFiles, card: ModelCard, precision: str
) -> tuple[ModelFiles, dict[str, str]]:
    """The files with an fp32 graph, exported now if necessary, and the new file's description.

    Raises:
        ModelError: The graph is in lower precision itself.
    """
    if files.precision != "fp32":
        raise ModelError(
            f"{str(files.graph)!r} is in {files.precision}; give the weights, or the graph in fp32"
        )
    graph = files.graph or cached_graph(files, card)
    return replace(files, graph=graph), {**read_description(graph), "precision": precision}


def compared(
    files: ModelFiles,
    card: ModelCard,
    precision: str,
    description: Mapping[str, str],
    lowered: Format,
    evidence: Evidence | None,
    force: bool,
) -> Agreement | None:
    """Make a lower-precision file, compare it with fp32, and keep it if they agree."""
    calibrate, check = (evidence or Evidence()).parts()
    if check is None:
        raise ModelError(
            f"{precision} must be compared with fp32 on real frames, and none were given"
        )
    if precision == "int8":
        if calibrate is None:
            raise ModelError("int8 needs frames to calibrate on")
        _log.info("calibrating on %d frames of %s", len(calibrate.batches), calibrate.source)
    _check_frames([f for f in (calibrate, check) if f is not None], force)
    with tempfile.TemporaryDirectory(prefix="livevision-lower-") as folder:
        path = Path(folder) / f"lowered{lowered.suffix}"
        lowered.make(calibrate if precision == "int8" else None, path)
        other = replace(files, graph=path, precision=precision)
        found = _judge(files, other, card, lowered, check, force)
        lowered.keep(path, {**description, "agreement": "" if found is None else found.to_json()})
    return found


def _judge(
    files: ModelFiles,
    other: ModelFiles,
    card: ModelCard,
    lowered: Format,
    frames: Frames,
    force: bool,
) -> Agreement | None:
    """Compare a lower-precision graph with fp32, and reject it below the minimum.

    Raises:
        ModelError: They agree too little, or cannot be compared.
    """
    from livevision.inference.agreement import NothingToCompare, agreement

    in_fp32 = "onnx" if find_spec("openvino") is None else "openvino"
    reference = registry.resolve(registry.ENGINES, in_fp32, "engine")(files, "cpu", "fp32")
    kind = registry.resolve(registry.ENGINES, lowered.engine, "engine")
    engine = kind(other, lowered.device, "auto")
    try:
        found = agreement(card.task, card.labels, reference, engine, frames.batches, frames.source)
    except NothingToCompare as error:
        if not force:
            raise
        _log.warning("%s; kept because of --force", error)
        return None
    finally:
        reference.close()
        engine.close()
    bound = BOUNDS[card.task]
    if found.value < bound:
        line = (
            f"{card.name} in {other.precision} agrees too little with fp32: {found}; "
            f"at least {bound:g}"
        )
        if not force:
            raise ModelError(
                f"{line} is required. Calibrate on more frames like those of the application, or "
                "keep it anyway with --force"
            )
        _log.warning("%s is required; kept because of --force", line)
    return found


def _check_frames(parts: list[Frames], force: bool) -> None:
    """Check that frames are real pictures.

    Raises:
        ModelError: Most are blank or noise.
    """
    for frames in parts:
        if frames.unlike_pictures > _MOST_UNLIKE:
            line = (
                f"{frames.unlike_pictures:.0%} of the frames of {frames.source} are blank or "
                "noise, so that nothing can be learned from them"
            )
            if not force:
                raise ModelError(f"{line}; give frames like those of the application, or --force")
            _log.warning("%s; continuing because of --force", line)
