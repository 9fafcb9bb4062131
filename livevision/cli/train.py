"""`livevision train`: trains a net on labelled pictures, to a file that runs on live video."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import yaml

from livevision.cli.eval import FORMATS
from livevision.cli.export import size_of
from livevision.errors import DataError, UsageError
from livevision.files import with_home


@click.command("train")
@click.argument("words", nargs=-1, metavar="FOLDER|RECIPE")
@click.option(
    "--data",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Base folder for relative paths in a recipe; default: the current folder.",
)
@click.option(
    "--task",
    type=click.Choice(["detect", "segment", "classify"]),
    help="Task, if the folder has labels for several.",
)
@click.option(
    "--model",
    "--net",
    "model",
    metavar="NAME",
    help="Start from a shipped model, your own weights (.safetensors), or a net's name for random "
    "weights; default: the task's usual model.",
)
@click.option(
    "--epochs",
    type=click.FloatRange(0, min_open=True),
    help="Passes over all pictures; default: 10 to 300, depending on their number.",
)
@click.option("--imgsz", metavar="N|WxH", help="Input size; default: the model's own.")
@click.option("--batch", type=click.IntRange(1), help="Batch size (per process).")
@click.option("--device", metavar="DEV", help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--format",
    "form",
    default="auto",
    help=f"Format of the labels; default: recognised. One of {FORMATS}.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a setting of the recipe, such as steps=500; a dot reaches into a group. May be "
    "repeated.",
)
@click.option(
    "--out",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder for the results; default: runs/NAME.",
)
@click.option("--resume", is_flag=True, help="Continue a stopped run in the same folder.")
def command(
    words: tuple[str, ...],
    data: Path | None,
    task: str | None,
    model: str | None,
    epochs: float | None,
    imgsz: str | None,
    batch: int | None,
    device: str | None,
    form: str,
    settings: tuple[str, ...],
    out: Path | None,
    resume: bool,
) -> None:
    """Train a net on a FOLDER of labelled pictures, or from a RECIPE.

    FOLDER holds boxes (YOLO with a data.yaml, COCO's JSON or Pascal VOC's XML), PNGs with the class
    of each pixel, or a folder of pictures for each class. A file works too (data.yaml, .json,
    .zip). livevision chooses what you leave out and prints its choice. RECIPE is a YAML file or the
    name of a shipped recipe.

    Ctrl-C stops the run and saves its state; --resume continues with the same batches, also after a
    power cut. On several GPUs: torchrun --nproc-per-node N -m livevision train WHAT. Exit code 3:
    the data are missing or broken.
    """
    what, data = _one(words, data)
    size, length = size_of(imgsz), epochs or 0.0
    pictures = _pictures(what)
    if pictures is None:
        from livevision.training.recipe_file import find_recipe

        file = find_recipe(what)
        if data is not None and not data.is_dir():
            raise UsageError(f"--data {data}: there is no such folder")
        own = {"--model": model, "--task": task, "--format": form != "auto"}
        for flag in (flag for flag, value in own.items() if value):
            raise UsageError(
                f"{flag} is for a folder of pictures; in a recipe set it with --set KEY=VALUE"
            )
        over: dict[str, object] = {"epochs": epochs, "batch_size": batch, "device": device}
        over["input_size"] = list(size) if size else None
        flags = [f"{name}={value}" for name, value in over.items() if value is not None]
        from livevision.training.run import run_of_recipe

        run = run_of_recipe(file, data or Path(), out, [*settings, *flags])
    else:
        if data is not None:
            raise UsageError(f"--data {data} is for recipes; {what} is labelled pictures itself")
        from livevision.training.folder import Wishes
        from livevision.training.run import run_of_folder

        choices = Wishes(task or "", model or "", form, size, batch or 0, length, device or "auto")
        run = run_of_folder(pictures, choices, out, settings)
    best = run.train(resume)
    if not best:
        return  # only the first of several processes prints
    figures = {name: value for name, value in best.items() if name != "step"}
    step = f" after step {best['step']:.0f}" if "step" in best else ""
    click.echo(f"best{step}: " + "  ".join(f"{n} {v:.4f}" for n, v in figures.items()))
    weights = shlex.quote(str(run.out / "best.safetensors"))
    click.echo(f"run it: livevision --source webcam --weights {weights}")


def _one(words: tuple[str, ...], data: Path | None) -> tuple[str, Path | None]:
    """What to train on, and the base folder of a recipe's data.

    Raises:
        UsageError: Nothing was given, or it is in another tool's syntax.
    """
    pairs = dict(word.split("=", 1) for word in words if "=" in word and not Path(word).exists())
    if pairs:
        command = ["livevision", "train", pairs.pop("data", None) or next(iter(words), "FOLDER")]
        command[2] = "FOLDER" if "=" in command[2] else command[2]
        for name in ("epochs", "imgsz", "batch", "device"):
            command += [f"--{name}", pairs[name]] if name in pairs else []
        raise UsageError(
            f"things are named by flags here: {shlex.join(command)}; --model takes the models that "
            "'livevision models' lists"
        )
    if len(words) > 1:
        raise UsageError(
            f"{' '.join(map(repr, words))}: train takes one folder or recipe; a recipe may name "
            "several data sets"
        )
    if words:
        return words[0], data
    if data is None:
        raise UsageError("say what to train on: livevision train FOLDER, a folder of pictures")
    return str(data), None


def _pictures(what: str) -> Path | None:
    """The folder or file of labelled pictures; None for a recipe.

    Raises:
        DataError: It looks like a folder, but does not exist.
    """
    path = with_home(what)
    if path.is_dir() or (path.suffix in (".json", ".zip") and path.is_file()):
        return path
    if path.suffix in (".yaml", ".yml"):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return None  # the recipe reader reports the error
        # YOLO's data.yaml has class names; a recipe has a net.
        return (
            path
            if isinstance(content, dict) and "names" in content and "net" not in content
            else None
        )
    if path.suffix in (".json", ".zip") or path.name != what:
        raise DataError(f"{what}: there is no such folder or file of labelled pictures")
    return None
