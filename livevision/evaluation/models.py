"""Scores of a model on labelled pictures, run as on video.

scores = livevision.evaluate(livevision.load("thundernet-snet49"), "data/voc12")
scores.figures["AP50"], scores.by_class["AP50"]["cat"]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from livevision.datasets import BoxSample, ClassMapSample, ClassSample, DataEntry, DataSet
from livevision.datasets.opening import open_dataset
from livevision.errors import UsageError
from livevision.inference.across_classes import one_class_each
from livevision.scoring.average_precision import Found, check_installed, score_boxes
from livevision.scoring.coarse import found_as_coarse
from livevision.scoring.confusion import ConfusionMatrix, mean_of_known
from livevision.scoring.matching import Matches
from livevision.scoring.top_k import TopK

if TYPE_CHECKING:
    from livevision.models.model import Model

ByClass = dict[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a model on a data set, shares of 1; NaN for classes that do not occur.

    Attributes:
        model: Name of the model.
        task: "detect", "segment" or "classify".
        data: Folder and split.
        pictures: Number of pictures.
        labels: Class names of the model, and behind them the coarse classes of the data set.
        figures: For all classes together. For detection AP (over IoUs from 0.5 to 0.95), AP50, and
            precision and recall of the boxes with a score of at least `conf`; for segmentation
            mIoU and pixel_accuracy; for classification top1 and top5. Means are over the classes
            that occur and are marked in the data set.
        by_class: Figures by name, then by class.
        counts: Number per class name: objects for detection, pixels or pictures otherwise.
        confusion: int64, by true class (row) and predicted class (column); for detection at `conf`,
            with a last row of false positives and a last column of misses.
        curves: For detection, classes × 101: precision at recalls 0, 0.01 .. 1 and an IoU of 0.5.
        engine: Engine, device and precision.
        input_size: (width, height) of the net's input in pixels.
        conf: Minimum score of boxes in precision, recall and confusion.
        seconds: Duration without loading.
    """

    model: str
    task: str
    data: str
    pictures: int
    labels: list[str]
    figures: dict[str, float]
    by_class: dict[str, dict[str, float]]
    counts: dict[str, int]
    confusion: npt.NDArray[np.int64] = field(repr=False)
    curves: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    engine: str = ""
    input_size: tuple[int, int] = (0, 0)
    conf: float | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The value of ``--json``: figures rounded to 5 places, None for unknown ones."""
        return {
            "model": self.model,
            "task": self.task,
            "data": self.data,
            "pictures": self.pictures,
            "engine": self.engine,
            "input_size": list(self.input_size),
            **({} if self.conf is None else {"conf": self.conf}),
            "scores": {name: _rounded(value) for name, value in self.figures.items()},
            "classes": {
                label: {
                    **{name: _rounded(row[label]) for name, row in self.by_class.items()},
                    _COUNTED[self.task]: self.counts[label],
                }
                for label in self.labels
            },
            "seconds": round(self.seconds, 2),
        }


_COUNTED = {"detect": "objects", "segment": "pixels", "classify": "pictures"}


def evaluate(
    model: Model | str,
    data: DataSet | DataEntry | Mapping[str, Any] | str | Path,
    *,
    split: str | None = None,
    conf: float = 0.25,
    root: str | Path | None = None,
    progress: bool | None = False,
) -> Evaluation:
    """Run a model on every picture of a data set and score the results.

    Each picture is processed like a frame of video, with the same engine, resizing and NMS. Average
    precision uses boxes of any score, and of several classes on one object. Precision, recall and
    confusion use the boxes that a run shows: one per object, unless the model was loaded with
    ``class_agnostic=False``. Classes of the model that the data set does not mark are not scored;
    no mean includes them.

    Args:
        model: From ``livevision.load``, or a name for it.
        data: A folder, a data.yaml, a COCO file or a zip; a mapping with a path and renamed
            classes; or an open data set with the model's labels.
        split: Overrides that of the data; default: "val".
        conf: Minimum score of boxes in precision and recall, 0..1.
        root: Base folder of a relative path; default: the current one.
        progress: Show a bar on standard error: True, False, or None for only on a terminal.

    Raises:
        UsageError: A setting is invalid, or the classes do not match.
        DataError: The data are missing or broken; the message has file and line.
        ModelError: The model cannot be loaded, or faster-coco-eval is not installed.
    """
    if isinstance(model, str):
        from livevision.models.loading import load

        model = load(model)
    if not 0 <= conf <= 1:
        raise UsageError(f"conf is {conf}; it takes a number from 0 to 1")
    if model.task == "detect":
        check_installed()
    opened = _opened(model, data, split, None if root is None else Path(root))
    model.open()
    begin = time.perf_counter()
    seen = _with_progress(opened.samples, progress)
    runs: dict[str, Callable[..., _Scored]] = {
        "detect": _detection,
        "segment": _segmentation,
        "classify": _classification,
    }
    scored = runs[model.task](model, opened, seen, conf)
    spec = model.engine_spec
    assert spec is not None
    names = [*model.labels, *(f"any {name}" for name in opened.coarse)]
    return Evaluation(
        model=model.name,
        task=model.task,
        data=opened.name,
        pictures=len(opened),
        labels=names,
        figures=scored.figures,
        by_class={
            name: dict(zip(names, map(float, values), strict=True))
            for name, values in scored.by_class.items()
        },
        counts=dict(zip(names, map(int, scored.counts), strict=True)),
        confusion=scored.confusion,
        curves=scored.curves,
        engine=str(spec),
        input_size=(spec.inputs["image"].shape[2], spec.inputs["image"].shape[1]),
        conf=conf if model.task == "detect" else None,
        seconds=time.perf_counter() - begin,
    )


@dataclass(frozen=True)
class _Scored:
    """The scores of a task."""

    figures: dict[str, float]
    by_class: ByClass
    counts: npt.NDArray[np.int64]
    confusion: npt.NDArray[np.int64]
    curves: npt.NDArray[np.float64] | None = None


def _opened(model: Model, data: Any, split: str | None, root: Path | None) -> DataSet:
    if isinstance(data, DataSet):
        if data.kind != model.task or data.labels != list(model.labels):
            raise UsageError(
                f"{data.name} was opened for the task {data.kind} and {len(data.labels)} classes; "
                f"open it with kind={model.task!r} and labels=model.labels"
            )
        return data
    entry = DataEntry.of(data)
    if split is not None:
        entry = DataEntry(**{**vars(entry), "split": split})
    return open_dataset(entry, root, cast(Any, model.task), model.labels)


def _with_progress(samples: Sequence[Any], progress: bool | None) -> Any:
    if progress is False:
        return samples
    from tqdm import tqdm

    return tqdm(samples, unit="picture", disable=None if progress is None else False)


def _bgr(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A data set's RGB picture as BGR, for models."""
    return np.ascontiguousarray(image[..., ::-1])


