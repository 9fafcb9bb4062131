"""The table of commands. Each is imported when it is called; `run` is the default."""

from __future__ import annotations

import importlib
from typing import Any

import click

from livevision.cli.habits import answer, export_for, has_pairs
from livevision.cli.options import format_grouped
from livevision.errors import UsageError, unknown
from livevision.runtime.own_process import without_collection
from livevision.version import __version__

COMMANDS = {
    "run": "Run models on video and write or show the results (the default command).",
    "models": "List the shipped models and the nets: size, score, licence.",
    "export": "Write a model as a file that runs without PyTorch.",
    "import": "Convert a checkpoint of another project to livevision weights.",
    "train": "Train a net on a folder of labelled pictures, or from a recipe.",
    "cutouts": "Cut objects out of labelled pictures, to paste them in training.",
    "label": "Label pictures or video with a model, to train on.",
    "eval": "Score a model on labelled pictures.",
    "fleet": "Run cameras on the nodes of a cluster, with one page.",
    "summary": "Summarise a store of events: counts by hour, dwell times; as HTML too.",
    "bench": "Measure nets, engines and the whole pipeline on this machine.",
    "doctor": "Check this machine: packages, engines, cameras, display, encoders.",
    "demo": "Fetch a short clip and run both tasks on it.",
}

EXAMPLES = """\
  livevision --source webcam --task segment
  livevision --source in.mp4 --task detect --output out.mp4
  livevision --source rtsp://cam/stream --task both --headless --output results.jsonl
  livevision --source 'clips/*.mp4' --task detect --output runs/ --report report.json
  livevision --config webcam-segment"""


class Commands(click.Group):
    """A group that imports commands on use and defaults to `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `run` before arguments that begin with one of its flags."""
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(UsageError.exit_code)
        if args[0].startswith("-") and args[0] not in ("-h", "--help", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in help order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of this name; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        # `import` is a keyword and cannot name a module.
        name = f"livevision.cli.{cmd_name.replace('import', 'import_')}"
        with without_collection(bool(ctx.obj)):
            module = importlib.import_module(name)
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command; an unknown name gets a suggestion.

        Raises:
            UsageError: There is no such command.
        """
        name = args[0]
        if name not in COMMANDS:
            raise UsageError(answer(args) or unknown("command", name, COMMANDS))
        if name == "export" and has_pairs(args):
            raise UsageError(export_for(args))
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the flags of `run`."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        run = self.get_command(ctx, "run")
        if run is not None:
            format_grouped(run, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples without wrapping them."""
        with formatter.section("Examples"):
            formatter.write(EXAMPLES + "\n")


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    options_metavar="",
    subcommand_metavar="[COMMAND] [FLAGS]",
)
@click.version_option(__version__, message="livevision %(version)s")
def cli() -> None:
    """Object detection and segmentation on live video: files, cameras and network streams."""
