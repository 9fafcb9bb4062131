"""Compare what every engine finds with PyTorch: scripts/compare-engines MODEL[,MODEL...] FILE...

FILEs are videos or pictures; the pictures looked at are spread over all of them. A line of JSON is
printed for each model and engine, and a table at the end. What it tells:

* detection: boxes of PyTorch and of the engine without a like in the other's answer (same class,
  IoU of at least 0.9), how many of those are at a limit (they overlap another by just the threshold
  of suppression, or are the last of the most boxes there can be), and the largest difference of a
  score and of a corner of those that have a like;
* segmentation: the largest share of a picture's pixels of another class; how far logits are from
  PyTorch's, in units of their standard deviation; how far PyTorch's own are from the same net in
  float64, which is what float32 leaves open ("noise"); and the share of pixels of another class
  that noise does not explain, as PyTorch's two best logits are more than ten times it apart (it is
  measured on every tenth picture, and others may have more);
* classification: the largest difference of a probability, and how often another class is likeliest.

With --random the nets get random weights that tell things apart, so that nets can be compared that
nobody has trained; "all" as MODEL then means every such net. --table FILE prints the table of lines
that were kept in a file, and compares nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from random_weights import write_random

import livevision
from livevision.bench.nets import apart
from livevision.errors import LivevisionError
from livevision.models import catalog
from livevision.models.choice import files_of
from livevision.preprocess.fit import make_fit

CONFIDENCE = 0.25
# Boxes of a lower score are let through as likes: the same one may lie on the other side of 0.25.
NEARLY = 0.2
THRESHOLD = 0.5  # of the last suppression, in engines as in PyTorch
NEAR = 0.002
MOST = 100  # boxes of a picture
EVERY_NTH_IN_FLOAT64 = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", metavar="MODEL[,MODEL...]", nargs="?", default="")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--random", action="store_true", help="take weights made on the spot")
    parser.add_argument("--engines", default="openvino,onnx", help="(default openvino,onnx)")
    parser.add_argument("--precision", default="fp32", help="of the engines (default fp32)")
    parser.add_argument("--most", type=int, default=100, help="look at so many pictures at most")
    parser.add_argument("--table", type=Path, help="print the table of lines kept in a file")
    arguments = parser.parse_args()
    if arguments.table:
        print_table([json.loads(line) for line in arguments.table.read_text().splitlines()])
        return 0
    if not arguments.files:
        parser.error("no FILE is given")
    names = arguments.models.split(",")
    if names == ["all"]:
        names = catalog.untrained_names() if arguments.random else catalog.names()
    images = spread(arguments.files, arguments.most)
    rows = []
    for name in names:
        with (
            tempfile.TemporaryDirectory(prefix="livevision-compare-") as folder,
            apart() if arguments.random else nullcontext(),
        ):
            weights = arguments.weights
            if arguments.random:
                weights = Path(folder) / f"{name}.safetensors"
                write_random(catalog.find(name), images[:: max(1, len(images) // 4)][:4], weights)
            for engine in arguments.engines.split(","):
                rows.append(
                    {
                        "model": name,
                        "engine": engine,
                        "precision": arguments.precision,
                        "weights": "random" if arguments.random else str(weights or "shipped"),
                        "frames": len(images),
                    }
                )
            compare = {"segment": compare_maps, "detect": compare_boxes}.get(
                catalog.find(name).task, compare_labels
            )
            done = compare(name, weights, images, rows[-len(arguments.engines.split(",")) :])
            for row in done:
                print(json.dumps(row), flush=True)
    print_table(rows)
    return 0


def spread(files: list[Path], most: int) -> list[Any]:
    """Pictures, uint8 H×W×3 BGR, as evenly from all files as their lengths allow."""
    videos = {path: read(path) for path in files}
    left, taken = most, []
    # Short files first, so that what they cannot give is shared out among the longer ones.
    for place, (_, pictures) in enumerate(sorted(videos.items(), key=lambda item: len(item[1]))):
        share = min(len(pictures), left // (len(videos) - place))
        chosen = np.linspace(0, len(pictures) - 1, share).astype(int)
        taken += [pictures[i] for i in chosen]
        left -= share
    return taken


def read(path: Path) -> list[Any]:
    """All pictures of a file."""
    picture = cv2.imread(str(path))
    if picture is not None:
        return [picture]
    video = cv2.VideoCapture(str(path))
    pictures = []
    while True:
        more, picture = video.read()
        if not more:
            break
        pictures.append(picture)
    if not pictures:
        raise SystemExit(f"{str(path)!r} holds no pictures that can be read")
    return pictures


def answers(
    row: dict[str, Any], weights: Path | None, ask: Callable[[Any], list[Any]]
) -> list[Any] | None:
    """What an engine says; None, and the error in the row, where it cannot run."""
    options = {"conf": NEARLY} if catalog.find(row["model"]).task == "detect" else {}
    try:
        with livevision.load(
            row["model"], row["engine"], precision=row["precision"], weights=weights, **options
        ) as model:
            return ask(model)
    except LivevisionError as error:
        row["error"] = str(error)
        return None


def answered(
    weights: Path | None, images: list[Any], rows: list[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], list[Any], list[Any]]]:
    """The rows whose engine runs, each with what it finds and what PyTorch does."""
    reference = {**rows[0], "engine": "torch", "precision": "fp32"}
    wanted = answers(reference, weights, lambda m: [m(image) for image in images])
    for row in rows:
        found = answers(row, weights, lambda m: [m(image) for image in images])
        if found is not None and wanted is not None:
            yield row, found, wanted


def compare_maps(
    name: str, weights: Path | None, images: list[Any], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Fill in the rows of a segmenter."""
    import torch

    from livevision.inference.graph import build_graph, first_largest

    card = catalog.find(name)
    files = files_of(card, weights, None, untrained=False)
    fit = make_fit(card.fit, card.input_size)
    graph: Any = build_graph(files)
    net = torch.nn.Sequential(graph.normalise, graph.net).to(memory_format=torch.channels_last)
    batches = [fit.place(image)[0] for image in images]
    maps, margins, spreads = [], [], []  # margins and all else in units of their picture's spread
    for batch in batches:
        logits = net(torch.from_numpy(batch))
        maps.append(first_largest(logits)[0].numpy())
        best = logits.topk(2, 1).values[0]
        spreads.append(float(logits.std()))
        margins.append((best[0] - best[1]).numpy() / spreads[-1])

    some, spreads = batches[::EVERY_NTH_IN_FLOAT64], spreads[::EVERY_NTH_IN_FLOAT64]
    wanted = [net(torch.from_numpy(batch)).numpy() for batch in some]
    exact = copy.deepcopy(graph.net).double()
    precise = [exact(graph.normalise(torch.from_numpy(batch)).double()).numpy() for batch in some]
    noise = furthest(precise, wanted, spreads)
    del exact, precise
    for row in rows:
        found = answers(
            row, weights, lambda m: [m.infer({"image": b})["class_map"][0] for b in batches]
        )
        if found is None:
            continue
        others = [f != w for f, w in zip(found, maps, strict=True)]
        beyond = [(o & (m > 10 * noise)).mean() for o, m in zip(others, margins, strict=True)]
        row |= {
            "other_pixels_mean": float(np.mean([o.mean() for o in others])),
            "other_pixels_max": float(max(o.mean() for o in others)),
            "noise": noise,
            "logits_max": furthest(engine_logits(net, row, some), wanted, spreads),
            "beyond_noise_max": float(max(beyond)),
        }
    return rows