def _of_marked(values: npt.NDArray[np.float64], data: DataSet) -> npt.NDArray[np.float64]:
    """The values, NaN for classes that the data set does not mark."""
    marked = np.isin(np.arange(len(values)), list(data.marked))
    return np.where(marked, values, np.nan)


def _detection(model: Model, data: DataSet, samples: Sequence[BoxSample], conf: float) -> _Scored:
    """Average precision, and precision and recall at `conf`."""
    found = []
    matches = Matches(len(model.labels), conf)
    for sample in samples:
        boxes = model(_bgr(sample.read()), conf=0.0, class_agnostic=False)
        kept = np.flatnonzero(np.isin(boxes.class_id, list(data.marked)))
        found.append(Found(boxes.xyxy[kept], boxes.confidence[kept], boxes.class_id[kept]))
        if model.class_agnostic:
            kept = kept[np.argsort(-boxes.confidence[kept], kind="stable")]
            kept = kept[one_class_each(boxes.xyxy[kept], boxes.class_id[kept])]
        shown = Found(boxes.xyxy[kept], boxes.confidence[kept], boxes.class_id[kept])
        matches.add(sample, shown)
    scores = score_boxes(cast(Any, data.samples), found, model.labels)
    figures = {
        "AP": mean_of_known(scores.ap),
        "AP50": mean_of_known(scores.ap50),
        "precision": matches.total_precision(),
        "recall": matches.total_recall(),
    }
    by_class = {
        "AP": scores.ap,
        "AP50": scores.ap50,
        "precision": matches.precision(),
        "recall": matches.recall(),
    }
    return _Scored(figures, by_class, matches.asked, matches.confusion, scores.precision)


def _segmentation(
    model: Model, data: DataSet, samples: Sequence[ClassMapSample], _: float
) -> _Scored:
    """Intersection over union and pixel accuracy, from one matrix over all pictures."""
    count, groups = len(model.labels), list(data.coarse.values())
    matrix = ConfusionMatrix(count + len(groups))
    singly = frozenset(range(count)) & set(cast(ClassMapSample, data.samples[0]).meaning.tolist())
    for sample in samples:
        image, labels = sample.read()
        found = model(_bgr(image)).class_map
        if groups:
            found = found_as_coarse(found, labels, count, groups, singly)
        matrix.add(found, labels)
    iou = matrix.iou()
    iou[:count] = _of_marked(iou[:count], data)
    figures = {"mIoU": mean_of_known(iou), "pixel_accuracy": matrix.pixel_accuracy()}
    by_class = {"IoU": iou, "accuracy": matrix.recall()}
    return _Scored(figures, by_class, matrix.counts.sum(1), matrix.counts)


def _classification(
    model: Model, data: DataSet, samples: Sequence[ClassSample], _: float
) -> _Scored:
    """Shares of pictures whose class is the first guess, and among the first five."""
    matrix = ConfusionMatrix(len(model.labels))
    guesses = TopK(5)
    for sample in samples:
        label = model(_bgr(sample.read()))
        guesses.add(label.class_id, sample.class_id)
        matrix.add([label.class_id[0]], [sample.class_id])
    figures = {"top1": guesses.top1(), "top5": guesses.top_k()}
    return _Scored(figures, {"top1": matrix.recall()}, matrix.counts.sum(1), matrix.counts)


def write_plots(scores: Evaluation, folder: Path) -> None:
    """Write plots as PNG: `classes.png`, `confusion.png`, for detectors `precision_recall.png`.

    Raises:
        OSError: The folder cannot be created or written to.
    """
    from livevision.training.plots import plot_scores
    from livevision.training.scores import Scores

    folder.mkdir(parents=True, exist_ok=True)
    mains = {"detect": ("AP50", "AP50"), "segment": ("mIoU", "IoU"), "classify": ("top1", "top1")}
    main, by = mains[scores.task]
    by_class = np.array(list(scores.by_class[by].values()))
    plot_scores(
        folder,
        Scores(main, scores.figures, by, by_class, scores.data, scores.confusion, scores.curves),
        scores.labels,
    )


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 5)
