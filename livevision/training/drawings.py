"""Draws a net's predictions on pictures, to inspect during training."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]


def draw_class_map(
    path: Path, picture: Picture, answer: npt.NDArray[np.int64], labels: list[str]
) -> None:
    """Write a picture beside a copy with its class map, and the names of the classes.

    Args:
        path: the file.
        picture: uint8 H x W x 3, RGB.
        answer: H x W, class ids.
        labels: class names.
    """
    from supervision import ColorPalette

    palette = ColorPalette.DEFAULT
    found = np.unique(answer)
    table = np.zeros((len(labels), 3), np.uint8)
    for i in range(len(labels)):
        table[i] = palette.by_idx(i).as_rgb()
    mixed = (picture // 2 + table[answer] // 2).astype(np.uint8)
    for row, class_id in enumerate(found):
        colour = tuple(int(v) for v in table[class_id])
        _write_text(mixed, labels[class_id], (4, 14 + 14 * row), colour)
    _write(path, np.hstack((picture, mixed)))


def draw_boxes(
    path: Path,
    picture: Picture,
    boxes: npt.NDArray[np.float32],
    classes: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
    labels: list[str],
) -> None:
    """Write a picture with boxes, their classes and scores.

    Args:
        path: the file.
        picture: uint8 H x W x 3, RGB.
        boxes: K x 4, x1 y1 x2 y2 in its pixels.
        classes, scores: K.
        labels: class names.
    """
    from supervision import BoxAnnotator, Detections, LabelAnnotator

    found = Detections(xyxy=boxes, class_id=classes, confidence=scores)
    texts = [f"{labels[c]} {s:.2f}" for c, s in zip(classes, scores, strict=True)]
    drawn = BoxAnnotator(thickness=1).annotate(picture.copy(), found)
    drawn = LabelAnnotator(text_scale=0.35, text_padding=2).annotate(drawn, found, texts)
    _write(path, np.asarray(drawn, np.uint8))


def draw_class(path: Path, picture: Picture, true: str, found: str) -> None:
    """Write a picture with its true and its predicted class."""
    enlarged = cv2.resize(picture, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)
    caption = np.zeros((36, max(enlarged.shape[1], 200), 3), np.uint8)
    colour = (120, 255, 120) if true == found else (255, 120, 120)
    _write_text(caption, f"is {true}", (4, 14), (255, 255, 255))
    _write_text(caption, f"found {found}", (4, 30), colour)
    canvas = np.zeros((enlarged.shape[0] + 36, caption.shape[1], 3), np.uint8)
    canvas[:36] = caption
    canvas[36:, : enlarged.shape[1]] = enlarged
    _write(path, canvas)


def _write_text(image: Picture, text: str, at: tuple[int, int], colour: tuple[int, ...]) -> None:
    for thickness, ink in ((3, (0, 0, 0)), (1, colour)):
        cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, thickness, cv2.LINE_AA)


def _write(path: Path, image: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())
