"""The description of an exported graph: its metadata.

An ONNX file stores it as ``metadata_props``, an OpenVINO file as ``rt_info``, and a TensorRT plan
in a .json beside it. Every value is text:

==============  ==============================================================
key             value
==============  ==============================================================
livevision      version of livevision that wrote the file
name            the model's name
task            "detect", "segment" or "classify"
net             name of the net
input_size      WIDTHxHEIGHT in pixels
fit             "stretch", "letterbox" or another of ``preprocess.fit``
fill            of a letterbox: value of the padding pixels, 0..255; default:
                ImageNet's mean colour
colour_order    "BGR"
labels          JSON list of class names
card            JSON object: params, madds, data, score, licence
weights_sha256  hash of the weights file; "" for random weights
precision       "fp32", "fp16" (weights only), "bf16" (arithmetic only) or
                "int8"; default: fp32
gpu             of a plan: the GPU that it runs on
capability      of a plan: the GPU's compute capability, such as "8.7"
tensorrt        of a plan: the TensorRT version that runs it
agreement       of other files than fp32: agreement with fp32, as JSON
                (``agreement.Agreement``); "" if unknown
==============  ==============================================================
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from livevision.errors import ModelError

GRAPHS = (".onnx", ".xml", ".engine", ".tflite")
"""Suffixes of graph files: ONNX; OpenVINO's, beside a ``.bin``; TensorRT plans, beside a
``.json``; and TensorFlow Lite's, which are always third-party."""

GROUP = "livevision"
"""Key of the description in an OpenVINO file's ``rt_info``."""


def read_description(path: Path) -> dict[str, str]:
    """The description in a graph file, by key; needs no OpenVINO to read OpenVINO files.

    Raises:
        ModelError: The file is not a graph, is truncated, or was not written by livevision.
    """
    found = {".xml": _of_openvino, ".engine": _of_tensorrt}.get(path.suffix, _of_onnx)(path)
    if "livevision" not in found:
        raise ModelError(
            f"{str(path)!r} does not tell its task, labels and input size, so it was not written "
            "by 'livevision export'; only such graphs can be run"
        )
    return found


def is_ours(path: Path) -> bool:
    """Whether livevision wrote a graph, or the file cannot be a third party's.

    Raises:
        ModelError: The file exists and cannot be read.
    """
    if path.suffix == ".xml":
        # Also if its weights are missing or it is truncated: the error is the same.
        try:
            return "livevision" in _of_openvino(path)
        except ModelError:
            return True
    if path.suffix != ".onnx":
        return path.suffix != ".tflite"
    # A third-party file may not be ONNX either, or too large to be read.
    try:
        return path.stat().st_size < 2**31 and "livevision" in _of_onnx(path)
    except (ModelError, OSError):
        return False


def _of_onnx(path: Path) -> dict[str, str]:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise ModelError(f"{str(path)!r}: not an ONNX file, or cut short ({error})") from error
    return {entry.key: entry.value for entry in model.metadata_props}


def _of_tensorrt(path: Path) -> dict[str, str]:
    beside = path.with_suffix(".json")
    try:
        content = json.loads(beside.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(
            f"{str(path)!r} needs its description beside it: there is no {beside.name}"
        ) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(beside)!r} describes no plan of TensorRT: {error}") from error
    if not isinstance(content, dict) or not all(
        isinstance(value, str) for value in content.values()
    ):
        raise ModelError(f"{str(beside)!r} describes no plan of TensorRT")
    return content


def _of_openvino(path: Path) -> dict[str, str]:
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise ModelError(f"{str(path)!r} needs its weights beside it: there is no {weights.name}")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{str(path)!r}: {error.strerror}") from error
    # The graph may be megabytes of XML; metadata of the whole comes last.
    start, end = text.rfind(b"<rt_info>"), text.rfind(b"</rt_info>")
    try:
        if start < 0 or not text.rstrip().endswith(b"</net>"):
            raise ElementTree.ParseError("no <net> to its end")
        root = ElementTree.fromstring(text[start : end + len(b"</rt_info>")])
    except ElementTree.ParseError as error:
        raise ModelError(f"{str(path)!r}: not an OpenVINO file, or cut short ({error})") from error
    return {entry.tag: entry.get("value", "") for entry in root.iterfind(f"{GROUP}/*")}
