"""From an ONNX file of somebody else's to a card, with what decodes its outputs."""

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
from livevision.models.foreign.family import Found, Kind
from livevision.models.foreign.graph_file import GraphFile
from livevision.models.foreign.labels import guessed, named_labels
from livevision.models.foreign.resizing import resized
from livevision.models.foreign.wrapping import counts, wrapped, wrapped_file
from livevision.preprocess.fit import with_resize
from livevision.protocols import Decoder

_log = logging.getLogger(__name__)

_FAMILIES = (ultralytics, nanodet, yolox, detr, torchvision, pixels, fastestdet, dense)
"""The surest first: YOLOX goes by its rows alone, and so takes what NanoDet did not."""

KINDS: dict[str, Kind] = {name: kind for family in _FAMILIES for name, kind in family.KINDS.items()}

_FROM_ONE = ("torchvision", "tensorflow", "ssd")
_NO_FILL = ("stretch", "centre-crop", "centre-square")


@dataclass(frozen=True, slots=True)
class Foreign:
    """A file that can be run.

    Attributes:
        graph: What is in it.
        family: What it was recognised as, in words; "" where a description alone tells.
        description: How it is run.
        decoder: Of its outputs.
        labels: Class names.
        guess: Where the names are from, if nothing told them; "" where something did.
    """

    graph: GraphFile
    family: str
    description: Description
    decoder: Decoder
    labels: tuple[str, ...]
    guess: str

    def counts(self) -> tuple[int, int]:
        """Parameters and multiply-adds, as far as the graph tells."""
        size = self.description.input_size
        if self.graph.path.suffix in openvino_graph.SUFFIXES:
            return 0, 0
        return counts(wrapped(self.graph, self.description, size), self.graph)

    def content(self) -> bytes:
        """The ONNX graph with all its weights, as one file.

        Raises:
            ModelError: It is too large for one.
        """
        try:
            return bytes(self.graph.model.SerializeToString())
        except ValueError as error:
            raise ModelError(f"{str(self.graph.path)!r} has 2 GB of weights or more") from error

    def described(self) -> Description:
        """The description with the class names in it."""
        return replace(self.description, labels=self.labels)

    def card(self) -> ModelCard:
        """The card of the model."""
        told = self.description
        return ModelCard(
            self.graph.path.stem,
            KINDS[told.output].task,
            "",
            told.input_size,
            self.labels,
            licence=told.licence,
            fit=with_resize(told.fit, told.resize),
            text=f"# {self.graph.path.name}\n\nOf others: {self.family or told.output}.\n",
            fill=None if told.fit in _NO_FILL else told.fill,
            decoder=self.decoder,
            graph_at=self.file,
        )

    def file(self, size: tuple[int, int]) -> tuple[Path, tuple[str, ...]]:
        """A graph for the engines, for images of (width, height).

        Returns:
            The file, and the names of what it gives where the decoder has to read that.

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
    """Read a file, recognise it, and settle how it is run.

    Args:
        path: An ONNX file; a YAML of the same name beside it is taken into account.
        labels: A set's name or a file of names; None for what the file or the YAML tells.

    Raises:
        ModelError: The file cannot be used, or not enough is known of it.
        UsageError: The labels are unknown.
    """
    stamps = tuple(_stamp(p) for p in (path, path.with_suffix(".yaml"), Path(labels or "")))
    return _opened(path, labels, stamps)


@functools.lru_cache(maxsize=2)
def _opened(path: Path, labels: str | None, stamps: Any) -> Foreign:
    del stamps  # they are there so that a changed file is read anew
    graph = read_file(path)
    found = recognise(graph)
    fields = read_fields(path, _known(graph))
    told = described(path, fields, KINDS)
    if graph.fixed_size not in (None, told.input_size):
        raise ModelError(
            f"{str(path)!r} takes images of {graph.size[0]}x{graph.size[1]}, its description says "
            f"{told.input_size[0]}x{told.input_size[1]}"
        )
    try:
        decoder, names, guess = _named(graph, told, labels)
    except LivevisionError as error:
        raise type(error)(f"{str(path)!r}: {error}") from error
    family = found.family if found is not None else ""
    _log.info("%s is %s", path.name, family or f"described as {told.output}")
    if guess:
        _log.warning(
            "%s does not tell the names of its classes: they are taken for %s; --labels coco80, "
            "voc20, cityscapes19 or FILE tells them",
            path.name,
            guess,
        )
    return Foreign(graph, family, told, decoder, names, guess)


def draft(path: Path, labels: str | None = None) -> str:
    """The YAML of a graph with what was recognised; what is to be filled in stands as comments.

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
    """The fields that a graph tells by itself."""
    found = recognise(graph)
    known: dict[str, Any] = dict(found.fields) if found is not None else {}
    known["input_size"] = graph.fixed_size or known.get("input_size")
    if graph.image.dtype == "uint8":  # such a graph normalises itself
        known |= {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    return known


def read_file(path: Path) -> GraphFile:
    """Read a graph of somebody else's, of a kind that its suffix tells.

    Raises:
        ModelError: It cannot be used.
    """
    if path.suffix in openvino_graph.SUFFIXES:
        return openvino_graph.read_graph(path)
    return graph_file.read_graph(path)


def recognise(graph: GraphFile) -> Found | None:
    """The family of a graph, or None."""
    for family in _FAMILIES:
        found: Found | None = family.recognise(graph)
        if found is not None:
            return found
    return None


def _named(
    graph: GraphFile, told: Description, given: str | None
) -> tuple[Decoder, tuple[str, ...], str]:
    """What decodes the outputs, and the labels, as many as there are classes.

    Raises:
        ModelError: Their number is another, or the outputs are not of the kind.
    """
    make = KINDS[told.output].make
    try:
        classes = make(graph.outputs, None).classes
        from_one = told.output in _FROM_ONE
        labels = given if given is not None else told.labels
        if labels is None:
            guesses, guess = guessed(classes, from_one)
            return make(graph.outputs, len(guesses)), tuple(guesses), guess
        names = named_labels(labels, classes, from_one) if isinstance(labels, str) else labels
        decoder = make(graph.outputs, len(names))
    except (StopIteration, IndexError, TypeError) as error:
        listed = ", ".join(map(str, graph.outputs))
        raise ModelError(f"it gives {listed}, which is not {told.output}") from error
    if decoder.classes is not None and decoder.classes != len(names):
        raise ModelError(
            f"it has {decoder.classes} classes and {len(names)} labels were given; the numbers "
            "must be the same"
        )
    return decoder, names, ""


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size
