"""Complete graphs in torch, from pixels to small outputs.

They contain normalisation, arg-max, box decoding and NMS, so that every engine computes the same
and none needs torch for post-processing. ``export`` writes these modules to ONNX files; the torch
engine runs them directly.

Inputs and outputs, with N images of H×W pixels and K boxes or classes:

=========  ===============  ========  ====================================================
task       name             dtype     shape and meaning
=========  ===============  ========  ====================================================
all        image            uint8     N×H×W×3, BGR
segment    class_map        uint8     N×H×W, number of the most likely class
detect     iou_threshold    float32   1, IoU above which the weaker of two boxes is dropped
detect     boxes            float32   N×K×4, x1 y1 x2 y2 in input pixels
detect     scores           float32   N×K, 0..1, descending; -1 in empty rows
detect     classes          int32     N×K
classify   probabilities    float32   N×K of the K most likely classes, descending
classify   classes          int32     N×K
=========  ===============  ========  ====================================================
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from livevision.errors import ModelError
from livevision.inference.model_files import ModelFiles
from livevision.inference.weights import load_weights
from livevision.nets import IMAGE_MEAN, IMAGE_STD, build, families, names

TOP = 5
"""Maximum classes in a classifier's output."""


class Normalise(nn.Module):
    """Converts pixels, uint8 N×H×W×3 BGR, to float32 N×3×H×W RGB, normalised."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = torch.tensor(IMAGE_MEAN).flip(0), torch.tensor(IMAGE_STD).flip(0)  # as BGR
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        batch, height, width, _ = (int(n) for n in image.shape)
        # In NHWC, which engines with channels last need not transpose, and by whole rows, since
        # three values per pixel are too few for vector instructions.
        rows = image.float().reshape(batch, height, 3 * width)
        rows = rows * self.scale.repeat(width) + self.shift.repeat(width)
        bgr = rows.reshape(batch, height, width, 3).permute(0, 3, 1, 2)
        # Last, so that engines can reorder the weights of the first layer instead.
        return bgr[:, [2, 1, 0]]


class SegmentGraph(nn.Module):
    """A segmenter from pixels to the class of each pixel."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        return first_largest(self.net(self.normalise(image)))


def first_largest(logits: Tensor) -> Tensor:
    """Arg-max over channels as uint8; the first of equal values wins.

    OpenVINO sorts for an arg-max, a sixth of a small net's time; comparing channel by channel takes
    a quarter of that, and costs other engines almost nothing.

    Args:
        logits: N×C×H×W, C at most 256.

    Returns:
        uint8, N×H×W.
    """
    largest = logits[:, 0]
    found = torch.zeros_like(largest, dtype=torch.uint8)
    for channel in range(1, int(logits.shape[1])):
        values = logits[:, channel]
        number = torch.tensor(channel, dtype=torch.uint8, device=logits.device)
        found = torch.where(values > largest, number, found)
        largest = torch.maximum(largest, values)
    return found


class DetectGraph(nn.Module):
    """A detector from pixels to boxes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.net = net

    def forward(self, image: Tensor, iou_threshold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, classes = self.net(self.normalise(image), iou_threshold)
        return boxes.float(), scores.float(), classes.to(torch.int32)


class ClassifyGraph(nn.Module):
    """A classifier from pixels to the most likely classes of the whole image."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        # In float32 whatever the net's precision: sums over many classes.
        probabilities = self.net(self.normalise(image)).float().softmax(1)
        best, classes = probabilities.topk(min(TOP, int(probabilities.shape[1])), 1)
        return best, classes.to(torch.int32)


GRAPHS: dict[str, type[nn.Module]] = {
    "segment": SegmentGraph,
    "detect": DetectGraph,
    "classify": ClassifyGraph,
}


def build_graph(files: ModelFiles) -> nn.Module:
    """Build the graph of a model in eval mode, with weights in float32.

    If ``files.weights`` is None, the net keeps its random initialisation, always the same.

    Raises:
        ModelError: The weights cannot be read or do not fit the net.
    """
    if files.net not in (*names(), *families()):
        raise ModelError(f"model {files.name!r} uses no net that this version can build")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = build(files.net, **files.net_options)
    if files.weights is not None:
        load_weights(net, files.weights)
    return GRAPHS[files.task](net).eval().requires_grad_(False)


def example_inputs(files: ModelFiles) -> dict[str, Tensor]:
    """Grey images in the model's batch size, and an IoU threshold of 0.5 if the task has one."""
    width, height = files.input_size
    inputs = {"image": torch.full((files.batch, height, width, 3), 128, dtype=torch.uint8)}
    if files.task == "detect":
        inputs["iou_threshold"] = torch.tensor([0.5])
    return inputs
