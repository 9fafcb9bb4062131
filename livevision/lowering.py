"""Models in OpenVINO's format, of lower precision if wished: made, compared with fp32, kept or not.

A graph that is not fp32 is compared with fp32 on real frames. Where the two agree too little it is
refused, since a fast answer that is another answer is of no use; the figure is stored in the file.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision import registry
from livevision.calibration import Frames, read_frames, split
from livevision.catalog import ModelCard
from livevision.errors import ModelError, missing_package
from livevision.export import cached_graph
from livevision.inference.description import read_description
from livevision.inference.model_files import ModelFiles
from livevision.preprocess.fit import make_fit

if TYPE_CHECKING:
    from livevision.inference.agreement import Agreement

_log = logging.getLogger(__name__)

BOUNDS = {"detect": 0.85, "segment": 0.75, "classify": 0.9}
"""The least agreement with fp32, by task: AP50, mIoU or the share of like top-1 classes."""

_MOST_UNLIKE = 0.5


@dataclass(frozen=True)
class Evidence:
    """Frames to quantise with and to compare on.

    Attributes:
        calibrate: The user's frames for int8; held-out ones among them are compared on.
        check: Frames to compare on in place of those.
    """

    calibrate: Frames | None = None
    check: Frames | None = None

    def parts(self) -> tuple[Frames | None, Frames | None]:
        """What to quantise with, and what to compare on."""
        if self.check is not None or self.calibrate is None:
            return self.calibrate, self.check
        return split(self.calibrate)


def frames_for(card: ModelCard, files: ModelFiles, sources: Sequence[str]) -> Frames | None:
    """Frames of videos or pictures as a model's inputs; None where no sources are given.

    Raises:
        UsageError: There are too few frames, or a source is live.
        SourceError: A source cannot be read.
    """
    if not sources:
        return None
    kind = registry.resolve(registry.TASKS, card.task, "task")
    return read_frames(sources, kind(card.labels, make_fit(card.fit, files.input_size)))


def write_openvino(
    files: ModelFiles,
    card: ModelCard,
    output: Path,
    precision: str = "fp32",
    evidence: Evidence | None = None,
    force: bool = False,
) -> Agreement | None:
    """Write a model in OpenVINO's format, once it has been seen to agree with fp32.

    Args:
        files: The model: its graph in fp32 if it has one, else its weights are exported first.
        card: What the file shall tell about the model.
        output: The .xml file; the .bin stands beside it.
        precision: "fp32", "fp16" (half the size; computed in fp32), "bf16" (stored in fp32 and
            computed in bf16) or "int8".
        evidence: Real frames; needed for all but fp32.
        force: Keep the file though it agrees too little, or though nothing could be compared.

    Returns:
        The agreement with fp32; None for fp32, and where nothing could be compared.

    Raises:
        ModelError: A package is missing, or the graph is refused.
        OutputError: The file cannot be written.
    """
    from livevision.inference.openvino_file import read_graph, write_graph

    graph = files.graph or cached_graph(files, card)
    files = replace(files, graph=graph)
    told = {**read_description(graph), "precision": precision}
    if precision == "fp32":
        write_graph(read_graph(graph), told, output)
        return None
    calibrate, check = (evidence or Evidence()).parts()
    if check is None:
        raise ModelError(
            f"{precision} must be compared with fp32 on real frames, and none are given"
        )
    _check_frames([f for f in (calibrate, check) if f is not None], force)
    with tempfile.TemporaryDirectory(prefix="livevision-lower-") as folder:
        lowered = Path(folder) / "lowered.xml"
        if precision == "int8":
            if calibrate is None:
                raise ModelError("int8 takes frames to calibrate on")
            _write_int8(graph, calibrate, lowered)
        else:
            write_graph(read_graph(graph), {}, lowered, half=True)
        found = _judge(files, card, lowered, precision, check, force)
        told["agreement"] = "" if found is None else found.to_json()
        write_graph(read_graph(lowered), told, output, half=precision == "fp16")
    return found


def _write_int8(graph: Path, frames: Frames, output: Path) -> None:
    if find_spec("nncf") is None:
        raise ModelError(missing_package("nncf", "--precision int8", "int8"))
    from livevision.inference.int8 import quantise
    from livevision.inference.openvino_file import read_graph, write_graph

    _log.info("calibrating on %d frames of %s", len(frames.batches), frames.source)
    write_graph(quantise(read_graph(graph), frames.batches), {}, output)


def _judge(
    files: ModelFiles,
    card: ModelCard,
    lowered: Path,
    precision: str,
    frames: Frames,
    force: bool,
) -> Agreement | None:
    """Compare a lowered graph with fp32, and refuse it below the bound.

    Raises:
        ModelError: It agrees too little, or nothing can be compared.
    """
    from livevision.inference.agreement import NothingToCompare, agreement

    kind: Any = registry.resolve(registry.ENGINES, "openvino", "engine")
    reference = kind(files, "cpu", "fp32")
    other = kind(replace(files, graph=lowered, precision=precision), "cpu", "auto")
    try:
        found = agreement(card.task, card.labels, reference, other, frames.batches, frames.source)
    except NothingToCompare as error:
        if not force:
            raise
        _log.warning("%s; kept because of --force", error)
        return None
    finally:
        reference.close()
        other.close()
    bound = BOUNDS[card.task]
    if found.value < bound:
        line = (
            f"{card.name} in {precision} agrees too little with fp32: {found}; at least {bound:g}"
        )
        if not force:
            raise ModelError(
                f"{line} is asked for. Calibrate on more frames like those it will see, or keep it "
                "all the same with --force"
            )
        _log.warning("%s is asked for; kept because of --force", line)
    return found


def _check_frames(parts: list[Frames], force: bool) -> None:
    """See that frames are pictures of something.

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
                raise ModelError(f"{line}; give frames like those the model will see, or --force")
            _log.warning("%s; gone on because of --force", line)
