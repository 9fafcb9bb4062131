"""Disables telemetry of the packages livevision uses; imported with livevision itself.

- Importing OpenVINO or NNCF imports openvino_telemetry if it is installed, which pip does. It
  writes an identifier to the home folder and reports each import to a server, on a thread of its
  own. Both packages work without it if the import fails.
- ONNX Runtime, from 1.29 on, writes an identifier and a database to the home folder and reports
  from threads of its own, unless that is disabled before the import.

- Ray reports the use of a cluster that it starts, unless that is disabled before the start.

All are disabled here, before any can be imported. A program that imported them before livevision
keeps its choice, as does one that sets ``ORT_DISABLE_TELEMETRY`` or ``RAY_USAGE_STATS_ENABLED``
itself.
"""

from __future__ import annotations

import os
import sys

# None in sys.modules makes the import fail.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
