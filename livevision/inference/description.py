"""What an exported graph tells about itself: the ``metadata_props`` of its ONNX file.

Read straight from the file's protobuf framing, which is a list of numbered fields, so that a run
needs no ONNX package besides its engine. Every value is text:

==============  ==============================================================
key             value
==============  ==============================================================
livevision      version of livevision that wrote the file
name            the model's name
task            "detect", "segment" or "classify"
net             name of the net
input_size      WIDTHxHEIGHT in pixels
fit             "stretch", "letterbox" or "centre-crop"
colour_order    "BGR"
labels          JSON list of class names
card            JSON object: params, madds, data, score, licence
weights_sha256  hash of the weights file; "" for random weights
==============  ==============================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from livevision.errors import ModelError

_METADATA = 14  # ModelProto.metadata_props; key and value are its fields 1 and 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_description(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, by key.

    Raises:
        ModelError: The file is no ONNX file, or is cut short, or livevision did not write it.
    """
    size = path.stat().st_size
    found: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            while file.tell() < size:
                field, _, end = _field(file, size)
                if field == _METADATA:
                    key, value = _entry(file, end)
                    found[key] = value
                file.seek(end)
    except (ValueError, KeyError) as error:
        raise ModelError(f"{str(path)!r}: not an ONNX file, or cut short ({error})") from error
    if "livevision" not in found:
        raise ModelError(
            f"{str(path)!r} does not tell its task, labels and input size, so it was not written "
            "by 'livevision export'; only such graphs can be run"
        )
    return found


def _field(file: BinaryIO, limit: int) -> tuple[int, int, int]:
    """Number, start and end of the next field's content; leaves the file at its start."""
    tag = _varint(file)
    kind = tag & 7
    if kind == _VARINT:
        start = file.tell()
        _varint(file)
        end = file.tell()
        file.seek(start)
    elif kind in (_FIXED64, _FIXED32):
        start = file.tell()
        end = start + (8 if kind == _FIXED64 else 4)
    elif kind == _BYTES:
        length = _varint(file)
        start = file.tell()
        end = start + length
    else:
        raise ValueError(f"field of kind {kind}")
    if end > limit or not tag >> 3:
        raise ValueError("a field reaches past the end")
    return tag >> 3, start, end


def _entry(file: BinaryIO, end: int) -> tuple[str, str]:
    """Key and value of one entry of the metadata."""
    texts = {1: "", 2: ""}
    while file.tell() < end:
        field, start, stop = _field(file, end)
        texts[field] = file.read(stop - start).decode()
        file.seek(stop)
    return texts[1], texts[2]


def _varint(file: BinaryIO) -> int:
    """The next number: seven bits a byte, least first, the eighth bit set on all but the last."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("the file ends in a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number of more than ten bytes")
