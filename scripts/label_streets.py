"""Labels street pictures with Cityscapes' DeepLab, see scripts/label_streets.

The model is google-coral's `deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite` (Apache-2.0),
which OpenVINO cannot read, so `livevision label` cannot run it. What is written has the form of
`livevision label --soft --format masks`, with CamVid's classes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from livevision.datasets.pictures import pictures_in
from livevision.datasets.samples import read_picture
from livevision.errors import DataError
from livevision.labelling.formats import masks
from livevision.labelling.record import Record, put

Array = NDArray[np.float32]

SIDE = 513  # of the model's input
LOGITS = "ResizeBilinear"  # the tensor before the last enlargement, 33x33x19
SHOWN = 0.65  # share of a picture's width that one look has: of 4:3, nearly a square
SIZE = (80, 60)  # width and height of the stored logits
SURE = 0.55  # less probable classes are void in the class map
POSSIBLE = 0.03  # if the true coarse class is less probable, the teacher is wrong there
OTHER = "other"

# Cityscapes' classes, by number, as CamVid's.
AS_CAMVID = (
    "road", "pavement", "building", "building", "fence", "pole", "sign_symbol", "sign_symbol",
    "tree", OTHER, "sky", "pedestrian", "bicyclist", "car", "car", "car", "car", "bicyclist",
    "bicyclist",
)  # fmt: skip
CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car",
    "pedestrian", "bicyclist", OTHER,
)  # fmt: skip
# IDD-lite's classes, by number, as any of CamVid's.
IDD_LITE = (
    ("road",), ("pavement", "tree"), ("pedestrian", "bicyclist"), ("car", "bicyclist"),
    ("pole", "sign_symbol", "fence"), ("building", "tree"), ("sky",),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Label a folder of pictures; what is labelled is not labelled again."""
    parser = argparse.ArgumentParser(prog="label_streets", description=__doc__)
    parser.add_argument("pictures", type=Path, help="Folder of pictures.")
    parser.add_argument("--model", type=Path, required=True, help="The .tflite file.")
    parser.add_argument("--out", type=Path, required=True, help="Folder of the data set to write.")
    parser.add_argument("--truth", type=Path, help="Folder of IDD-lite's masks of the pictures.")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args(arguments)
    files = pictures_in(given.pictures)
    if not files:
        parser.error(f"{given.pictures} has no pictures")
    logits = deeplab(given.model, given.threads)
    for file in tqdm(files, unit="picture"):
        try:
            image = read_picture(file)
        except DataError as error:
            parser.error(str(error))
        record = Record(file.name, file.name, image.shape[1], image.shape[0])
        if masks.logits_file(given.out, record).exists():
            continue
        found = probabilities(image, logits)
        if given.truth is not None:
            truth = cv2.imread(str(given.truth / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE)
            if truth is None or truth.shape != image.shape[:2]:
                parser.error(f"{given.truth} has no mask of {file.name} in its size")
            found = as_marked(found, truth)
        write(given.out, file, record, found)
    masks.write(given.out, CLASSES, [])


def deeplab(model: Path, threads: int) -> Callable[[NDArray[np.uint8]], Array]:
    """The model as a function from an RGB picture, uint8 513x513x3, to logits 33x33x19.

    Raises:
        SystemExit: ai-edge-litert is missing.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        raise SystemExit("label_streets: pip install ai-edge-litert") from None
    net = Interpreter(str(model), num_threads=threads, experimental_preserve_all_tensors=True)
    net.allocate_tensors()
    (output,) = [t for t in net.get_tensor_details() if t["name"] == LOGITS]
    step, zero = output["quantization"]

    def run(picture: NDArray[np.uint8]) -> Array:
        net.set_tensor(net.get_input_details()[0]["index"], picture[None])
        net.invoke()
        return (net.get_tensor(output["index"])[0].astype(np.float32) - zero) * step

    return run


def probabilities(image: NDArray[np.uint8], logits: Callable[[NDArray[np.uint8]], Array]) -> Array:
    """Mean probabilities of CLASSES over the left and the right part, both also mirrored.

    On every second picture of CamVid's val it has 54.2 mIoU so, and 46.4 where the whole picture is
    pressed into a square.

    Args:
        image: H x W x 3, RGB.
        logits: See `deeplab`.

    Returns:
        H x W x classes.
    """
    height, width = image.shape[:2]
    part = round(SHOWN * width)
    summed = np.zeros((height, width, len(AS_CAMVID)), np.float32)
    looks = np.zeros((height, width, 1), np.float32)
    for x in (0, width - part):
        seen = cv2.resize(image[:, x : x + part], (SIDE, SIDE))
        for mirrored in (False, True):
            step = -1 if mirrored else 1
            found = logits(np.ascontiguousarray(seen[:, ::step]))[:, ::step]
            large = cv2.resize(np.ascontiguousarray(found), (part, height))
            summed[:, x : x + part] += softmax(large)
            looks[:, x : x + part] += 1
    mean = summed / looks
    numbers = [CLASSES.index(name) for name in AS_CAMVID]
    return mean @ np.eye(len(CLASSES), dtype=np.float32)[numbers]


def as_marked(found: Array, truth: NDArray[np.uint8]) -> Array:
    """Probabilities of the classes that a coarse class is any of; of the others they are 0.

    Where the teacher sees none of them, a coarse class of one class is that one, others are OTHER.

    Args:
        found: H x W x classes.
        truth: H x W, numbers of `IDD_LITE`; others are unmarked.
    """
    allowed = np.ones((256, len(CLASSES)), np.float32)
    instead = np.full(256, CLASSES.index(OTHER))
    for number, names in enumerate(IDD_LITE):
        allowed[number] = [name in names for name in CLASSES]
        if len(names) == 1:
            instead[number] = CLASSES.index(names[0])
    kept = found * allowed[truth]
    total = kept.sum(-1, keepdims=True)
    alone = np.eye(len(CLASSES), dtype=np.float32)[instead[truth]]
    return np.where(total < POSSIBLE, alone, kept / np.maximum(total, POSSIBLE))


def write(out: Path, file: Path, record: Record, found: Array) -> None:
    """Write a picture's class map and logits; these come last, for they tell that it is done."""
    best = found.argmax(-1).astype(np.uint8)
    best[(found.max(-1) < SURE) | (best == CLASSES.index(OTHER))] = 255
    # One class after the other: OpenCV averages areas of four channels at most.
    small = [
        cv2.resize(each, SIZE, interpolation=cv2.INTER_AREA) for each in found.transpose(2, 0, 1)
    ]
    put(out / masks.PICTURES / record.file, file.read_bytes())
    masks.write_mask(out, record, best)
    masks.write_logits(out, record, np.log(np.clip(small, 1e-4, 1)).astype(np.float16))


def softmax(logits: Array) -> Array:
    """Over the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


if __name__ == "__main__":
    main()