def furthest(found: list[Any], wanted: list[Any], spreads: list[float]) -> float:
    """The largest difference of logits in units of their spread."""
    differences = [abs(f - w).max() for f, w in zip(found, wanted, strict=True)]
    return float(max(d / s for d, s in zip(differences, spreads, strict=True)))


def engine_logits(net: Any, row: dict[str, Any], batches: list[Any]) -> list[Any]:
    """A segmenter's logits of an engine, N×C×H×W each."""
    import torch

    with tempfile.TemporaryDirectory(prefix="livevision-logits-") as folder:
        path = Path(folder) / "logits.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the exporter is the older one, and of sizes
            torch.onnx.export(
                net, (torch.from_numpy(batches[0]),), path, dynamo=False, input_names=["image"]
            )
        if row["engine"] == "onnx":
            import onnxruntime

            session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
            return [session.run(None, {"image": batch})[0] for batch in batches]
        import openvino

        hint = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[row["precision"]]}
        compiled = openvino.Core().compile_model(str(path), "CPU", hint)
        return [np.array(compiled(batch)[0]) for batch in batches]


def compare_boxes(
    name: str, weights: Path | None, images: list[Any], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Fill in the rows of a detector."""
    for row, found, wanted in answered(weights, images, rows):
        total, alone, ties, score, corner = 0, 0, 0, 0.0, 0.0
        for pair in zip(found, wanted, strict=True):
            for ours, theirs in (pair, pair[::-1]):
                sure = ours[ours.confidence >= CONFIDENCE]
                total += len(sure)
                for box, confidence, number in zip(
                    sure.xyxy, sure.confidence, sure.class_id, strict=True
                ):
                    rivals = theirs[theirs.class_id == number]
                    overlaps = _iou(box, rivals.xyxy)
                    likes = rivals[overlaps >= 0.9]
                    if not len(likes):
                        alone += 1
                        last = len(ours) == MOST and confidence - ours.confidence.min() < NEAR
                        ties += bool(last or (abs(overlaps - THRESHOLD) < NEAR).any())
                        continue
                    best = int(np.argmin(abs(likes.confidence - confidence)))
                    score = max(score, float(abs(likes.confidence[best] - confidence)))
                    corner = max(corner, float(abs(likes.xyxy[best] - box).max()))
        row |= {"boxes": total, "without_like": alone, "at_limit": ties}
        row |= {"score_max": score, "corner_max_px": corner}
    return rows


def compare_labels(
    name: str, weights: Path | None, images: list[Any], rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Fill in the rows of a classifier."""
    for row, found, wanted in answered(weights, images, rows):
        pairs = list(zip(found, wanted, strict=True))
        row |= {
            "score_max": max(float(abs(f.confidence - w.confidence).max()) for f, w in pairs),
            "other_likeliest": sum(int(f.class_id[0] != w.class_id[0]) for f, w in pairs),
            "classes_seen": len({int(w.class_id[0]) for _, w in pairs}),
        }
    return rows


def _iou(box: Any, boxes: Any) -> Any:
    shared = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = shared.clip(0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return shared / ((box[2:] - box[:2]).prod() + areas - shared)


def print_table(rows: list[dict[str, Any]]) -> None:
    """A Markdown table: a line for each model, what its engines differ by side by side."""
    engines = list(dict.fromkeys((row["engine"], row["precision"]) for row in rows))
    titles = " | ".join(f"{engine} {precision}" for engine, precision in engines)
    print(f"\n| model | frames | {titles} |")
    print("|---" * (2 + len(engines)) + "|")
    for model in dict.fromkeys(row["model"] for row in rows):
        of = {(r["engine"], r["precision"]): r for r in rows if r["model"] == model}
        frames = max(row["frames"] for row in of.values())
        cells = " | ".join(in_words(of[e]) if e in of else "" for e in engines)
        print(f"| `{model}` | {frames} | {cells} |")


def in_words(row: dict[str, Any]) -> str:
    """What a row found, in a cell of the table."""
    if "error" in row:
        return str(row["error"])
    if "boxes" in row:
        lone = f"; {row['without_like']} of {row['boxes']} boxes" if row["without_like"] else ""
        return f"{row['score_max']:.1e}, {row['corner_max_px']:.1g} px{lone}"
    if "noise" in row:
        beyond = row["beyond_noise_max"]
        more = f"; {beyond:.1g} beyond noise" if beyond else ""
        return f"{100 * row['other_pixels_max']:.2g} % of pixels{more}"
    more = f"; {row['other_likeliest']} other classes first" if row["other_likeliest"] else ""
    return f"{row['score_max']:.1e}{more}"


if __name__ == "__main__":
    sys.exit(main())
