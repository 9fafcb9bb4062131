"""OpenVINO, imported without its converter of models.

``import openvino`` imports the converter, which livevision does not use, and with it a hundred
modules: 90 ms of CPU, without them 40 (two cores of an AMD EPYC, 2026-11-29). The converter is
imported when ``openvino.convert_model`` is called, or by its own name.
"""

from __future__ import annotations

import importlib
import sys

from livevision.inference.later import Later

_CONVERTER = "openvino.tools.ovc"

if "openvino" not in sys.modules and _CONVERTER not in sys.modules:
    sys.modules[_CONVERTER] = Later(_CONVERTER, names=("convert_model",))
    try:
        importlib.import_module("openvino")
    finally:
        del sys.modules[_CONVERTER]

import openvino as openvino  # noqa: E402, as it was imported above
