"""What an exported graph tells about itself: the ``metadata_props`` of its ONNX file.

Every value is text:

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

from livevision.errors import ModelError


def read_description(path: Path) -> dict[str, str]:
    """The metadata of an ONNX file, by key.

    Raises:
        ModelError: The file is no ONNX file, or is cut short, or livevision did not write it.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise ModelError(f"{str(path)!r}: not an ONNX file, or cut short ({error})") from error
    found = {entry.key: entry.value for entry in model.metadata_props}
    if "livevision" not in found:
        raise ModelError(
            f"{str(path)!r} does not tell its task, labels and input size, so it was not written "
            "by 'livevision export'; only such graphs can be run"
        )
    return found
