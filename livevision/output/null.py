"""An output that writes nothing: for benchmarks, and for runs whose frames Python code takes."""

from __future__ import annotations

from livevision.frame import Rendered
from livevision.output.options import DEFAULTS, OutputOptions
from livevision.protocols import SourceInfo


class NullSink:
    """Discards frames. Pictures are drawn for it, as for any other output."""

    wants_image = True
    where = ""

    def __init__(self, target: str, info: SourceInfo, options: OutputOptions = DEFAULTS) -> None:
        pass

    def write(self, rendered: Rendered) -> None:
        pass

    def close(self) -> None:
        pass
