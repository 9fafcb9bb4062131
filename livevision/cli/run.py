"""`livevision run`, the default command: builds settings from flags and YAML and runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from livevision.cli import messages
from livevision.cli.habits import flags_for, has_pairs, without_secrets
from livevision.cli.options import format_grouped, given, setting_options
from livevision.config.yaml_file import find, load
from livevision.errors import UsageError
from livevision.runtime.own_process import without_collection
from livevision.shipped import shipped


class RunCommand(click.Command):
    """A command whose help puts the flags under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags under their headings."""
        format_grouped(self, ctx, formatter)


@click.command(
    "run",
    cls=RunCommand,
    params=setting_options(),
    context_settings={"allow_extra_args": True, "max_content_width": 100},
    options_metavar="[FLAGS]",
    epilog="--no-… turns a switch off, to override a YAML file.",
)
@click.option(
    "--config",
    metavar="FILE",
    type=click.UNPROCESSED,
    help="Read settings from a YAML file whose keys are these flags; flags override it. "
    f"Ready-made: {', '.join(shipped('run'))}.",
)
@click.option("--print-config", is_flag=True, help="Print the settings as YAML and exit.")
@click.pass_context
def command(context: click.Context, /, config: str | None, print_config: bool, **_: Any) -> int:
    """Run models on video and write or show the results."""
    flags = given(context)
    if context.args:
        raise UsageError(_unexpected(context.args, flags))
    file = find(Path(config)) if config is not None else None
    settings = load(file, flags)
    if print_config:
        click.echo(settings.to_yaml(), nl=False)
        return 0
    messages.set_up(settings.verbose, settings.quiet, settings.log_format == "json")
    if settings.workers is not None or settings.on is not None:
        from livevision.fleet.running import run as run_backlog

        return run_backlog(settings)
    own_process = bool(context.obj)
    with without_collection(own_process):
        from livevision.app import run

    return run(
        settings,
        own_process=own_process,
        config=file,
        read=None if file is None else lambda: load(file, flags),
    )


def _unexpected(words: Sequence[str], flags: Mapping[str, Any]) -> str:
    """The message for arguments that belong to no flag."""
    if all(word.isdecimal() for word in words) and "classes" in flags:
        chosen = ",".join([*map(str, flags["classes"]), *words])
        return (
            f"unexpected argument {words[0]!r}: several classes are one value: --classes {chosen}"
        )
    if has_pairs(words):
        return f"unexpected argument {without_secrets(words[0])!r}: {flags_for(words)}"
    return (
        f"unexpected argument {without_secrets(words[0])!r}: for several files repeat --source, or "
        "quote a glob, as in --source 'clips/*.mp4'"
    )
