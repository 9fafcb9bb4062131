"""Loading of models by name or from a file, typed so that editors know the results.

model = livevision.load("thundernet-snet49")
detections = model(image)                  # uint8 H×W×3 BGR -> sv.Detections
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from livevision import registry
from livevision.errors import UsageError
from livevision.inference.description import GRAPHS
from livevision.inference.select import choose_engine
from livevision.models.choice import card_of, files_of, graph_file, in_int8
from livevision.models.model import Model
from livevision.results import ClassMap, Label

if TYPE_CHECKING:
    import supervision as sv

Detector: TypeAlias = Literal[
    "light-head-s",
    "thundernet-mobilenetv2",
    "thundernet-snet146",
    "thundernet-snet49",
    "thundernet-snet535",
]
"""Shipped detectors."""

Segmenter: TypeAlias = Literal[
    "bisenet-mobilenetv2-camvid",
    "bisenet-mobilenetv2-person",
    "bisenet-mobilenetv2-voc",
    "bisenet-xception39-camvid",
    "dfanet-a-camvid",
    "dfanet-b-camvid",
]
"""Shipped segmenters."""

Classifier: TypeAlias = Literal["mobilenetv2-tiny-imagenet", "shufflenetv2-1.0-tiny-imagenet"]
"""Shipped classifiers."""


@overload
def load(
    name: Detector,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    weights: str | Path | None = None,
    labels: str | Path | None = None,
    imgsz: tuple[int, int] | int | None = None,
    conf: float = 0.25,
    iou: float = 0.5,
    max_det: int = 100,
    classes: Sequence[str | int] | None = None,
    class_agnostic: bool = True,
    untrained: bool = False,
    threads: int | None = None,
) -> Model[sv.Detections]: ...


@overload
def load(
    name: Segmenter,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    weights: str | Path | None = None,
    labels: str | Path | None = None,
    imgsz: tuple[int, int] | int | None = None,
    conf: float = 0.25,
    iou: float = 0.5,
    max_det: int = 100,
    classes: Sequence[str | int] | None = None,
    class_agnostic: bool = True,
    untrained: bool = False,
    threads: int | None = None,
) -> Model[ClassMap]: ...


@overload
def load(
    name: Classifier,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    weights: str | Path | None = None,
    labels: str | Path | None = None,
    imgsz: tuple[int, int] | int | None = None,
    conf: float = 0.25,
    iou: float = 0.5,
    max_det: int = 100,
    classes: Sequence[str | int] | None = None,
    class_agnostic: bool = True,
    untrained: bool = False,
    threads: int | None = None,
) -> Model[Label]: ...


@overload
def load(
    name: str | Path | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    weights: str | Path | None = None,
    labels: str | Path | None = None,
    imgsz: tuple[int, int] | int | None = None,
    conf: float = 0.25,
    iou: float = 0.5,
    max_det: int = 100,
    classes: Sequence[str | int] | None = None,
    class_agnostic: bool = True,
    untrained: bool = False,
    threads: int | None = None,
) -> Model[Any]: ...


def load(
    name: str | Path | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    *,
    weights: str | Path | None = None,
    labels: str | Path | None = None,
    imgsz: tuple[int, int] | int | None = None,
    conf: float = 0.25,
    iou: float = 0.5,
    max_det: int = 100,
    classes: Sequence[str | int] | None = None,
    class_agnostic: bool = True,
    untrained: bool = False,
    threads: int | None = None,
) -> Model[Any]:
    """Create a model by name or file. ``Model.open`` or the first call loads the net.

    Args:
        name: A model that ``livevision models`` lists, or the path of an ONNX file, also of other
            projects. Not needed if ``weights`` is a graph, whose description has the name.
        engine: "auto", "tensorrt", "openvino", "onnx", "onnx-tensorrt" or "torch".
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "fp32", "fp16", "bf16", or "int8" if ``livevision export`` has made such a file
            of the model; "auto" is the fastest one that is known to agree with fp32.
        weights: A .safetensors file for the model's net, or a graph (.onnx, .xml or .engine) that
            ``livevision export`` wrote, instead of the shipped ones.
        labels: Class names of an ONNX file of another project: "coco80", "coco91", "voc20",
            "voc21", "cityscapes19" or a text file with one a line.
        imgsz: (width, height) of the net's input in pixels, or one side of a square.
        conf: Minimum score of a box, 0..1.
        iou: IoU above which the weaker of two boxes of a class is dropped, 0..1.
        max_det: Maximum boxes per image.
        classes: Names or numbers of the classes to keep; None keeps all. For detection only.
        class_agnostic: True keeps the strongest of boxes of different classes with an IoU over 0.7;
            False keeps all.
        untrained: Use random weights if the model has no trained ones.
        threads: CPU threads; None lets the engine choose.

    Raises:
        UsageError: A name or value is unknown or out of range.
        ModelError: The weights are missing, refused or broken, or a package is not installed.
    """
    own = None if weights is None else Path(weights)
    size = (imgsz, imgsz) if isinstance(imgsz, int) else imgsz
    name = None if name is None else str(name)
    if name is not None and own is None:
        own = graph_file(name)
        name = name if own is None else None
    label_set = None if labels is None else str(labels)
    card = card_of(name, own, label_set)
    if label_set is not None and card.decoder is None:
        raise UsageError(
            f"labels {label_set!r} were given, and model {card.name!r} has its own; labels are for "
            "third-party ONNX files"
        )
    files = files_of(card, own, size, untrained)
    if precision == "int8" and files.outputs:
        raise UsageError(
            f"--precision int8: the outputs of {str(own)!r} must be decoded outside the graph, so "
            "it only runs as it is stored"
        )
    graph = own.suffix if own is not None and own.suffix in GRAPHS else ""
    chosen, place = choose_engine(
        engine, device, precision, registry.ENGINES, graph, files.precision
    )
    if precision == "int8":
        files = in_int8(files, chosen)
    settings = {
        "conf": conf,
        "iou": iou,
        "max_det": max_det,
        "classes": classes,
        "class_agnostic": class_agnostic,
    }
    return Model(card, files, settings, (chosen, place, precision), untrained, threads)
