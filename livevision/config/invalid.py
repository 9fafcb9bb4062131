"""Messages for invalid settings: one line with the value, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from livevision.config.flags import allowed
from livevision.config.habits import instead_of
from livevision.config.sources import SourceSettings
from livevision.errors import unknown
from livevision.redact import redact


def explain(
    error: ErrorDetails, where: Callable[[str], str], fields: Mapping[str, FieldInfo]
) -> str:
    """The message, one line, for one invalid setting.

    Args:
        error: From pydantic.
        where: Gives a field's name for the message.
        fields: Those of the settings.
    """
    name = str(error["loc"][0]) if error["loc"] else ""
    if name == "sources" and len(error["loc"]) > 1:
        return _explain_source(error, where)
    if error["type"] == "extra_forbidden":
        instead = instead_of(name)
        if instead is not None:
            return f"unknown setting {name!r}. Here, as flag or setting: {instead}"
        return unknown("setting", name, fields)
    place = f"{where(name)}: " if name else ""
    if error["type"] == "value_error":
        return f"{place}{redact(str(error['ctx']['error']))}"
    return f"{place}{redact(repr(error['input']))} is not {allowed(fields[name])}"


def _explain_source(error: ErrorDetails, where: Callable[[str], str]) -> str:
    """The message, one line, for one invalid setting of a source."""
    source, key = str(error["loc"][1]), str(error["loc"][2]) if len(error["loc"]) > 2 else ""
    place = where(".".join(("sources", source, key)).rstrip("."))
    if error["type"] == "extra_forbidden":
        names = [name.replace("_", "-") for name in SourceSettings.model_fields]
        return f"{place}: {unknown('setting of a source', key.replace('_', '-'), names)}"
    if error["type"] == "missing":
        return f"{place}: a source needs a {key}, such as rtsp://camera/stream or a file"
    if error["type"] == "value_error":
        return f"{place}: {redact(str(error['ctx']['error']))}"
    if not key:
        return (
            f"{place}: {redact(repr(error['input']))} is no source; write 'uri: …' below its name"
        )
    return f"{place}: {redact(repr(error['input']))}: {error['msg'].lower()}"
