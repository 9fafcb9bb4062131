"""The catalog of models: shipped ones with a card in ``weights/NAME.md``, and untrained nets.

A card is YAML between two lines ``---``, then text for people; the cards of untrained nets come
from the table in ``livevision.models.untrained``. Neither torch nor numpy is imported here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from livevision.errors import ModelError, UsageError, unknown
from livevision.models import imported
from livevision.models.pinned import PINNED, how_to_get
from livevision.models.untrained import NETS
from livevision.registry import entry_points

if TYPE_CHECKING:
    from livevision.protocols import Decoder

log = logging.getLogger(__name__)

DEFAULTS = {
    "detect": "thundernet-mobilenetv2",
    "segment": "bisenet-mobilenetv2-person",
    "classify": "mobilenetv2-tiny-imagenet",
}
"""The default model of each task."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The card of a model.

    Attributes:
        name: As ``--model`` takes it.
        task: "detect", "segment" or "classify".
        net: Name of its net for ``livevision.nets.build``.
        input_size: (width, height) of its input in pixels.
        labels: Class names.
        params: Trained parameters.
        madds: Multiply-adds of convolutions and linear layers for one image of ``input_size``.
        data: What it was trained on.
        score: ``text``, a line for people, and its figures by name; empty until measured.
        licence: Licence of the weights, including the terms of their data.
        agreement: Agreement with fp32 by precision: the fields of
            ``inference.agreement.Agreement``.
        for_comparison: It finds too little for other use, and is listed on request only.
        speed: Milliseconds per image by precision, and ``on``: what was measured and when.
        net_options: Further arguments of ``build``.
        fit: "stretch", "letterbox" or another of ``preprocess.fit``.
        text: The card's text for people, Markdown.
        folder: Folder of the weights files; None for a card read from a graph or made here.
        fill: Padding value of a letterbox; None for ImageNet's mean colour.
        decoder: Decodes the outputs of a third-party graph; None for livevision's own.
        graph_at: Returns such a graph's file for an input of (width, height), and the outputs that
            ``decoder`` reads; none if the graph itself decodes them.
    """

    name: str
    task: str
    net: str
    input_size: tuple[int, int]
    labels: tuple[str, ...]
    params: int = 0
    madds: int = 0
    data: str = ""
    score: Mapping[str, Any] = field(default_factory=dict)
    licence: str = ""
    agreement: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    speed: Mapping[str, Any] = field(default_factory=dict)
    for_comparison: bool = False
    net_options: Mapping[str, Any] = field(default_factory=dict)
    fit: str = "stretch"
    text: str = ""
    folder: Path | None = None
    fill: int | None = None
    decoder: Decoder | None = None
    graph_at: Callable[[tuple[int, int]], tuple[Path, tuple[str, ...]]] | None = None

    @property
    def weights(self) -> Path | None:
        """The weights file, or None if it does not exist."""
        return self._file("safetensors")

    @property
    def graph(self) -> Path | None:
        """The exported graph for ``input_size``, or None if it does not exist."""
        return self._file("onnx")

    @property
    def template(self) -> Path | None:
        """The template of that graph, which needs ``weights`` but no torch; None if missing."""
        return self._file("graph.npz")

    def summary(self) -> dict[str, Any]:
        """The row of ``livevision models --json``."""
        files = [
            path.name for path in (self.weights, self.graph, self.template) if path is not None
        ]
        return {
            "name": self.name,
            "task": self.task,
            "net": self.net,
            "input_size": list(self.input_size),
            "labels": list(self.labels),
            "params": self.params,
            "madds": self.madds,
            "data": self.data,
            "score": dict(self.score),
            "licence": self.licence,
            "agreement": {name: dict(figures) for name, figures in self.agreement.items()},
            "speed": dict(self.speed),
            "for_comparison": self.for_comparison,
            "weights": files,
        }

    def _file(self, suffix: str) -> Path | None:
        path = self.folder / f"{self.name}.{suffix}" if self.folder else None
        return path if path is not None and path.is_file() else None


def weights_folder() -> Path:
    """Folder of shipped weights and cards: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    packed = package / "weights"
    return packed if packed.is_dir() else package.parent / "weights"


def names() -> list[str]:
    """Names of the shipped models, which have a card, sorted."""
    return sorted(path.stem for path in weights_folder().glob("*.md") if path.stem != "README")


