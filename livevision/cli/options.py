"""Click options made from the fields of `Settings`, so that the two cannot drift apart.

Click only collects the values; `Settings` validates them, so that a wrong value gives the same
message from a flag, a YAML file and Python.
"""

from __future__ import annotations

from typing import Any, get_origin

import click

from livevision.config import Settings
from livevision.config.flags import flag_of, has_flag, kind_of
from livevision.errors import UsageError

_LONGEST_LIST = 70


class SettingOption(click.Option):
    """The flag of a setting, with its heading in the help."""

    def __init__(self, *args: Any, heading: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Name and help; the `--no-` form only if the default is on."""
        record = super().get_help_record(ctx)
        if record is None or not self.is_flag:
            return record
        if Settings.model_fields[str(self.name)].default:
            return f"--[no-]{self.opts[-1][2:]}", record[1]
        return ", ".join(self.opts), record[1]


def setting_options() -> list[click.Option]:
    """One option for each setting that has a flag, in field order."""
    return [_option(name) for name, field in Settings.model_fields.items() if has_flag(field)]


def given(context: click.Context) -> dict[str, Any]:
    """The settings given on the command line, by field name.

    Raises:
        UsageError: A flag took the next flag as its value.
    """
    source = click.core.ParameterSource.COMMANDLINE
    values = {
        name: value
        for name, value in context.params.items()
        if name in Settings.model_fields and context.get_parameter_source(name) is source
    }
    for name, value in values.items():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str) and item.startswith("--"):
                raise UsageError(f"--{name.replace('_', '-')} needs a value; {item} follows it")
    return values


def format_grouped(
    command: click.Command, parent: click.Context, formatter: click.HelpFormatter
) -> None:
    """Write a command's options under their headings."""
    context = click.Context(command, parent=parent)
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            heading = getattr(parameter, "heading", "More")
            sections.setdefault(heading, []).append(record)
    for heading, records in sections.items():
        with formatter.section(heading):
            formatter.write_dl(records)


def _option(name: str) -> click.Option:
    field = Settings.model_fields[name]
    flag = flag_of(field)
    text = field.description or ""
    long = f"--{name.replace('_', '-')}"
    if kind_of(field) is bool:
        names = [*filter(None, [flag.short]), f"{long}/--no-{long[2:]}"]
        return SettingOption(names, heading=flag.group, default=None, help=text)
    notes = []
    if flag.choices:
        short = "|".join(flag.choices)
        # Wrapping could break a long list in the middle of a name.
        notes.append(short if len(short) <= _LONGEST_LIST else ", ".join(flag.choices))
    if field.default not in (None, ()) and not field.is_required():
        notes.append(
            f"default {field.default:g}" if kind_of(field) is float else f"default {field.default}"
        )
    return SettingOption(
        [*filter(None, [flag.short]), long],
        heading=flag.group,
        metavar=f"[{flag.metavar}]" if flag.bare else flag.metavar,
        multiple=get_origin(kind_of(field)) is tuple and name != "imgsz",
        type=click.UNPROCESSED,
        default=None,
        help=f"{text} [{'; '.join(notes)}]" if notes else text,
        **({"is_flag": False, "flag_value": flag.bare} if flag.bare else {}),
    )
