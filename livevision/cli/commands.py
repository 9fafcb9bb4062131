"""The table of commands, each imported when it is called; `run` needs not be named."""

from __future__ import annotations

import importlib
from typing import Any

import click

from livevision.cli.habits import answer, export_for, has_pairs
from livevision.cli.options import format_grouped
from livevision.errors import UsageError, unknown
from livevision.version import __version__

COMMANDS = {
    "run": "Look at video and write or show what is in it; need not be named.",
    "models": "List the models that come with livevision, and the nets: size, score, licence.",
    "export": "Write a model as a file that runs without torch.",
    "import": "Convert a checkpoint of another project into weights of ours.",
    "train": "Train a net on a folder of labelled pictures, or as a recipe says.",
    "cutouts": "Cut objects out of labelled pictures by their masks, to be pasted in training.",
    "label": "Have a model label pictures or video: a data set to train on.",
    "eval": "Score a model on labelled pictures, run as on video.",
    "bench": "Measure nets, engines and the whole pipeline on this machine.",
    "doctor": "Check this machine: packages, engines, cameras, display, encoders.",
    "demo": "Fetch a short clip, run both tasks on it and say where the results are.",
}

EXAMPLES = """\
  livevision --source webcam --task segment
  livevision --source in.mp4 --task detect --output out.mp4
  livevision --source rtsp://cam/stream --task both --headless --output results.jsonl
  livevision --source 'clips/*.mp4' --task detect --output runs/ --report report.json
  livevision --config webcam-segment"""


class Commands(click.Group):
    """A group whose commands are imported on use, and whose default command is `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `run` in front of arguments that begin with one of its flags."""
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(UsageError.exit_code)
        if args[0].startswith("-") and args[0] not in ("-h", "--help", "--version"):
            args = ["run", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now; None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        # Python does not import a module by the name of `import`.
        module = importlib.import_module(f"livevision.cli.{cmd_name.replace('import', 'import_')}")
        command: click.Command = module.command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with a suggestion for a name that is not known.

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
        """Commands first, then the flags of `run`, which most people come for."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        run = self.get_command(ctx, "run")
        if run is not None:
            format_grouped(run, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, which wrapping would spoil."""
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
    """Boxes and class maps on live video: files, cameras and network streams."""
