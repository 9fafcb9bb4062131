"""A model: an engine and its task as one callable; `loading` creates it."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Self, cast

import numpy as np
from typing_extensions import TypeVar

from livevision import registry
from livevision.errors import ModelError, UsageError
from livevision.frame import Batch, Image, LiveSettings, Placement
from livevision.inference.model_files import ModelFiles
from livevision.models.catalog import ModelCard
from livevision.models.foreign.task import DecodedTask
from livevision.models.precision import settle, stated_agreement
from livevision.preprocess.fit import make_fit
from livevision.protocols import Engine, EngineSpec, Overlapping, Pending, Task
from livevision.results import Result

if TYPE_CHECKING:
    from livevision.inference.agreement import Agreement

_log = logging.getLogger(__name__)

R = TypeVar("R", default=Any)

_SETTINGS_KEPT = 64  # cached tasks, by settings of sources and their recent changes


class Model(Generic[R]):
    """A net with its weights, engine and task; call it with an image.

    The first call loads the net, as ``open`` does. Use it from one thread at a time.

    Attributes:
        name: As ``--model`` takes it.
        task: "detect", "segment" or "classify".
        labels: Class names.
        card: The model's card.
    """

    def __init__(
        self,
        card: ModelCard,
        files: ModelFiles,
        task_settings: Mapping[str, Any],
        engine: tuple[str, str, str],
        untrained: bool = False,
        threads: int | None = None,
        name: str | None = None,
    ) -> None:
        self.card = card
        self.name = name or card.name
        self.task = card.task
        self.labels = list(card.labels)
        self._files = files
        self._settings = dict(task_settings)
        self._engine_name, self._device, self._precision = engine
        self._untrained = untrained
        self._threads = threads
        self._engine: Engine | None = None
        self._spec: EngineSpec | None = None
        self._several: Engine | None = None
        self._job = self._make_task()
        self._jobs: dict[tuple[Any, ...], Task] = {}

    @property
    def files(self) -> ModelFiles:
        """The files that the engine opens, with the input size."""
        return self._files

    @property
    def class_agnostic(self) -> bool:
        """Whether only one of overlapping boxes of different classes is kept."""
        return bool(self._settings.get("class_agnostic", True))

    @property
    def engine_name(self) -> str:
        """Name of the engine, whether or not it is open."""
        return self._engine_name

    @property
    def reads(self) -> str:
        """Which of the files the engine reads: "weights" or "graph"."""
        return registry.resolve(registry.ENGINES, self._engine_name, "engine").reads

    @property
    def needs_graph(self) -> bool:
        """Whether ``open`` needs an exported graph, made now or cached."""
        return self.reads == "graph" and self._files.graph is None

    def at(self, files: ModelFiles) -> Model:
        """The same model with other files, such as those of another input size; not open."""
        engine = (self._engine_name, self._device, self._precision)
        return Model(
            self.card, files, self._settings, engine, self._untrained, self._threads, self.name
        )

    def renamed(self, name: str) -> Model:
        """The same model under another name, to avoid a duplicate; not open."""
        model = self.at(self._files)
        model.name = name
        return model

    @property
    def engine_spec(self) -> EngineSpec | None:
        """Inputs and outputs of the engine, and where it computes.

        None before the net is first opened; kept after it is closed, for the report of a run.
        """
        return self._spec

    @property
    def agreement(self) -> Agreement | None:
        """Agreement of a lower-precision graph with fp32; None for fp32 or if unknown."""
        from livevision.inference.agreement import Agreement

        text = self._files.agreement
        if self._lowered:
            return Agreement.from_json(text) if text else None
        if (self._engine_name, self._precision) == ("openvino", "bf16") and not self._own:
            return stated_agreement(self.card, "bf16")
        return None

    @property
    def _lowered(self) -> bool:
        """Whether the graph runs in its file's own lower precision."""
        made_for = self._files.precision
        return made_for != "fp32" and not (made_for == "bf16" and self._precision == "fp32")

    @property
    def _own(self) -> bool:
        """Whether the weights are other than the card's."""
        files, card = self._files, self.card
        return files.weights != card.weights or (files.weights is None and files.graph is None)

    def _settle(self) -> None:
        """Choose the precision if it is "auto", and log it."""
        where = (self._engine_name, self._device)
        plain = self._files.precision == "fp32" and not self._files.outputs
        if self._precision == "auto" and where == ("openvino", "cpu") and plain:
            settled = settle(self.card, self._files, self._own)
            self._precision, self._files = settled.precision, settled.files
            if settled.agreement is not None:
                _log.info(
                    "%s in %s, the fastest precision that agrees with fp32: %s",
                    *(self.name, settled.precision, settled.agreement),
                )
            return
        if self._lowered or self.agreement is not None:
            agreement = self.agreement or "agreement with fp32 unknown"
            precision = self._files.precision if self._lowered else self._precision
            _log.info("%s in %s: %s", self.name, precision, agreement)
        elif self._files.outputs and self._precision not in ("auto", "fp32"):
            agreement = f"{self.name} in {self._precision}: agreement with fp32 unknown"
            _log.info(agreement)
        elif (self._engine_name, self._precision) == ("openvino", "bf16"):
            _log.info(
                "%s in bf16: agreement with fp32 unknown; to measure it: livevision export %s "
                "--precision bf16 --check CLIP.mp4 --output FILE.xml",
                self.name,
                self.name if self.card.decoder is None else f"{self.name}.onnx",
            )

    @property
    def depth(self) -> int:
        """Images to keep in flight with the open net, see ``Overlapping``."""
        return self._engine.depth if isinstance(self._engine, Overlapping) else 1

    @property
    def streams(self) -> int:
        """Images that the open net computes at the same time, see ``Overlapping``."""
        return self._engine.streams if isinstance(self._engine, Overlapping) else 1

    def open(self, overlap: bool = False) -> None:
        """Load the net if necessary. Use the model on the thread that opens it.

        Args:
            overlap: Configure the engine for several images in flight (``start``), where it can.

        Raises:
            ModelError: The weights or the engine cannot be used.
            UsageError: The engine does not have the device or precision here.
        """
        if self._engine is not None:
            return
        if self._files.weights is None and self._files.graph is None:
            _log.warning(
                "model %s runs with random weights, as it has no trained ones: its results are "
                "meaningless",
                self.name,
            )
        self._settle()
        # supervision takes half a second to import, while engines wait for files and compilers.
        waiting = threading.Thread(target=self._warm)
        waiting.start()
        try:
            kind = registry.resolve(registry.ENGINES, self._engine_name, "engine")
            self._engine = kind(
                self._for(kind.reads),
                self._device,
                self._precision,
                self._threads,
                **({"overlap": True} if overlap and hasattr(kind, "start") else {}),
            )
            self._spec = self._engine.spec
        finally:
            waiting.join()

    def close(self) -> None:
        """Unload the net; the next call loads it again."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self.close_together()

    def open_together(self, images: int) -> None:
        """Load the net again, for ``images`` images in one call.

        Raises:
            ModelError: This is not possible: there are no weights, or the graph is of lower
                precision and for one image.
        """
        files = self._files
        stored = files.precision != "fp32" or (files.weights is None and files.graph is not None)
        if stored:
            raise ModelError(
                f"{self.name} is a graph for one image per call; several need .safetensors weights"
            )
        kind = registry.resolve(registry.ENGINES, self._engine_name, "engine")
        several = self.at(replace(files, graph=None, batch=images))
        self._several = kind(several._for(kind.reads), self._device, self._precision, self._threads)

    def close_together(self) -> None:
        """Release what ``open_together`` loaded."""
        if self._several is not None:
            self._several.close()
            self._several = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(
        self, image: Image, settings: LiveSettings | None = None
    ) -> tuple[Batch, Placement]:
        """Resize an image, uint8 H×W×3 BGR, into the net's input.

        ``settings`` override the model's own, here and in ``decode``.
        """
        return self._job_for(settings).prepare(image)

    def infer(self, batch: Batch) -> dict[str, Any]:
        """Run the net on the result of ``prepare``."""
        if self._engine is None:
            self.open()
        assert self._engine is not None
        return self._engine(batch)

    def start(self, batch: Batch) -> Pending:
        """Start what ``infer`` does; the result waits for it, on any thread.

        Only if ``depth`` is above 1.
        """
        assert isinstance(self._engine, Overlapping)
        return self._engine.start(batch)

    def together(self, batches: Sequence[Batch]) -> list[dict[str, Any]]:
        """Results of ``infer`` for several batches of one image, in one call.

        Only for the number of images given to ``open_together``.
        """
        assert self._several is not None
        taken = self._several.spec.inputs
        # Inputs per image are stacked; shared ones are passed once.
        batch = {
            name: np.concatenate([b[name] for b in batches])
            if name == "image"
            else batches[0][name]
            for name in taken
        }
        found = self._several(batch)
        return [{name: a[n : n + 1] for name, a in found.items()} for n in range(len(batches))]

    def decode(
        self,
        outputs: Mapping[str, Any],
        placement: Placement,
        settings: LiveSettings | None = None,
    ) -> Result:
        """Convert the result of ``infer`` to the image's own pixels."""
        return self._job_for(settings).decode(outputs, placement)

    def __call__(
        self,
        image: Image,
        conf: float | None = None,
        iou: float | None = None,
        classes: Sequence[str | int] | None = None,
        class_agnostic: bool | None = None,
    ) -> Any:
        """Run the net on one image.

        Args:
            image: uint8, H×W×3, BGR, as ``cv2.imread`` gives it.
            conf: Minimum score of a box, 0..1; this and the others default to the loaded values.
            iou: IoU above which the weaker of two boxes of a class is dropped, 0..1.
            classes: Names or numbers of the classes to keep.
            class_agnostic: True keeps the strongest of boxes of different classes on one object.

        Returns:
            ``sv.Detections`` or ``ClassMap``, in the image's own pixels, or ``Label``.

        Raises:
            UsageError: The image is not such an array, or a value is not allowed.
            ModelError: The net cannot be loaded.
        """
        image = _checked(image)
        given = {"conf": conf, "iou": iou, "classes": classes, "class_agnostic": class_agnostic}
        changes = {name: value for name, value in given.items() if value is not None}
        job = self._make_task(**changes) if changes else self._job
        batch, placement = job.prepare(image)
        return cast(R, job.decode(self.infer(batch), placement))

    def _job_for(self, settings: LiveSettings | None) -> Task:
        """The task with current settings; classes that the model does not have are ignored."""
        if settings is None or self.task != "detect":
            return self._job
        chosen = settings.conf, settings.iou, settings.classes
        job = self._jobs.get(chosen)
        if job is None:
            changes: dict[str, Any] = {"conf": settings.conf, "iou": settings.iou, "classes": None}
            if settings.classes:
                from livevision.inference.detect import own_classes

                changes["classes"] = own_classes(settings.classes, self.labels)
            if len(self._jobs) >= _SETTINGS_KEPT:
                self._jobs = {}
            job = self._jobs[chosen] = self._make_task(**changes)
        return job

    def _for(self, reads: str) -> ModelFiles:
        """The files with the one that an engine reads, exported now if necessary."""
        files = self._files
        if reads == "graph" and files.graph is not None:
            return files
        if files.weights is None and not self._untrained:
            width, height = files.input_size
            raise ModelError(
                f"{self.name} at {width}x{height} on the engine {self._engine_name} needs a "
                ".safetensors file, and there is only a graph for "
                f"{self.card.input_size[0]}x{self.card.input_size[1]}; give --weights FILE"
            )
        if reads == "weights":
            return files
        from livevision.models.export import cached_graph

        return replace(files, graph=cached_graph(files, self.card))

    def _make_task(self, **changes: Any) -> Task:
        settings = {**self._settings, **changes}
        fit = make_fit(self.card.fit, self._files.input_size, self.card.fill)
        if self.task != "detect":
            if settings.get("classes"):
                segments = self.task == "segment"
                raise UsageError(
                    f"model {self.name} gives "
                    + ("a class for every pixel" if segments else "the classes of a whole image")
                    + "; classes can be chosen for detection only"
                )
            settings = {}
        kind = registry.resolve(registry.TASKS, self.task, "task")
        task = kind(self.labels, fit, **settings)
        if self.card.decoder is None or not self._files.outputs:
            return task
        return DecodedTask(task, self.card.decoder)

    def _warm(self) -> None:
        module = importlib.import_module(registry.TASKS[self.task].partition(":")[0])
        if hasattr(module, "warm"):
            module.warm()


def _checked(image: Any) -> Image:
    """The image, after checking it.

    Raises:
        UsageError: It is not uint8, H×W×3.
    """
    if not isinstance(image, np.ndarray):
        raise UsageError(
            f"the image is a {type(image).__name__}; it takes a numpy array, uint8 H×W×3 BGR, "
            "such as cv2.imread returns (None if it cannot read the file)"
        )
    shape = "×".join(map(str, image.shape))
    if image.dtype != np.uint8:
        raise UsageError(f"the image is {image.dtype.name} {shape}; it takes uint8, values 0..255")
    ways = {1: "GRAY2BGR", 3: "", 4: "BGRA2BGR"}
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in ways or 0 in image.shape:
        raise UsageError(f"the image is uint8 {shape}; it takes H×W×3, BGR")
    if channels != 3 or image.ndim != 3:
        raise UsageError(
            f"the image is uint8 {shape}; it takes H×W×3, BGR: "
            f"cv2.cvtColor(image, cv2.COLOR_{ways[channels]})"
        )
    return np.ascontiguousarray(image)