def every_name() -> list[str]:
    """Names of the shipped models, then of livevision's other nets."""
    return [*names(), *untrained_names()]


def added() -> dict[str, Path]:
    """Models of other installed packages by name: a card, or a bare ONNX file."""
    found: dict[str, Path] = {}
    taken = {*names(), *NETS, *PINNED}
    for plugin, folder in entry_points.folders():
        cards = [path for path in sorted(folder.glob("*.md")) if path.stem != "README"]
        for path in [*cards, *sorted(folder.glob("*.onnx"))]:
            if path.stem in taken:
                _told_of(path.stem, plugin)
            else:
                found.setdefault(path.stem, path)
    return found


@cache
def _told_of(name: str, plugin: entry_points.Plugin) -> None:
    log.warning("the model %r of %s is not used: livevision has one", name, plugin.package)


def untrained_names() -> list[str]:
    """Names of the nets without a shipped model, task by task."""
    shipped = names()
    return [name for name in NETS if name not in shipped]


FOREIGN_MODELS = (
    "YOLO weights are not supported; `livevision models` lists the models here, and without "
    "--model the default of the task is used. Exported to ONNX it runs: --model FILE.onnx"
)


def is_foreign(name: str) -> bool:
    """Whether a name or file is a model of Ultralytics."""
    if name in PINNED or imported.path_of(name) is not None:
        return False
    lower = name.lower()
    return lower.endswith((".pt", ".pth")) or (
        lower.startswith("yolo") and not lower.endswith(".onnx")
    )


def added_graph(name: str) -> Path | None:
    """The ONNX file of another installed package's model, if it is one."""
    if name in NETS or name in names() or name in PINNED or "/" in name:
        return None
    path = added().get(name)
    return path if path is not None and path.suffix == ".onnx" else None


def find(name: str) -> ModelCard:
    """The card of a model: shipped, untrained, or another installed package's.

    Raises:
        UsageError: The name is unknown.
        ModelError: The card cannot be read.
    """
    if name in names():
        return read_card(weights_folder() / f"{name}.md")
    if name not in NETS:
        if name in PINNED:
            raise ModelError(how_to_get(name))
        others = added()
        if name in others and others[name].suffix == ".md":
            return read_card(others[name])
        if is_foreign(name):
            raise UsageError(f"unknown model {name!r}: {FOREIGN_MODELS}")
        known = [*every_name(), *imported.names(), *others, *PINNED]
        raise UsageError(unknown("model", name, known))
    net = NETS[name]
    return ModelCard(
        name,
        net.task,
        name,
        net.input_size,
        labels=tuple(f"class {number}" for number in range(net.classes)),
        params=net.params,
        madds=net.madds,
        net_options={"num_classes": net.classes, **net.options},
        fit="centre-crop" if net.task == "classify" else "stretch",
        text=f"# {name}\n\nThis net has no trained weights yet.\n",
    )


_NOT_WRITTEN = ("text", "folder", "fill", "decoder", "graph_at")
"""Fields of a card that are not in the file."""


def read_card(path: Path) -> ModelCard:
    """Read a card; the first five fields are required, figures such as ``params`` are not.

    Raises:
        ModelError: There is no front matter, or a field is missing, unknown or invalid.
    """
    start, _, rest = path.read_text(encoding="utf-8").partition("---\n")
    front, fence, text = rest.partition("\n---\n")
    if start.strip() or not fence:
        raise ModelError(f"card {str(path)!r} does not begin with YAML between two lines '---'")
    try:
        values = yaml.safe_load(front)
    except yaml.YAMLError as error:
        raise ModelError(f"card {str(path)!r}: {error}") from error
    if not isinstance(values, dict):
        raise ModelError(f"card {str(path)!r}: the part between the lines '---' has no fields")
    known = [f.name for f in fields(ModelCard) if f.name not in _NOT_WRITTEN]
    for key in values:
        if key not in known:
            raise ModelError(f"card {str(path)!r}: {unknown('field', str(key), known)}")
    try:
        width, height = values.pop("input_size")
        labels = tuple(map(str, values.pop("labels")))
        return ModelCard(
            input_size=(int(width), int(height)),
            labels=labels,
            text=text.strip() + "\n",
            folder=path.parent,
            **values,
        )
    except (TypeError, ValueError, KeyError) as error:
        raise ModelError(f"card {str(path)!r}: a field is missing or wrong: {error}") from error
