"""`livevision label`: makes a data set whose labels come from a model."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from livevision.cli.export import size_of
from livevision.errors import UsageError


@click.command("label")
@click.option("--model", "name", metavar="NAME", help="A model that 'livevision models' lists.")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Your own weights (.safetensors) or a graph (.onnx, .xml).",
)
@click.option(
    "--source",
    required=True,
    metavar="SRC",
    help="Pictures or videos: a folder (with subfolders), a file or a quoted glob.",
)
@click.option(
    "--output",
    required=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder of the data set; an unfinished one is continued.",
)
@click.option(
    "--format",
    "form",
    metavar="FORM",
    help="coco, yolo, voc or cvat for boxes, masks for class maps; coco or masks by default.",
)
@click.option("--conf", default=0.25, show_default=True, help="Minimum confidence of a box.")
@click.option(
    "--unsure",
    type=float,
    metavar="X",
    help="Boxes with confidence from X up to --conf become regions that training ignores (iscrowd "
    "in coco).",
)
@click.option("--every", default=10, show_default=True, help="Label every Nth video frame.")
@click.option("--flip", is_flag=True, help="Add a pass over the mirrored picture.")
@click.option(
    "--scales",
    metavar="N|WxH,…",
    help="Input sizes of the passes, such as 320,416; default: the model's own.",
)
@click.option(
    "--soft",
    is_flag=True,
    help="Keep the scores of all classes: of a box (coco), or before the arg-max (masks).",
)
@click.option("--classes", metavar="A,B", help="Names or numbers of the classes; default: all.")
@click.option("--link", is_flag=True, help="Hard-link pictures instead of copying them.")
@click.option("--engine", default="auto", show_default=True, help="openvino, onnx or torch.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda:N.")
@click.option("--precision", default="auto", show_default=True, help="fp32, fp16 or bf16.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads of the net.")
def command(
    name: str | None,
    weights: Path | None,
    source: str,
    output: Path,
    form: str | None,
    conf: float,
    unsure: float | None,
    every: int,
    flip: bool,
    scales: str | None,
    soft: bool,
    classes: str | None,
    link: bool,
    engine: str,
    device: str,
    precision: str,
    threads: int | None,
) -> None:
    """Label pictures or video with a model: a data set to train on, or to correct by hand.

    The passes of --flip and --scales are fused: boxes by weighted boxes fusion; a pixel gets the
    class of most passes, and is void on a tie. Sizes other than the model's own need PyTorch. Run
    the same command again to continue an interrupted run. contact_sheet.png shows 24 of the
    pictures with their labels. Exit code 3: pictures are missing or some of them are broken.
    """
    from livevision.labelling.formats import FORMATS, format_of

    if form is not None and form not in FORMATS:
        format_of(form)
    chosen = tuple(part.strip() for part in (classes or "").split(",") if part.strip())
    if classes is not None and not chosen:
        raise UsageError(f"--classes {classes!r} names none")
    sizes = [size_of(part.strip()) for part in scales.split(",")] if scales else [None]
    if len(set(sizes)) < len(sizes):
        raise UsageError(f"--scales {scales}: a size is given twice; remove one")
    from livevision.labelling.runner import Wishes, label
    from livevision.models.loading import load

    models = [
        load(
            name,
            engine,
            device,
            precision,
            weights=weights,
            imgsz=size,
            max_det=_MOST,
            classes=chosen or None,
            threads=threads,
        )
        for size in sizes
    ]
    options = Wishes(form or "", conf, unsure, flip, soft, chosen, every, link)
    try:
        made = label(models, source, output, options)
    finally:
        for model in models:
            model.close()
    before = f", {made.before} of them before" if made.before else ""
    objects = f" with {made.objects} objects" if made.form != "masks" else ""
    click.echo(f"{made.pictures} pictures{objects} labelled{before}: {output} ({made.form})")
    click.echo(f"look at them: {output / 'contact_sheet.png'}")
    if made.form != "cvat":
        click.echo(f"train on them: livevision train {shlex.quote(str(output))}")


_MOST = 300
"""Maximum boxes per picture, before the passes are fused."""
