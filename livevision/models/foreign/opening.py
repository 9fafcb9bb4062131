"""Opening of third-party model files: from a graph to a card with a decoder."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from livevision.errors import LivevisionError, ModelError, UsageError
from livevision.models.catalog import ModelCard
from livevision.models.foreign import (
    dense,
    detr,
    fastestdet,
    graph_file,
    nanodet,
    openvino_graph,
    pixels,
    torchvision,
    ultralytics,
    yolox,
)
from livevision.models.foreign.description import (
    Description,
    described,
    missing_fields,
    read_fields,
    unfinished,
)
from livevision.models.foreign.family import Kind, Recognised
from livevision.models.foreign.graph_file import GraphFile
from livevision.models.foreign.labels import guessed, named_labels
from livevision.models.foreign.resizing import resized
from livevision.models.foreign.wrapping import counts, wrapped, wrapped_file
from livevision.preprocess.fit import with_resize
from livevision.protocols import Decoder

_log = logging.getLogger(__name__)

_FAMILIES = (ultralytics, nanodet, yolox, detr, torchvision, pixels, fastestdet, dense)
"""The most specific first: YOLOX is recognised only by its rows, after NanoDet."""

KINDS: dict[str, Kind] = {name: kind for family in _FAMILIES for name, kind in family.KINDS.items()}

_FROM_ONE = ("torchvision", "tensorflow", "ssd")
_NO_FILL = ("stretch", "centre-crop", "centre-square")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A third-party model.

    Attributes:
        graph: Its graph.
        family: Name of the recognised family; "" if only a description tells.
        description: Its description.
        decoder: Decoder of its outputs.
        labels: Class names.
        guess: Origin of guessed class names; "" if they are known.
    """

    graph: GraphFile
    family: str
    description: Description
    decoder: Decoder
    labels: tuple[str, ...]
    guess: str

    def counts(self) -> tuple[int, int]:
        """Parameters and multiply-adds, as far as known; 0 for OpenVINO's files."""
        size = self.description.input_size
        if self.graph.path.suffix in openvino_graph.SUFFIXES:
            return 0, 0
        return counts(wrapped(self.graph, self.description, size), self.graph)

    def content(self) -> bytes:
        """The ONNX graph as one file with all weights.

        Raises:
            ModelError: It is too large for one file.
        """
        try:
            return bytes(self.graph.model.SerializeToString())
        except ValueError as error:
            raise ModelError(f"{str(self.graph.path)!r} has 2 GB of weights or more") from error

    def described(self) -> Description:
        """The description with the class names."""
        return replace(self.description, labels=self.labels)

    def card(self) -> ModelCard:
        """The card of the model."""
        description = self.description
        return ModelCard(
            self.graph.path.stem,
            KINDS[description.output].task,
            "",
            description.input_size,
            self.labels,
            licence=description.licence,
            fit=with_resize(description.fit, description.resize),
            text=f"# {self.graph.path.name}\n\nThird-party: {self.family or description.output}.\n",
            fill=None if description.fit in _NO_FILL else description.fill,
            decoder=self.decoder,
            graph_at=self.file,
        )

    def file(self, size: tuple[int, int]) -> tuple[Path, tuple[str, ...]]:
        """A graph file for the engines, for images of (width, height).

        Returns:
            The file, and the names of its outputs if they need the decoder.

        Raises:
            UsageError: The graph takes other sizes only.
        """
        graph, kind = self.graph, KINDS[self.description.output]
        if any(n not in (None, given) for n, given in zip(graph.size, size, strict=True)):
            reshaped = resized(graph, kind, size)
            if reshaped is None:
                width, height = (n or "any" for n in graph.size)
                raise UsageError(
                    f"{str(graph.path)!r} takes images of {width}x{height} only; given: "
                    f"{size[0]}x{size[1]}. Export it with that size, or with dynamic shapes"
                )
            graph = reshaped
        made = wrapped_file(graph, self.description, kind, self.labels, size)
        return made.path, made.outputs


