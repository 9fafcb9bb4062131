"""An engine that builds the net in PyTorch and runs it on the CPU or on a CUDA device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from livevision.errors import ModelError, UsageError
from livevision.frame import Batch
from livevision.inference.batch import check_batch
from livevision.inference.graph import build_graph, example_inputs
from livevision.inference.in_flight import AT_ONCE, Computed, Places
from livevision.inference.model_files import INPUTS, OUTPUTS, ModelFiles
from livevision.protocols import EngineSpec, Pending, TensorSpec

_PRECISIONS = {
    "auto": torch.float32,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}


class TorchEngine:
    """Runs a net with PyTorch, channels last; on CUDA as a CUDA graph if possible.

    Args:
        files: The model; its net is built and its ``weights`` are loaded.
        device: "cpu", "cuda" or "cuda:N".
        precision: "auto" (fp32), "fp32", "bf16" or, on CUDA, "fp16". In the latter two,
            convolutions and products are computed in it; box geometry stays in fp32.
        threads: CPU threads of all of PyTorch in this process; None leaves them unchanged.
        overlap: On CUDA keep ``depth`` batches in flight, each on its own stream.

    Raises:
        UsageError: The device or the precision is not available.
        ModelError: The weights cannot be read or do not fit the net.
    """

    reads: ClassVar[str] = "weights"

    def __init__(
        self,
        files: ModelFiles,
        device: str,
        precision: str,
        threads: int | None = None,
        overlap: bool = False,
    ) -> None:
        self._device = _device(device)
        allowed = [p for p in _PRECISIONS if p != "fp16" or self._device.type == "cuda"]
        if precision not in allowed:
            raise UsageError(
                f"--engine torch does not compute in {precision} on {device}; "
                f"--precision takes: {', '.join(allowed)}"
            )
        self._dtype = _PRECISIONS[precision]
        if threads is not None:
            torch.set_num_threads(threads)
        # The type stubs lack ``to`` with only a memory format.
        graph: Any = build_graph(files)
        if self._dtype is not torch.float32:
            _shorten_weights(graph, self._dtype)
        self._graph = graph.to(self._device).to(memory_format=torch.channels_last)
        self._inputs, self._outputs = INPUTS[files.task], OUTPUTS[files.task]
        examples = example_inputs(files)
        on_gpu = self._device.type == "cuda"
        self.depth = AT_ONCE if overlap and on_gpu else 1
        self.streams = 1  # copies overlap, computation hardly does
        self._places = self._make_places(examples) if on_gpu else None
        arrays = {name: tensor.numpy() for name, tensor in examples.items()}
        self.spec = EngineSpec(
            engine="torch",
            device=str(self._device),
            precision="fp32" if precision == "auto" else precision,
            inputs={name: _spec(array) for name, array in arrays.items()},
            # Only known after a run, which also initialises the net.
            outputs={name: _spec(array) for name, array in self._begin(arrays)().items()},
        )

    def __call__(self, batch: Batch) -> dict[str, Any]:
        return self.start(batch)()

    def start(self, batch: Batch) -> Pending:
        """Start a batch; on a CPU it is computed at once."""
        if self._graph is None:
            raise ModelError("the engine is closed")
        check_batch(batch, self.spec)
        return self._begin(batch)

    def close(self) -> None:
        if self._places is not None:
            self._places.close()
        self._graph = self._places = None

    def _make_places(self, examples: Mapping[str, Tensor]) -> Places:
        from livevision.inference.torch_cuda import CudaLayer, CudaPlace

        layer = CudaLayer(self._device)
        # One batch more than are computed may have been started.
        count = self.depth + 1 if self.depth > 1 else 1
        return Places(lambda: CudaPlace(layer, self._compute, examples, self._outputs), count)

    def _begin(self, batch: Batch) -> Pending:
        if self._places is not None:
            return self._places.start(batch)
        found = self._compute([torch.from_numpy(_writable(batch[n])) for n in self._inputs])
        return Computed({n: t.numpy() for n, t in zip(self._outputs, found, strict=True)})

    # Not inference_mode: nets keep tensors made here, and may be trained later in this process.
    @torch.no_grad()
    def _compute(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The net's outputs, on its device."""
        with self._casting():
            found = self._graph(*inputs)
        return found if isinstance(found, tuple) else (found,)

    def _casting(self) -> AbstractContextManager[Any]:
        """The context for the arithmetic of one call."""
        if self._dtype is not torch.float32:
            return torch.autocast(self._device.type, self._dtype, cache_enabled=False)
        if self._device.type == "cuda":
            # PyTorch would use TF32 for convolutions, which has the mantissa of fp16.
            flags: AbstractContextManager[Any] = torch.backends.cudnn.flags(
                enabled=True, benchmark=True, allow_tf32=False
            )
            return flags
        return nullcontext()


def _shorten_weights(graph: nn.Module, dtype: torch.dtype) -> None:
    """Cast the weights of layers once, instead of in every call."""
    for module in graph.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.to(dtype)


def _device(asked: str) -> torch.device:
    """The device of a name, checked to exist.

    Raises:
        UsageError: It does not exist here.
    """
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UsageError(f"unknown device {asked!r}; known: auto, cpu, cuda, cuda:N") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            built = "has no CUDA" if torch.version.cuda is None else f"finds {count} CUDA devices"
            raise UsageError(
                f"device {asked!r}: the installed PyTorch {torch.__version__} {built}; "
                "use --device cpu, or install a PyTorch with CUDA (https://pytorch.org)"
            )
    elif device.type != "cpu":
        raise UsageError(f"device {asked!r} is not supported; known: auto, cpu, cuda, cuda:N")
    return device


def _writable(array: Any) -> Any:
    """The array, or a copy if it is read-only: PyTorch warns about those, though none writes."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()


def _spec(array: Any) -> TensorSpec:
    return TensorSpec(tuple(array.shape), array.dtype.name)
