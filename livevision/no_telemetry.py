"""Keeps the packages that livevision runs on from reporting home; imported with livevision itself.

- Importing OpenVINO, and NNCF, imports openvino_telemetry where that is installed, which pip sees
  to. It puts an identifier into the home folder and reports each import to a server, on a thread of
  its own. Both do without it where it cannot be imported.
- ONNX Runtime, from 1.29 on, puts an identifier and a database into the home folder and reports
  from threads of its own, unless it is told not to before it is imported.

So both are told before either can be imported. A program that has imported them before livevision
keeps what it chose, as does one that sets ``ORT_DISABLE_TELEMETRY`` itself.
"""

from __future__ import annotations

import os
import sys

# None is how Python notes a module that shall not be found.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