def open_foreign(path: Path, labels: str | None = None) -> Foreign:
    """Open a third-party model file.

    Args:
        path: The file; a YAML description of the same name is read too.
        labels: A set's name or a file of names; None for those of the file or the YAML.

    Raises:
        ModelError: The file cannot be used, or its description is incomplete.
        UsageError: The labels are unknown.
    """
    stamps = tuple(_stamp(p) for p in (path, path.with_suffix(".yaml"), Path(labels or "")))
    return _opened(path, labels, stamps)


@functools.lru_cache(maxsize=2)
def _opened(path: Path, labels: str | None, stamps: Any) -> Foreign:
    del stamps  # part of the cache's key, so that a changed file is read again
    graph = read_file(path)
    found = recognise(graph)
    fields = read_fields(path, _known(graph))
    description = described(path, fields, KINDS)
    if graph.fixed_size not in (None, description.input_size):
        raise ModelError(
            f"{str(path)!r} takes images of {graph.size[0]}x{graph.size[1]}, its description has "
            f"{description.input_size[0]}x{description.input_size[1]}"
        )
    try:
        decoder, names, guess = _named(graph, description, labels)
    except LivevisionError as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    family = found.family if found is not None else ""
    _log.info("%s is %s", path.name, family or f"described as {description.output}")
    if guess:
        _log.warning(
            "%s has no class names: they are assumed to be %s; set them with --labels coco80, "
            "voc20, cityscapes19 or FILE",
            path.name,
            guess,
        )
    return Foreign(graph, family, description, decoder, names, guess)


def draft(path: Path, labels: str | None = None) -> str:
    """A YAML description of a graph; missing values are comments.

    Raises:
        ModelError: The file cannot be used.
        UsageError: The labels are unknown.
    """
    graph = read_file(path)
    known = _known(graph)
    missing = missing_fields(known)
    if not missing:
        return open_foreign(path, labels).described().to_yaml()
    return unfinished(known, missing, labels)


def _known(graph: GraphFile) -> dict[str, Any]:
    """The fields of a description that follow from the graph."""
    found = recognise(graph)
    known: dict[str, Any] = dict(found.fields) if found is not None else {}
    known["input_size"] = graph.fixed_size or known.get("input_size")
    if graph.image.dtype == "uint8":  # such a graph contains its normalisation
        known |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return known


def read_file(path: Path) -> GraphFile:
    """Read a third-party graph; its suffix gives the format.

    Raises:
        ModelError: It cannot be used.
    """
    if path.suffix in openvino_graph.SUFFIXES:
        return openvino_graph.read_graph(path)
    return graph_file.read_graph(path)


def recognise(graph: GraphFile) -> Recognised | None:
    """The family of a graph; None if unknown."""
    for family in _FAMILIES:
        found: Recognised | None = family.recognise(graph)
        if found is not None:
            return found
    return None


def _named(
    graph: GraphFile, description: Description, given: str | None
) -> tuple[Decoder, tuple[str, ...], str]:
    """The decoder, the class names, and the origin of guessed names.

    Raises:
        ModelError: The number of names is wrong, or the outputs are not of the described kind.
    """
    make = KINDS[description.output].make
    try:
        classes = make(graph.outputs, None).classes
        from_one = description.output in _FROM_ONE
        labels = given if given is not None else description.labels
        if labels is None:
            guesses, guess = guessed(classes, from_one)
            return make(graph.outputs, len(guesses)), tuple(guesses), guess
        names = named_labels(labels, classes, from_one) if isinstance(labels, str) else labels
        decoder = make(graph.outputs, len(names))
    except (StopIteration, IndexError, TypeError) as error:
        listed = ", ".join(map(str, graph.outputs))
        raise ModelError(f"its outputs are {listed}, which is not {description.output}") from error
    if decoder.classes is not None and decoder.classes != len(names):
        raise ModelError(
            f"it has {decoder.classes} classes, but there are {len(names)} labels; the numbers "
            "must be the same"
        )
    return decoder, names, ""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
