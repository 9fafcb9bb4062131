"""Compare what every engine finds with PyTorch: scripts/compare-engines MODEL[,MODEL...] FILE...

FILEs are videos or pictures. For segmentation the share of pixels of another class is told, for
detection how many boxes have no like in PyTorch's answer (same class, IoU of at least 0.9), and the
largest differences of those that have, for classification the largest difference of a probability
and how often another class is the likeliest.

With --random the nets get random weights that tell things apart, so that nets can be compared that
nobody has trained; "all" as MODEL then means every such net.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import livevision
from livevision import catalog
from livevision.catalog import ModelCard
from livevision.errors import LivevisionError

ENGINES = [("openvino", "fp32"), ("openvino", "bf16"), ("onnx", "fp32")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", metavar="MODEL[,MODEL...]")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=10, help="of a video look at each Nth frame")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--random", action="store_true", help="take weights made on the spot")
    parser.add_argument("--engines", default="openvino,onnx", help="(default openvino,onnx)")
    parser.add_argument("--most", type=int, default=100, help="look at so many pictures at most")
    arguments = parser.parse_args()
    names = arguments.models.split(",")
    if names == ["all"]:
        names = catalog.untrained_names()
    images = [i for path in arguments.files for i in read(path, arguments.every)]
    images = images[: arguments.most]
    engines = [e for e in ENGINES if e[0] in arguments.engines.split(",")]
    for name in names:
        with tempfile.TemporaryDirectory(prefix="livevision-compare-") as folder:
            weights = arguments.weights
            if arguments.random:
                weights = Path(folder) / f"{name}.safetensors"
                write_random(catalog.find(name), images[:4], weights)
            compare_engines(name, weights, images, engines)
    return 0


def compare_engines(
    name: str, weights: Path | None, images: list[Any], engines: list[tuple[str, str]]
) -> None:
    """Print a line for each engine."""
    torch = livevision.load(name, "torch", weights=weights)
    wanted = [torch(image) for image in images]
    compare = {"segment": compare_maps, "detect": compare_boxes, "classify": compare_labels}
    for engine, precision in engines:
        try:
            with livevision.load(name, engine, precision=precision, weights=weights) as model:
                found = [model(image) for image in images]
        except LivevisionError as error:
            print(f"{name} {engine} {precision}: {error}", file=sys.stderr)
            continue
        figures = {"model": name, "engine": engine, "precision": precision, "images": len(images)}
        print(json.dumps({**figures, **compare[torch.task](found, wanted)}), flush=True)


def write_random(card: ModelCard, images: list[Any], path: Path) -> None:
    """Write weights of a net whose answers differ from picture to picture and place to place.

    Fresh ones call all things alike: here the norms are set from the pictures, and the layers that
    give the answers are scaled up.
    """
    import torch
    from safetensors.torch import save_file

    from livevision import nets
    from livevision.inference.graph import Normalise
    from livevision.preprocess.fit import make_fit

    torch.manual_seed(1)
    net: Any = nets.build(card.net, **card.net_options).eval()
    fit = make_fit(card.fit, card.input_size)
    with torch.no_grad():
        x = Normalise()(torch.from_numpy(np.concatenate([fit.place(i)[0] for i in images])))
        norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.train()
            norm.momentum = None  # plain averages
        net(x)
        net.eval()
        linear = torch.nn.Conv2d | torch.nn.Linear
        if card.task == "detect":
            parts = (net.rpn.objectness, net.classes, net.boxes)
            *answers, boxes = ([m for m in p.modules() if isinstance(m, linear)][-1] for p in parts)
            boxes.weight *= 20
        else:
            # The last layer with as many outputs as there are classes.
            layers = [m for m in net.modules() if isinstance(m, linear)]
            answers = [m for m in layers if int(m.weight.shape[0]) == len(card.labels)][-1:]
        for layer in answers:
            seen: list[Any] = []
            hook = layer.register_forward_hook(
                lambda _m, _i, output, seen=seen: seen.append(output)
            )
            net(x[:1])
            hook.remove()
            layer.weight *= 3 / float(seen[0].std())
    save_file(
        {k: v for k, v in net.state_dict().items() if not k.endswith("batches_tracked")}, path
    )


def read(path: Path, every: int) -> Iterator[Any]:
    """Pictures of a file, uint8 H×W×3 BGR."""
    video = cv2.VideoCapture(str(path))
    number = 0
    while True:
        more, image = video.read()
        if not more:
            return
        if number % every == 0:
            yield image
        number += 1


def compare_maps(found: list[Any], wanted: list[Any]) -> dict[str, Any]:
    shares = [(f.class_map != w.class_map).mean() for f, w in zip(found, wanted, strict=True)]
    return {"other_pixels_mean": float(np.mean(shares)), "other_pixels_max": float(max(shares))}


def compare_boxes(found: list[Any], wanted: list[Any]) -> dict[str, Any]:
    total, alone, score, side = 0, 0, 0.0, 0.0
    for pair in zip(found, wanted, strict=True):
        for ours, theirs in (pair, pair[::-1]):
            total += len(ours)
            for box, confidence, number in zip(
                ours.xyxy, ours.confidence, ours.class_id, strict=True
            ):
                likes = theirs[(theirs.class_id == number) & (_iou(box, theirs.xyxy) >= 0.9)]
                if not len(likes):
                    alone += 1
                    continue
                best = int(np.argmin(abs(likes.confidence - confidence)))
                score = max(score, float(abs(likes.confidence[best] - confidence)))
                side = max(side, float(abs(likes.xyxy[best] - box).max()))
    return {"boxes": total, "without_like": alone, "score_max": score, "pixels_max": side}


def compare_labels(found: list[Any], wanted: list[Any]) -> dict[str, Any]:
    pairs = list(zip(found, wanted, strict=True))
    return {
        "probability_max": max(float(abs(f.confidence - w.confidence).max()) for f, w in pairs),
        "other_likeliest": sum(int(f.class_id[0] != w.class_id[0]) for f, w in pairs),
        "likeliest": len({int(w.class_id[0]) for _, w in pairs}),
    }


def _iou(box: Any, boxes: Any) -> Any:
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = shared.clip(0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared)


if __name__ == "__main__":
    sys.exit(main())
