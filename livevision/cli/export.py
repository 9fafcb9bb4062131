"""`livevision export`: a model as an ONNX file that runs without PyTorch."""

from __future__ import annotations

from pathlib import Path

import click

from livevision.errors import ModelError, OutputError, UsageError


@click.command("export")
@click.argument("model")
@click.option(
    "--output",
    required=True,
    metavar="FILE.onnx",
    type=click.Path(path_type=Path),
    help="The file.",
)
@click.option("--imgsz", metavar="N|WxH", help="Size of the input; the model's own by default.")
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Weights of your own (.safetensors).",
)
@click.option("--untrained", is_flag=True, help="Export a net without weights, to measure speed.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def command(
    model: str,
    output: Path,
    imgsz: str | None,
    weights: Path | None,
    untrained: bool,
    overwrite: bool,
) -> None:
    """Write MODEL as a file that runs without PyTorch: --weights FILE.onnx takes it."""
    from livevision.export import export_graph
    from livevision.model_choice import card_of, files_of

    if output.suffix != ".onnx":
        raise UsageError(f"--output {output}: the name must end in .onnx")
    if weights is not None and weights.suffix == ".onnx":
        raise UsageError(f"--weights {weights} is exported already; give a .safetensors file")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; --overwrite replaces it")
    if not output.parent.is_dir():
        raise OutputError(f"--output {output}: there is no folder {output.parent}")
    card = card_of(model, weights)
    files = files_of(card, weights, size_of(imgsz), untrained)
    if files.weights is None and not untrained:
        raise ModelError(f"model {model!r} has only a graph here; give --weights FILE.safetensors")
    difference = export_graph(files, card, output)
    unit = "of the pixels" if card.task == "segment" else "in a score"
    click.echo(f"difference from PyTorch on a test picture: {difference:.2g} {unit}", err=True)
    click.echo(str(output))


def size_of(text: str | None) -> tuple[int, int] | None:
    """(width, height) in pixels of a size as ``--imgsz`` takes it.

    Raises:
        UsageError: It is not one.
    """
    if text is None:
        return None
    parts = text.replace("×", "x").split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"--imgsz {text!r}: give a size such as 640 or 640x352")
    return int(parts[0]), int(parts[-1])
