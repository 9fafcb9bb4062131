"""Third-party models that can be downloaded, each with address and hash.

None is shipped, and none is downloaded except by `livevision models get NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Pinned:
    """A file in a public repository at one commit.

    Attributes:
        name: As ``--model`` takes it.
        task: "detect", "segment" or "classify".
        repository, commit, path: Location on GitHub.
        sha256: Hash of the file.
        size: Bytes.
        licence: Licence of the weights.
        labels: A set of class names, see ``foreign.labels``.
        data: Training data.
        score: ``text``, and figures by name, measured by livevision.
        fields: Fields of its description that are not in the file.
    """

    name: str
    task: str
    repository: str
    commit: str
    path: str
    sha256: str
    size: int
    licence: str
    labels: str
    data: str
    score: Mapping[str, Any]
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Download address."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"

    @property
    def page(self) -> str:
        """Web page of the file."""
        return f"https://github.com/{self.repository}/blob/{self.commit}/{self.path}"

    @property
    def suffix(self) -> str:
        """Suffix of the file's name."""
        return self.path[self.path.rindex(".") :]


_TABLE = (
    Pinned(
        "yolox-nano",
        "detect",
        "Kazuhito00/MOT-Tracking-by-Detection-Pipeline",
        "e50a76b8b430b778276e7fd04fd4cafd5d45eab2",
        "Detector/yolox/model/yolox_nano_416x416.onnx",
        "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
        3660092,
        "Apache-2.0",
        "coco80",
        "COCO",
        {"text": "AP50 71.1 on the val part of a VOC 2012 subset (1,077 pictures)", "AP50": 0.711},
    ),
    Pinned(
        "fastestdet",
        "detect",
        "dog-qiuqiu/FastestDet",
        "50473cd155cb088aa4a99e64ff6a4b3c24fa07e1",
        "example/onnx-runtime/FastestDet.onnx",
        "31cb14c017fce347cb4c846ec62fdf00d76bb3beecdf4be21e7116ac67feb880",
        998169,
        "BSD-3-Clause",
        "coco80",
        "COCO",
        {"text": "AP50 48.7 on the val part of a VOC 2012 subset (1,077 pictures)", "AP50": 0.487},
    ),
    Pinned(
        "deeplabv3-mobilenetv2",
        "segment",
        "google-coral/test_data",
        "104342d2d3480b3e66203073dac24f4e2dbb4c41",
        "deeplabv3_mnv2_pascal_quant.tflite",
        "350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398",
        2193224,
        "Apache-2.0",
        "voc21",
        "VOC 2012 and its extension",
        {"text": "mIoU 70.1 on the val part of a VOC 2012 subset (1,061 masks)", "mIoU": 0.701},
        {"colour": "RGB", "fit": "letterbox-top-left", "fill": 128},
    ),
)

PINNED: Mapping[str, Pinned] = {model.name: model for model in _TABLE}
"""The known models by name."""


def how_to_get(name: str) -> str:
    """The message for a model that is requested and not downloaded yet."""
    model = PINNED[name]
    return (
        f"model {name!r} is not on this machine: 'livevision models get {name}' downloads it "
        f"({model.size / 1e6:.1f} MB from github.com/{model.repository}, {model.licence})"
    )
