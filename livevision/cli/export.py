"""`livevision export`: writes a model as a file that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path

import click

from livevision.errors import ModelError, OutputError, UsageError
from livevision.output.place import end_of_links, refuse_special

_SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "tensorrt": ".engine"}
_PRECISIONS = {
    "onnx": ("fp32", "fp16", "int8"),
    "openvino": ("fp32", "fp16", "bf16", "int8"),
    "tensorrt": ("fp32", "fp16", "int8"),
}


@click.command("export")
@click.argument("model")
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file: .onnx, .xml or .engine. Default for int8: the file that --precision int8 "
    "loads.",
)
@click.option(
    "--format",
    "kind",
    metavar="FORMAT",
    help="onnx, openvino, or tensorrt for this machine's GPU; default: by the suffix of --output.",
)
@click.option(
    "--precision",
    default="fp32",
    show_default=True,
    metavar="PREC",
    help="fp32, fp16 or int8; for openvino also bf16. OpenVINO computes fp16 files in fp32.",
)
@click.option(
    "--calibrate",
    metavar="URI",
    multiple=True,
    help="For int8: a video, folder or glob of pictures like those of the application. Repeatable.",
)
@click.option(
    "--check",
    metavar="URI",
    multiple=True,
    help="Frames on which fp16, bf16 or int8 is compared with fp32; default for int8: a third of "
    "--calibrate, which then does not calibrate.",
)
@click.option("--force", is_flag=True, help="Keep a file that disagrees with fp32.")
@click.option("--imgsz", metavar="N|WxH", help="Input size; default: the model's own.")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Your own weights (.safetensors), or an fp32 graph (.onnx).",
)
@click.option(
    "--labels",
    metavar="NAME|FILE",
    help="Class names of a third-party ONNX file: coco80, voc20, cityscapes19 or a text file.",
)
@click.option(
    "--untrained", is_flag=True, help="Export a net with random weights, to measure speed."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def command(
    model: str,
    output: Path | None,
    kind: str | None,
    precision: str,
    calibrate: tuple[str, ...],
    check: tuple[str, ...],
    force: bool,
    imgsz: str | None,
    weights: Path | None,
    labels: str | None,
    untrained: bool,
    overwrite: bool,
) -> None:
    """Write MODEL as a file that runs without PyTorch; run it with --weights FILE.

    MODEL is a name that `livevision models` lists, or a third-party ONNX file.

    A file in fp16, bf16 or int8 is compared with fp32 on real frames and rejected if the agreement
    is below 0.85 for boxes (AP50), 0.75 for class maps (mIoU) or 0.9 for whole images (top-1).
    (top-1).
    """
    from livevision.inference.description import is_ours
    from livevision.models import lowering
    from livevision.models.choice import card_of, files_of, graph_file, int8_file

    kind = _kind(kind, output, precision)
    _check_options(kind, precision, calibrate, check)
    name: str | None = model
    own = graph_file(model)
    if own is not None:
        if weights is not None:
            raise UsageError(f"{model} is a file already; --weights is for a model's name")
        name, weights, model = None, own, own.stem
    ours = weights is not None and (
        weights.suffix != ".onnx" or not weights.is_file() or is_ours(weights)
    )
    if weights is not None and (
        weights.suffix in (".xml", ".engine")
        or (weights.suffix == ".onnx" and ours and (kind, precision) == ("onnx", "fp32"))
    ):
        raise UsageError(f"--weights {weights} is exported already; give a .safetensors file")
    size = size_of(imgsz)
    if output is None and precision != "int8":
        output = Path(_name(model, size, precision) + _SUFFIXES[kind])
    if output is not None:
        output = _checked(output, overwrite)
    card = card_of(name, weights, labels)
    if labels is not None and card.decoder is None:
        raise UsageError(f"--labels {labels}: {model} has class names; --labels is for ONNX files")
    files = files_of(card, weights, size, untrained)
    if files.outputs:
        raise ModelError(
            f"{str(weights)!r}: its outputs must be decoded outside the graph, so it cannot be "
            "exported; it runs as it is: livevision --model FILE"
        )
    if card.decoder is not None and (kind, precision) == ("onnx", "fp32"):
        assert output is not None
        assert files.graph is not None
        lowering.write_files({output: files.graph.read_bytes()})
    elif (kind, precision) == ("onnx", "fp32"):
        assert output is not None
        if files.weights is None and not untrained:
            line = f"model {model!r} has only a graph here; give --weights FILE.safetensors"
            raise ModelError(line)
        from livevision.models.export import export_graph

        difference = export_graph(files, card, output)
        unit = "of the pixels" if card.task == "segment" else "in a score"
        if difference is not None:
            shown = f"{difference:.2g} {unit}"
            click.echo(f"difference from PyTorch on a test picture: {shown}", err=True)
    else:
        if kind == "tensorrt":
            lowering.check_tensorrt()  # before frames are read
        if output is None:
            output = int8_file(files, kind)
            output.parent.mkdir(parents=True, exist_ok=True)
        write = {
            "onnx": lowering.write_onnx,
            "openvino": lowering.write_openvino,
            "tensorrt": lowering.write_tensorrt,
        }[kind]
        evidence = lowering.Evidence(
            lowering.frames_for(card, files, calibrate), lowering.frames_for(card, files, check)
        )
        found = write(files, card, output, precision, evidence, force)
        if found is not None:
            click.echo(f"agreement of {precision}: {found}", err=True)
    click.echo(str(output))


def _kind(kind: str | None, output: Path | None, precision: str) -> str:
    """The format, from --format, the suffix of --output and the precision."""
    if kind is not None and kind not in _SUFFIXES:
        raise UsageError(f"--format {kind}: known: {', '.join(_SUFFIXES)}")
    if output is None:
        # ONNX first if it supports this precision, as more programs read it.
        return kind or ("onnx" if precision in _PRECISIONS["onnx"][:2] else "openvino")
    by_suffix = next((k for k, suffix in _SUFFIXES.items() if output.suffix == suffix), None)
    if by_suffix is None or kind not in (None, by_suffix):
        allowed = " or ".join([_SUFFIXES[kind]] if kind else _SUFFIXES.values())
        raise UsageError(f"--output {output}: the name must end in {allowed}")
    return by_suffix


def _name(model: str, size: tuple[int, int] | None, precision: str) -> str:
    """A descriptive file name, without the suffix."""
    parts = [model, *(["x".join(map(str, size))] if size else [])]
    return "-".join([*parts, *([precision] if precision != "fp32" else [])])


def _check_options(
    kind: str, precision: str, calibrate: tuple[str, ...], check: tuple[str, ...]
) -> None:
    known = _PRECISIONS[kind]
    if precision not in known:
        also = next((k for k, can in _PRECISIONS.items() if precision in can), None)
        take = "" if also is None else f"; take --format {also}"
        raise UsageError(
            f"--precision {precision}: {kind} files are written in {', '.join(known)}{take}"
        )
    if precision == "int8" and not calibrate:
        raise UsageError(
            "--precision int8 is calibrated on frames like those of the application: "
            "give --calibrate CLIP.mp4, or a folder of pictures"
        )
    if precision in ("fp16", "bf16") and not check:
        raise UsageError(
            f"--precision {precision} is compared with fp32 on real frames: give --check CLIP.mp4, "
            "or a folder of pictures"
        )
    if calibrate and precision != "int8":
        raise UsageError("--calibrate is for --precision int8")
    if check and precision == "fp32":
        raise UsageError("--check is for --precision fp16, bf16 or int8")


def _checked(output: Path, overwrite: bool) -> Path:
    """The path that is written, with links resolved."""
    refuse_special(output, results=False)
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; --overwrite replaces it")
    if not output.parent.is_dir():
        raise OutputError(f"--output {output}: there is no folder {output.parent}")
    return end_of_links(output)


def size_of(text: str | None) -> tuple[int, int] | None:
    """Parse a size as ``--imgsz`` takes it to (width, height) in pixels.

    Raises:
        UsageError: Not a size.
    """
    if text is None:
        return None
    parts = text.replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--imgsz {text!r}: give a size such as 640 or 640x352")
    return int(parts[0]), int(parts[-1])
