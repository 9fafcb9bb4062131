"""Loads settings from a YAML file and overrides them with those of the command line.

The keys are the names of the flags, with - or _. As on the command line, relative paths start from
the current folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livevision.config import Settings
from livevision.config.habits import instead_of
from livevision.errors import UsageError, unknown
from livevision.files import with_home
from livevision.shipped import shipped


def load(file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Load the settings of a run from ``file``, overridden by ``flags``.

    Args:
        file: A YAML file, or the name of a shipped one (``webcam-segment``); None for no file.
        flags: Values given on the command line, by field name.

    Raises:
        UsageError: The file cannot be read, a key is unknown, or a value is not allowed.
    """
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    if file is not None:
        values, places = _read(find(file))

    def where(name: str) -> str:
        return f"--{name.replace('_', '-')}" if name in flags else places.get(name, name)

    if "sources" in values and "source" in flags:
        # The flag replaces the sources of the file.
        del values["sources"]

    return Settings.checked({**values, **flags}, where)


def find(file: Path) -> Path:
    """The file that ``--config`` means: one that is there, or a shipped one by its name.

    Raises:
        UsageError: There is none.
    """
    file = with_home(file)
    if file.exists():
        return file
    ready_made = shipped("run")
    if len(file.parts) == 1 and file.name.removesuffix(".yaml") in ready_made:
        return ready_made[file.name.removesuffix(".yaml")]
    raise UsageError(
        f"--config: there is no file {str(file)!r}; ready-made ones: {', '.join(ready_made)}"
    )


def _read(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The values in a YAML file by field name, and the location of each for messages."""
    import yaml

    try:
        loader = yaml.SafeLoader(file.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        content = None if node is None else loader.construct_document(node)
    except OSError as error:
        raise UsageError(f"--config: cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"--config: {file} is not a text file in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{file}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{file}: not valid YAML: {reason}") from None
    if content is None:
        return {}, {}
    if not isinstance(node, yaml.MappingNode):
        raise UsageError(f"{file}: needs lines of settings such as 'task: segment'")

    names = [name.replace("_", "-") for name in Settings.model_fields]
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = f"{file}:{key_node.start_mark.line + 1}"
        name = str(key).replace("-", "_")
        if name not in Settings.model_fields:
            instead = instead_of(str(key))
            if instead is not None:
                raise UsageError(f"{line}: unknown setting {str(key)!r}. Here, as flag: {instead}")
            raise UsageError(f"{line}: {unknown('setting', str(key).replace('_', '-'), names)}")
        if name in values:
            raise UsageError(f"{line}: {key} is set a second time")
        values[name] = content[key]
        places[name] = f"{line}: {key}"
    if isinstance(values.get("sources"), dict):
        values["sources"] = _with_underscores(values["sources"])
        top = next(value for key, value in node.value if key.value == "sources")
        places |= _places(top, ("sources",), file)
    return values, places


def _with_underscores(sources: dict[Any, Any]) -> dict[str, Any]:
    """The settings of sources by field name; a plain text in place of settings is the URI."""
    fields: dict[str, Any] = {}
    for name, given in sources.items():
        if isinstance(given, str | int) and not isinstance(given, bool):
            fields[str(name)] = {"uri": given}
        elif isinstance(given, dict):
            fields[str(name)] = {str(k).replace("-", "_"): v for k, v in given.items()}
        else:
            fields[str(name)] = given
    return fields


def _places(node: Any, above: tuple[str, ...], file: Path) -> dict[str, str]:
    """The location of each key below a key, by dotted name.

    Raises:
        UsageError: A key occurs twice.
    """
    import yaml

    places: dict[str, str] = {}
    if not isinstance(node, yaml.MappingNode):
        return places
    for key_node, value in node.value:
        key = str(key_node.value)
        name = ".".join((*above, key.replace("-", "_") if len(above) > 1 else key))
        line = f"{file}:{key_node.start_mark.line + 1}: {key}"
        if name in places:
            raise UsageError(f"{line} is set a second time")
        places[name] = line
        places |= _places(value, (*above, key), file)
    return places
