"""Models in an engine's own format, of lower precision if wished: made, compared with fp32, kept.

A graph that is not fp32 is compared with fp32 on real frames. Where the two agree too little it is
refused, since a fast answer that is another answer is of no use; the figure is stored in the file.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision import registry
from livevision.calibration import Frames, read_frames, split
from livevision.catalog import ModelCard
from livevision.errors import ModelError, OutputError, missing_package
from livevision.export import cached_graph
from livevision.inference.description import read_description
from livevision.inference.model_files import ModelFiles
from livevision.inference.select import why_not_on_gpu
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

    files, told = _with_graph(files, card, precision)
    assert files.graph is not None
    graph = files.graph
    if precision == "fp32":
        write_graph(read_graph(graph), told, output)
        return None

    def make(calibrate: Frames | None, path: Path) -> None:
        if calibrate is None:
            write_graph(read_graph(graph), {}, path, half=True)
            return
        if find_spec("nncf") is None:
            raise ModelError(missing_package("nncf", "--precision int8", "int8"))
        from livevision.inference.int8 import quantise

        write_graph(quantise(read_graph(graph), calibrate.batches), {}, path)

    def keep(path: Path, told: Mapping[str, str]) -> None:
        write_graph(read_graph(path), told, output, half=precision == "fp16")

    lowered = _Lowered("openvino", "cpu", ".xml", make, keep)
    return _lower(files, card, precision, told, lowered, evidence, force)


def write_onnx(
    files: ModelFiles,
    card: ModelCard,
    output: Path,
    precision: str,
    evidence: Evidence,
    force: bool = False,
) -> Agreement | None:
    """Write a model as an ONNX file of lower precision, once it has been seen to agree with fp32.

    Args:
        files: As for ``write_openvino``, and so are the others and what is raised.
        card: What the file shall tell about the model.
        output: The .onnx file.
        precision: "fp16", which GPUs gain by, or "int8", which CPUs do.
        evidence: Real frames.
        force: Keep the file all the same.
    """
    files, told = _with_graph(files, card, precision)
    assert files.graph is not None
    graph = files.graph

    def make(calibrate: Frames | None, path: Path) -> None:
        _make_onnx(graph, calibrate, path)

    def keep(path: Path, told: Mapping[str, str]) -> None:
        import onnx

        model = onnx.load(path)
        onnx.helper.set_model_props(model, dict(told))
        _write({output: model.SerializeToString()})

    return _lower(
        files, card, precision, told, _Lowered("onnx", "cpu", ".onnx", make, keep), evidence, force
    )


def write_tensorrt(
    files: ModelFiles,
    card: ModelCard,
    output: Path,
    precision: str = "fp32",
    evidence: Evidence | None = None,
    force: bool = False,
) -> Agreement | None:
    """Write a model as a plan of TensorRT for this machine's GPU, compared with fp32 on it.

    Args:
        files: As for ``write_openvino``, and so are the others and what is raised.
        card: What the file shall tell about the model.
        output: The .engine file; a .json stands beside it.
        precision: "fp32", "fp16" or "int8".
        evidence: Real frames; needed for all but fp32.
        force: Keep the file all the same.
    """
    check_tensorrt()
    from livevision.inference.tensorrt_engine import write_engine

    files, told = _with_graph(files, card, precision)
    assert files.graph is not None
    graph = files.graph

    def make(calibrate: Frames | None, path: Path) -> None:
        source = files
        if calibrate is not None:
            quantised = path.with_suffix(".onnx")
            _make_onnx(graph, calibrate, quantised, symmetric=True)
            source = replace(files, graph=quantised, precision="int8")
        write_engine(source, precision, told, path)

    def keep(path: Path, told: Mapping[str, str]) -> None:
        import json

        beside = path.with_suffix(".json")
        described = {**json.loads(beside.read_bytes()), **told}
        text = json.dumps(described, ensure_ascii=False, indent=1).encode()
        _write({output.with_suffix(".json"): text, output: path.read_bytes()})

    lowered = _Lowered("tensorrt", "cuda", ".engine", make, keep)
    if precision == "fp32":
        with tempfile.TemporaryDirectory(prefix="livevision-lower-") as folder:
            path = Path(folder) / "plan.engine"
            make(None, path)
            keep(path, told)
        return None
    return _lower(files, card, precision, told, lowered, evidence, force)


def check_tensorrt() -> None:
    """See that a plan can be built here.

    Raises:
        ModelError: A package or the GPU is missing.
    """
    for module, package in (("tensorrt", "tensorrt"), ("cuda", "cuda-bindings")):
        if find_spec(module) is None:
            raise ModelError(missing_package(package, "--format tensorrt", "tensorrt"))
    reason = why_not_on_gpu("tensorrt")
    if reason is not None:
        raise ModelError(
            f"--format tensorrt builds on the GPU that the file shall run on: {reason}; take "
            "--format onnx here, and build there"
        )


@dataclass(frozen=True)
class _Lowered:
    """How a file of lower precision is made and kept, and what runs it.

    Attributes:
        engine: The engine's name.
        device: Where it computes.
        suffix: Of its files.
        make: Writes one; the frames are those to quantise with, None for other than int8.
        keep: Puts it where it shall stay, with what it tells of itself.
    """

    engine: str
    device: str
    suffix: str
    make: Callable[[Frames | None, Path], None]
    keep: Callable[[Path, Mapping[str, str]], None]


def _lower(
    files: ModelFiles,
    card: ModelCard,
    precision: str,
    told: Mapping[str, str],
    lowered: _Lowered,
    evidence: Evidence | None,
    force: bool,
) -> Agreement | None:
    """Make a file of lower precision, compare it with fp32, and keep it where they agree."""
    calibrate, check = (evidence or Evidence()).parts()
    if check is None:
        raise ModelError(
            f"{precision} must be compared with fp32 on real frames, and none are given"
        )
    if precision == "int8":
        if calibrate is None:
            raise ModelError("int8 takes frames to calibrate on")
        _log.info("calibrating on %d frames of %s", len(calibrate.batches), calibrate.source)
    _check_frames([f for f in (calibrate, check) if f is not None], force)
    with tempfile.TemporaryDirectory(prefix="livevision-lower-") as folder:
        path = Path(folder) / f"lowered{lowered.suffix}"
        lowered.make(calibrate if precision == "int8" else None, path)
        other = replace(files, graph=path, precision=precision)
        found = _judge(files, other, card, lowered, check, force)
        lowered.keep(path, {**told, "agreement": "" if found is None else found.to_json()})
    return found


def _with_graph(
    files: ModelFiles, card: ModelCard, precision: str
) -> tuple[ModelFiles, dict[str, str]]:
    """The files with a graph in fp32, exported now if need be, and what the new file shall tell.

    Raises:
        ModelError: The graph is of lower precision itself.
    """
    if files.precision != "fp32":
        raise ModelError(
            f"{str(files.graph)!r} is in {files.precision}; give the weights, or the graph in fp32"
        )
    graph = files.graph or cached_graph(files, card)
    return replace(files, graph=graph), {**read_description(graph), "precision": precision}


def _make_onnx(
    graph: Path, calibrate: Frames | None, path: Path, *, symmetric: bool = False
) -> None:
    """Write a graph in int8, or in fp16 where there is nothing to calibrate on."""
    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise ModelError(missing_package(package, "lowering an ONNX file", "export"))
    if calibrate is not None:
        from livevision.inference.onnx_int8 import quantise

        quantise(graph, calibrate.batches, path, symmetric=symmetric)
        return
    import onnx

    from livevision.inference.onnx_half import halve

    onnx.save(halve(onnx.load(graph)), path)


def _judge(
    files: ModelFiles,
    other: ModelFiles,
    card: ModelCard,
    lowered: _Lowered,
    frames: Frames,
    force: bool,
) -> Agreement | None:
    """Compare a lowered graph with fp32, and refuse it below the bound.

    Raises:
        ModelError: It agrees too little, or nothing can be compared.
    """
    from livevision.inference.agreement import NothingToCompare, agreement

    in_fp32 = "onnx" if find_spec("openvino") is None else "openvino"
    reference = registry.resolve(registry.ENGINES, in_fp32, "engine")(files, "cpu", "fp32")
    kind: Any = registry.resolve(registry.ENGINES, lowered.engine, "engine")
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
                f"{line} is asked for. Calibrate on more frames like those it will see, or keep it "
                "all the same with --force"
            )
        _log.warning("%s is asked for; kept because of --force", line)
    return found


def _write(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together; each appears when it is complete, the last one last.

    Raises:
        OutputError: One cannot be written.
    """
    for path, content in contents.items():
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise OutputError(f"cannot write {str(path)!r}: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)


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
