"""CVAT's format for images, version 1.1: one XML file, for manual correction there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from livevision.labelling.record import Record, put

PICTURES = "images"
KIND = "detect"


def write(folder: Path, labels: Sequence[str], records: Sequence[Record]) -> None:
    """Write `annotations.xml`."""
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    known = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for name in labels:
        label = SubElement(known, "label")
        SubElement(label, "name").text = name
        SubElement(label, "attributes")
    for number, record in enumerate(records):
        image = SubElement(
            root,
            "image",
            id=str(number),
            name=record.file,
            width=str(record.width),
            height=str(record.height),
        )
        for box in record.objects:
            x1, y1, x2, y2 = (f"{value:.2f}" for value in box.corners)
            SubElement(
                image,
                "box",
                label=labels[box.class_id],
                source="auto",
                occluded="0",
                xtl=x1,
                ytl=y1,
                xbr=x2,
                ybr=y2,
                z_order="0",
            )
    indent(root)
    put(folder / "annotations.xml", tostring(root, encoding="utf-8", xml_declaration=True))
