"""OpenVINO comes without its converter of models, which is there when it is called."""

from __future__ import annotations

import subprocess
import sys

import pytest

LIGHT = """
from livevision.inference.openvino_import import openvino
assert not {"openvino.tools.ovc", "http.client"} & set(sys.modules)
assert openvino is sys.modules["openvino"] and openvino.Core
"""

CALLED = (
    LIGHT
    + """
try:
    openvino.convert_model("missing.onnx")
except Exception as error:
    assert "missing.onnx" in str(error), error
else:
    raise AssertionError
assert "openvino.tools.ovc" in sys.modules
"""
)

IMPORTED = (
    LIGHT
    + """
from openvino.tools.ovc import convert_model, main
from openvino.tools import ovc
assert ovc.convert_model is convert_model and ovc.__file__
"""
)

BEFORE = """
import livevision  # it keeps OpenVINO from reporting home
import openvino
whole = openvino.convert_model
from livevision.inference import openvino_import
assert openvino_import.openvino is openvino and openvino.convert_model is whole
"""


@pytest.mark.parametrize(
    "code",
    [LIGHT, CALLED, IMPORTED, BEFORE],
    ids=["light", "called", "imported", "imported_before"],
)
def test_importing_openvino(code: str) -> None:
    command = [sys.executable, "-c", "import sys\n" + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
