"""The description of a third-party graph: its input and outputs, from the graph or a YAML file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from livevision.errors import ModelError, unknown

KEYS = (
    *("output", "input_size", "colour", "mean", "std", "fit", "fill", "resize", "labels"),
    "licence",
)
_NEEDED = KEYS[:6]

_EXAMPLE: Mapping[str, Any] = {
    "output": "yolox",
    "input_size": [640, 640],
    "colour": "RGB",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "fit": "letterbox",
    "fill": 114,
    "labels": "coco80",
}


@dataclass(frozen=True, slots=True)
class Description:
    """The input and outputs of a graph.

    Attributes:
        output: Kind of output, such as "yolox" or "logits".
        input_size: (width, height) in pixels.
        colour: Order of the input's channels, "RGB" or "BGR".
        mean, std: In this order, on the scale 0..255; the input is (pixel - mean) / std.
        fit: How the image is fitted into the input, see ``preprocess.fit``.
        fill: Value of a letterbox's padding, 0..255.
        resize: How images are resized, see ``preprocess.fit``.
        labels: A set's name, a file, a list of names, or None if unknown.
        licence: Licence of the weights, or "unknown".
    """

    output: str
    input_size: tuple[int, int]
    colour: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: str
    fill: int = 114
    resize: str = "smooth"
    labels: str | tuple[str, ...] | None = None
    licence: str = "unknown"

    def to_yaml(self) -> str:
        """The description as YAML."""
        values = {key: getattr(self, key) for key in KEYS}
        plain = {
            k: list(v) if isinstance(v, tuple) else v for k, v in values.items() if v is not None
        }
        return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


def description_path(path: Path) -> Path:
    """The path of a graph's YAML description."""
    return path.with_suffix(".yaml")


def read_fields(path: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """``known``, updated by the YAML description if there is one.

    Raises:
        ModelError: It cannot be read, or has an unknown key.
    """
    file = description_path(path)
    if not file.is_file():
        return dict(known)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = " ".join(str(error).split())
        raise ModelError(f"{str(file)!r} cannot be read: {first}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{str(file)!r} has no keys; {example(known)}")
    for key in content:
        if key not in KEYS:
            raise ModelError(f"{str(file)!r}: {unknown('key', str(key), KEYS)}")
    return {**known, **content}


def described(path: Path, fields: Mapping[str, Any], outputs: Mapping[str, Any]) -> Description:
    """The description of a graph from its fields.

    Args:
        path: The graph, for messages.
        fields: Known values by key.
        outputs: The kinds of output.

    Raises:
        ModelError: A field is missing or wrong.
    """
    missing = missing_fields(fields)
    if missing:
        raise ModelError(
            f"{str(path)!r} does not contain its {', '.join(missing)}; add them to "
            f"{str(description_path(path))!r}, {example(fields)}"
        )
    kind, colour = str(fields["output"]), str(fields["colour"]).upper()
    file = str(description_path(path))
    if kind not in outputs:
        raise ModelError(f"{file!r}: {unknown('output', kind, outputs)}")
    if colour not in ("RGB", "BGR"):
        raise ModelError(f"{file!r}: {unknown('colour', colour, ('RGB', 'BGR'))}")
    from livevision.preprocess.fit import FITS, RESIZES

    fit, resize = str(fields["fit"]), str(fields.get("resize") or "smooth")
    for key, value, known in (("fit", fit, FITS), ("resize", resize, RESIZES)):
        if value not in known:
            raise ModelError(f"{file!r}: {unknown(key, value, known)}")
    try:
        mean, std = (tuple(float(v) for v in fields[key]) for key in ("mean", "std"))
        width, height = (int(v) for v in _pair(fields["input_size"]))
        fill = int(fields.get("fill", 114))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{file!r}: input_size takes two numbers, mean and std three, fill one; {example({})}"
        ) from error
    if len(mean) != 3 or len(std) != 3 or min(std) <= 0 or not 0 <= fill <= 255:
        raise ModelError(
            f"{file!r}: mean and std take three numbers, those of std above 0, and "
            f"fill 0 to 255; {example({})}"
        )
    if max(std) < 1:
        raise ModelError(
            f"{file!r}: std is {list(std)}; mean and std are on the scale 0..255 "
            f"here, so multiply them by 255: std {[round(v * 255, 3) for v in std]}"
        )
    labels = fields.get("labels")
    if isinstance(labels, list | tuple):
        labels = tuple(map(str, labels))
    elif labels is not None and not isinstance(labels, str):
        raise ModelError(f"{file!r}: labels takes a list, a set's name or a file")
    if isinstance(labels, str) and (path.parent / labels).is_file():
        labels = str(path.parent / labels)
    licence = str(fields.get("licence") or "unknown")
    size = (width, height)
    return Description(kind, size, colour, mean, std, fit, fill, resize, labels, licence)


def missing_fields(fields: Mapping[str, Any]) -> list[str]:
    """The required keys that are missing."""
    return [key for key in _NEEDED if fields.get(key) is None]


def unfinished(known: Mapping[str, Any], missing: Sequence[str], labels: str | None) -> str:
    """A YAML description with the known values, and examples of the rest as comments."""
    given = {k: list(v) if isinstance(v, tuple) else v for k, v in known.items() if v is not None}
    if labels is not None:
        given["labels"] = labels
    text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True) if given else ""
    examples = "".join(f"# {key}: {_flow(_EXAMPLE[key])}\n" for key in missing)
    return f"{text}# Fill these in; mean and std are on the scale 0..255:\n{examples}"


def example(known: Mapping[str, Any]) -> str:
    """An example of a description as one line of YAML, with the known values."""
    filled = {**_EXAMPLE, **{k: v for k, v in known.items() if v is not None and k in _EXAMPLE}}
    if isinstance(filled["labels"], list | tuple) and len(filled["labels"]) > 3:
        filled["labels"] = "coco80"
    values = ", ".join(f"{k}: {_flow(v)}" for k, v in filled.items())
    return f"for example: {{{values}}}"


def _flow(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value).strip('"')


def _pair(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower().replace("×", "x").split("x")
    return (value, value) if isinstance(value, int) else value
