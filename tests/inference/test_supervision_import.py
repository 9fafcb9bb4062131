"""supervision comes without SciPy's heavy parts, works, and changes no other import."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import builtins, sys
plain = builtins.__import__
from livevision.inference.supervision_import import import_supervision
"""

LIGHT = """
import_supervision()
assert builtins.__import__ is plain
heavy = {"asyncio", "defusedxml", "requests", "scipy.interpolate", "scipy.spatial", "tqdm.auto"}
heavy &= set(sys.modules)
assert not heavy, heavy
import numpy as np, supervision as sv
found = sv.Detections(np.array([[0.0, 0, 9, 9]]), confidence=np.array([0.5]))
assert len(found.with_nms(0.5, class_agnostic=True)) == 1
"""

DEFERRED = """
import io
import_supervision()
from supervision.dataset import utils
from supervision.annotators import core
tree = utils.cKDTree([[0.0, 0.0], [9.0, 9.0]])
assert tree.query([8.0, 8.0])[1] == 1
curve, _ = core.splprep([[0.0, 1, 2, 3], [0.0, 1, 0, 1]])
from supervision.utils import file
assert issubclass(file.requests.ConnectionError, OSError)
from supervision.dataset.formats import pascal_voc
assert b"<a" in pascal_voc.tostring(pascal_voc.parse(io.StringIO("<a><b/></a>")).getroot())
assert list(pascal_voc.tqdm([1, 2], disable=True)) == [1, 2]
assert file.yaml.safe_load("a: 1") == {"a": 1}
"""

OTHERS = """
import threading
found = []
def another():
    from scipy.spatial import cKDTree
    found.append(cKDTree)
def watched(name, *arguments, **named):  # in the middle of it somebody else imports the same
    if name == "supervision.dataset.core" and not found:
        thread = threading.Thread(target=another)
        thread.start()
        thread.join(20)
    return plain(name, *arguments, **named)
builtins.__import__ = watched
import_supervision()
import scipy.spatial
assert found == [scipy.spatial.cKDTree]
"""


@pytest.mark.parametrize("code", [LIGHT, DEFERRED, OTHERS], ids=["light", "deferred", "others"])
def test_importing_supervision(code: str) -> None:
    command = [sys.executable, "-c", BEGIN + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
