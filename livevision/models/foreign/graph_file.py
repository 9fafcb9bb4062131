"""A third-party graph file: its inputs, outputs and metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livevision.errors import ModelError

LARGEST = 2 * 1024**3
"""Maximum size in bytes: protobuf reads no larger message."""

_PIXELS = ("float32", "float16", "uint8")
_SIZES = ("orig_target_sizes", "orig_target_size", "target_sizes", "orig_sizes")
"""Names of an input of the DETR family: width and height that the boxes refer to."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: name, shape with None for dynamic lengths, and numpy's name of its dtype.

    ``shape`` is None if the number of dimensions is unknown.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str

    def __str__(self) -> str:
        shape = "?" if self.shape is None else "×".join(str(n or "?") for n in self.shape)
        return f"{self.name} {self.dtype} {shape}"


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A graph with one image as its input.

    Attributes:
        path: The file.
        model: An ``onnx.ModelProto``, or an ``openvino.Model``.
        image: The input for the image.
        layout: "NCHW", "NHWC", or "CHW" without a batch.
        size: (width, height) of the image, None for dynamic lengths.
        sizes: The input for a width and a height, or None.
        outputs: The outputs.
        metadata: The file's metadata.
    """

    path: Path
    model: Any
    image: Port
    layout: str
    size: tuple[int | None, int | None]
    sizes: Port | None
    outputs: tuple[Port, ...]
    metadata: dict[str, str]

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(width, height) of the image; None if dynamic."""
        width, height = self.size
        return (width, height) if width and height else None


def read_graph(path: Path) -> GraphFile:
    """Read an ONNX file and find its image input.

    Raises:
        ModelError: It is not an ONNX file, has other inputs than an image, or has unknown
            operators.
    """
    model = _load(path)
    _check_operators(path, model)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [port_of(i) for i in model.graph.input if i.name not in constants]
    outputs = tuple(port_of(o) for o in model.graph.output)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return image_graph(path, model, inputs, outputs, metadata)


def image_graph(
    path: Path, model: Any, inputs: list[Port], outputs: tuple[Port, ...], metadata: dict[str, str]
) -> GraphFile:
    """A graph, with its image found among its inputs.

    Raises:
        ModelError: It has other inputs than one image.
    """
    images = [p for p in inputs if p.shape is None or len(p.shape) in (3, 4)]
    others = [p for p in inputs if p not in images]
    sizes = next((p for p in others if _takes_sizes(p)), None)
    listed = ", ".join(map(str, inputs)) or "nothing"
    if len(images) != 1 or any(p is not sizes for p in others):
        raise ModelError(f"{str(path)!r} takes {listed}; livevision gives a graph only one image")
    image = images[0]
    if image.shape is None:
        raise ModelError(
            f"{str(path)!r}: its input {image.name!r} has no fixed number of dimensions; export it "
            "with a shape such as 1×3×H×W"
        )
    if image.dtype not in _PIXELS:
        raise ModelError(
            f"{str(path)!r} takes images in {image.dtype}; livevision gives {', '.join(_PIXELS)}"
        )
    layout = _layout(path, image)
    batch = image.shape[0] if layout != "CHW" else None
    if batch not in (None, 1):
        raise ModelError(f"{str(path)!r} takes {batch} images a call; export it for one")
    height, width = {
        "NCHW": image.shape[2:], "NHWC": image.shape[1:3], "CHW": image.shape[1:]
    }[layout]  # fmt: skip
    return GraphFile(path, model, image, layout, (width, height), sizes, outputs, metadata)


def _takes_sizes(port: Port) -> bool:
    whole = port.dtype in ("int64", "int32", "float32")
    return port.name in _SIZES and whole and port.shape is not None and port.shape[-1:] == (2,)


def has_parts(path: Path) -> bool:
    """Whether an ONNX file has weights in separate files."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    return any(map(onnx.external_data_helper.uses_external_data, model.graph.initializer))


def _load(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise ModelError(f"model {str(path)!r}: no such file")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(4)
        if size == 0:
            raise ModelError(f"{str(path)!r} is empty")
        if start[:1] == b"\x80" or start == b"PK\x03\x04":
            raise ModelError(
                f"{str(path)!r} is not an ONNX file but a pickle or an archive, which can run any "
                "code when it is opened; export the model to ONNX"
            )
        if size >= LARGEST:
            raise ModelError(
                f"{str(path)!r} has {size / 1e9:.1f} GB; an ONNX file has less than 2 GB, and "
                "larger weights must be in separate files"
            )
        model = onnx.load(path)
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise ModelError(f"{str(path)!r}: not an ONNX file, or cut short ({first})") from error
    if model.ByteSize() >= LARGEST:
        raise ModelError(
            f"{str(path)!r} has {model.ByteSize() / 1e9:.1f} GB of weights in separate files; "
            "livevision reads less than 2 GB"
        )
    if not model.graph.node:
        raise ModelError(f"{str(path)!r}: not an ONNX file, or cut short (it has no nodes)")
    return model


def _check_operators(path: Path, model: Any) -> None:
    import onnx

    versions = {entry.domain: entry.version for entry in model.opset_import}
    own = {(f.domain, f.name) for f in model.functions}
    newest = onnx.defs.onnx_opset_version()
    for node in model.graph.node:
        if (node.domain, node.op_type) in own or node.domain == "com.microsoft":
            continue
        if node.domain in ("", "ai.onnx", "ai.onnx.ml"):
            version = versions.get(node.domain, versions.get("", 0))
            if version > newest or onnx.defs.has(
                node.op_type,
                version,
                node.domain.removeprefix("ai.onnx") if node.domain == "ai.onnx" else node.domain,
            ):
                continue
        name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        raise ModelError(
            f"{str(path)!r} has the operator {name}, which is not one of ONNX's; no engine here "
            "computes it: export the model without it"
        )


def port_of(value: Any) -> Port:
    """An input or output of an ONNX graph."""
    import onnx

    tensor = value.type.tensor_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
    except (KeyError, ValueError, TypeError):
        dtype = "no tensor"
    if not tensor.HasField("shape"):
        return Port(value.name, None, dtype)
    shape = tuple(
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
        for d in tensor.shape.dim
    )
    return Port(value.name, shape, dtype)


def _layout(path: Path, image: Port) -> str:
    shape = image.shape or ()
    if len(shape) == 3 and shape[0] == 3:
        return "CHW"
    if len(shape) == 4 and shape[1] == 3:
        return "NCHW"
    if len(shape) == 4 and shape[3] == 3:
        return "NHWC"
    if len(shape) == 4 and shape[1] is None and shape[3] is None:
        return "NCHW"
    raise ModelError(
        f"{str(path)!r} takes {image}; an image has three channels: N×3×H×W or N×H×W×3"
    )
