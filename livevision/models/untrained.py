"""Nets that can be run by name without shipped weights.

One row per net: task, input size, number of classes, parameters, and multiply-adds at that size,
both counted. Sizes are those of the papers if they suit live video: of DFANet the variant A', of
Light-Head R-CNN half of its 1200×800 each way. Numbers of classes are those of the papers' data:
Pascal VOC (20) or COCO (80) for detectors, Cityscapes (19) for segmenters, ImageNet (1000) for
classifiers; untrained, they have no names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Untrained(NamedTuple):
    """A net and its defaults while it has no trained weights.

    Attributes:
        task: "detect", "segment" or "classify".
        input_size: (width, height) of its input in pixels.
        classes: Number of classes.
        params: Parameters.
        madds: Multiply-adds per image of ``input_size``.
        options: Further arguments of ``livevision.nets.build``.
    """

    task: str
    input_size: tuple[int, int]
    classes: int
    params: int
    madds: int
    options: Mapping[str, Any] = {}


_NO_AUX = {"aux": False}

NETS = {
    "thundernet-snet146": Untrained("detect", (320, 320), 20, 1_817_019, 489_994_560),
    "thundernet-snet146-release": Untrained("detect", (320, 320), 80, 3_251_458, 777_796_160),
    "thundernet-snet535": Untrained("detect", (320, 320), 20, 4_599_615, 1_286_973_040),
    "thundernet-mobilenetv2": Untrained("detect", (320, 320), 20, 2_441_903, 710_861_200),
    "thundernet-shufflenetv2": Untrained("detect", (320, 320), 20, 1_510_491, 403_626_880),
    "light-head-s": Untrained("detect", (608, 400), 80, 4_869_435, 4_852_777_600),
    "light-head-mobilenetv2": Untrained("detect", (608, 400), 80, 4_792_323, 5_095_308_800),
    "light-head-shufflenetv2": Untrained("detect", (608, 400), 80, 4_346_855, 4_346_173_000),
    "light-head-l": Untrained("detect", (608, 400), 80, 67_938_499, 72_297_062_400),
    "light-head-l-release": Untrained("detect", (608, 400), 80, 68_594_179, 72_952_422_400),
    "bisenet-xception39": Untrained("segment", (640, 360), 19, 1_541_963, 3_065_157_888, _NO_AUX),
    "bisenet-resnet18": Untrained("segment", (640, 360), 19, 12_894_163, 11_581_049_856, _NO_AUX),
    "bisenet-resnet18-ported": Untrained(
        "segment", (640, 360), 19, 13_275_539, 13_186_641_920, _NO_AUX
    ),
    "bisenet-mobilenetv2": Untrained("segment", (640, 360), 19, 3_099_283, 4_174_534_400, _NO_AUX),
    "bisenet-shufflenetv2": Untrained("segment", (640, 360), 19, 2_404_983, 3_612_958_752, _NO_AUX),
    "dfanet-a": Untrained("segment", (1024, 512), 19, 1_824_443, 1_711_203_328),
    "dfanet-b": Untrained("segment", (1024, 512), 19, 1_098_203, 1_028_036_608),
    "dfanet-mobilenetv2": Untrained("segment", (1024, 512), 19, 2_185_835, 3_055_565_312),
    "dfanet-shufflenetv2": Untrained("segment", (1024, 512), 19, 1_741_483, 2_087_044_096),
    "bisenetv2": Untrained("segment", (1024, 512), 19, 3_358_627, 24_603_312_128, _NO_AUX),
    "stdc1-seg": Untrained("segment", (1024, 512), 19, 8_275_123, 16_863_133_696, _NO_AUX),
    "stdc2-seg": Untrained("segment", (1024, 512), 19, 12_305_587, 23_456_579_584, _NO_AUX),
    "mobilenetv2": Untrained("classify", (224, 224), 1000, 3_504_872, 300_774_272),
    "shufflenetv2-0.5": Untrained("classify", (224, 224), 1000, 1_366_792, 40_476_448),
    "shufflenetv2-1.0": Untrained("classify", (224, 224), 1000, 2_278_604, 144_907_992),
    "shufflenetv2-1.5": Untrained("classify", (224, 224), 1000, 3_503_624, 295_759_392),
    "shufflenetv2-2.0": Untrained("classify", (224, 224), 1000, 7_393_996, 583_253_464),
    "snet49": Untrained("classify", (224, 224), 1000, 874_548, 51_205_832),
    "snet146": Untrained("classify", (224, 224), 1000, 1_571_748, 161_137_848),
    "snet535": Untrained("classify", (224, 224), 1000, 4_534_144, 535_354_640),
    "xception39": Untrained("classify", (224, 224), 1000, 555_448, 39_731_968),
    "xception-a": Untrained("classify", (224, 224), 1000, 354_008, 79_539_072),
    "xception-b": Untrained("classify", (224, 224), 1000, 206_232, 40_557_312),
    "xception-star": Untrained("classify", (224, 224), 1000, 1_531_936, 143_078_976),
    "resnet18": Untrained("classify", (224, 224), 1000, 11_689_512, 1_814_073_344),
    "resnet101": Untrained("classify", (224, 224), 1000, 44_549_160, 7_801_405_440),
    "stdc1": Untrained("classify", (224, 224), 1000, 8_443_552, 806_067_712),
    "stdc2": Untrained("classify", (224, 224), 1000, 12_474_016, 1_437_081_088),
}
