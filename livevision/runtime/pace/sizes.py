"""The input sizes available for a model, for runs that change the size.

Graphs have fixed shapes: sizes of anchors and maps are constants in them. Another size is therefore
another graph. It can be made from weights if PyTorch is installed; for a graph without weights the
sizes are the files beside it.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from livevision.errors import ModelError, missing_package
from livevision.inference.description import read_description
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.models.choice import int8_file

_log = logging.getLogger(__name__)

SCALES = (1.0, 0.8, 0.6, 0.5)
"""Scale factors of the input's sides: each step has about a third fewer pixels."""

_STEP = 32  # total stride of the nets; other sides are padded to a multiple
_LEAST = 96

_SAME = ("name", "task", "net", "fit", "labels", "weights_sha256", "precision")


@dataclass(frozen=True, slots=True)
class Sizes:
    """The available sizes of a model.

    Attributes:
        files: The model's files at each size: the run's own first, then in descending order.
        note: Where the other sizes come from, or why there are none and what to do.
    """

    files: tuple[ModelFiles, ...]
    note: str


def sizes_of(files: ModelFiles, engine: str, reads: str) -> Sizes:
    """The available sizes of a model, none larger than its own.

    Args:
        files: The model's files in this run.
        engine: Name of its engine.
        reads: Which files the engine reads: "weights" or "graph".
    """
    if files.outputs:
        return Sizes((files,), f"{files.name} is a third-party ONNX file, run at one size")
    if files.graph is not None and files.weights is None:
        return _beside(files, files.graph)
    smaller = [size for size in _scaled(files.input_size) if size != files.input_size]
    others = [replace(files, input_size=size, graph=None) for size in smaller]
    if files.precision == "int8":
        made = [(other, int8_file(other, engine)) for other in others]
        others = [replace(other, graph=path) for other, path in made if path.is_file()]
        note = "existing int8 files"
        if not others:
            note = (
                f"int8 files must be made beforehand: livevision export --format {engine} "
                f"--precision int8 --imgsz {_text(smaller[0]) if smaller else 'WxH'}"
            )
        return Sizes((files, *others), note)
    missing = [p for p in ("torch", "onnx") if reads == "graph" and find_spec(p) is None]
    if missing:
        return Sizes((files,), missing_package(missing[0], "a graph of another size", "export"))
    return Sizes((files, *others), "graphs are made on first use and cached")


def _scaled(size: tuple[int, int]) -> list[tuple[int, int]]:
    """The size and smaller ones of about the same shape, without duplicates."""
    found = [size]
    for scale in SCALES[1:]:
        width, height = (max(_LEAST, round(side * scale / _STEP) * _STEP) for side in size)
        if (width, height) not in found and width <= size[0] and height <= size[1]:
            found.append((width, height))
    return found


def _beside(files: ModelFiles, graph: Path) -> Sizes:
    """Graphs of the same model at smaller sizes in a graph's folder."""
    own = read_description(graph)
    found = {}
    for path in sorted(graph.parent.glob(f"*{graph.suffix}")):
        try:
            facts = read_description(path)
            width, height = map(int, facts["input_size"].split("x"))
        except (ModelError, KeyError, ValueError) as error:
            _log.debug("%s is not a graph to switch to: %s", path, error)
            continue
        smaller = width * height < files.input_size[0] * files.input_size[1]
        if smaller and all(facts.get(key) == own.get(key) for key in _SAME):
            found[width, height] = replace(
                files,
                input_size=(width, height),
                graph=path,
                agreement=facts.get("agreement", ""),
            )
    ordered = sorted(found.values(), key=lambda f: -f.input_size[0] * f.input_size[1])
    if ordered:
        return Sizes((files, *ordered), f"files beside {graph.name}")
    return Sizes(
        (files,),
        f"{graph.name} has fixed shapes; put files of 'livevision export --imgsz WxH' beside it",
    )


class GraphMaker:
    """Makes graphs in a separate process at low priority, so that the run continues."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def make(self, files: ModelFiles, card: ModelCard) -> None:
        """Put the graph of a model in the cache, where ``export.cached_graph`` finds it.

        Raises:
            ModelError: It cannot be made, or ``cancel`` was called.
        """
        program = (
            "import os, pickle, sys\n"
            "if hasattr(os, 'nice'): os.nice(5)\n"
            "from livevision.errors import LivevisionError\n"
            "from livevision.models.export import cached_graph\n"
            "try: cached_graph(*pickle.load(sys.stdin.buffer))\n"
            "except LivevisionError as error: sys.exit(str(error))\n"
        )
        one_thread = {"OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **one_thread},
        ) as self._process:
            if self._cancelled:
                self._process.kill()
            _, said = self._process.communicate(pickle.dumps((files, card)))
        if self._process.returncode:
            why = said.decode(errors="replace").strip().splitlines() or ["it was stopped"]
            raise ModelError(f"{files.name} at {_text(files.input_size)} cannot be made: {why[-1]}")

    def cancel(self) -> None:
        """End the current graph and all later ones."""
        self._cancelled = True
        if self._process is not None:
            self._process.kill()


def _text(size: tuple[int, int]) -> str:
    return "x".join(map(str, size))
