"""Pascal VOC's format: an XML file for each picture, pixels counted from 1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from livevision.labelling.record import SPLIT, Box, Record, put

PICTURES = "JPEGImages"
KIND = "detect"


def write(folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
    """Write `Annotations/ID.xml`, `ImageSets/Main/train.txt` and `classes.txt`."""
    for record in records:
        root = Element("annotation")
        SubElement(root, "folder").text = PICTURES
        SubElement(root, "filename").text = record.file
        size = SubElement(root, "size")
        for name, value in (("width", record.width), ("height", record.height), ("depth", 3)):
            SubElement(size, name).text = str(value)
        SubElement(root, "segmented").text = "0"
        for box in record.objects:
            root.append(_object(box, labels[box.class_id]))
        indent(root)
        put(folder / "Annotations" / f"{record.stem}.xml", tostring(root, encoding="utf-8"))
    listed = "".join(f"{record.stem}\n" for record in records)
    put(folder / "ImageSets" / "Main" / f"{SPLIT}.txt", listed)
    put(folder / "classes.txt", "".join(f"{name}\n" for name in labels))


def _object(box: Box, label: str) -> Element:
    """One object; its corners are integers, since other tools read no others."""
    root = Element("object")
    for name, text in (("name", label), ("pose", "Unspecified")):
        SubElement(root, name).text = text
    for name in ("truncated", "difficult"):
        SubElement(root, name).text = "0"
    bounds = SubElement(root, "bndbox")
    x1, y1, x2, y2 = map(round, box.corners)
    # Thin boxes keep a pixel; the last pixel is part of the box.
    corners = (x1 + 1, y1 + 1, max(x2, x1 + 1), max(y2, y1 + 1))
    for name, value in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True):
        SubElement(bounds, name).text = str(value)
    return root
