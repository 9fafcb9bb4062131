"""Writes lines and zones back to their YAML file, keeping its comments and order."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from livevision.config.scene.parts import Scene
from livevision.config.scene.reading import scene_of
from livevision.errors import ModelError, UsageError, missing_package, unknown
from livevision.files import whole

Corners = Sequence[Sequence[float]]

_DIGITS = 4  # of a fraction: a third of a pixel in 4K
_writing = threading.Lock()


def write_shapes(
    file: Path,
    zones: Mapping[str, Corners | None] | None = None,
    lines: Mapping[str, Corners | None] | None = None,
    ignore: Sequence[Corners] | None = None,
    *,
    within: Sequence[str] = (),
) -> Scene:
    """Set the points of zones and lines in a YAML file; everything else stays.

    Other settings of a zone, such as its classes, stay. The file is replaced atomically, or stays
    as it was. Safe from any thread.

    Args:
        file: A scene, or a file of ``--config``.
        zones, lines: New corners by name, as fractions of the picture or in pixels; None removes
            the zone or line. Others stay.
        ignore: New ignored regions, replacing the present ones; None leaves them.
        within: Keys that lead to the scene in the file, as ("sources", "door"); empty if the file
            is a scene.

    Returns:
        The scene as written.

    Raises:
        UsageError: The file cannot be read or written, has no such keys, or the result would not be
            a valid scene: a shape is invalid, or a rule needs what was removed.
        ModelError: ruamel.yaml is not installed.
    """
    with _writing:
        try:
            before = file.read_bytes()
            text = before.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {file}: {error}") from None
        changed, scene = _changed(file, text, {"zones": zones, "lines": lines}, ignore, within)
        content = changed.encode()
        if b"\r\n" in before:
            content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        if before.startswith(b"\xef\xbb\xbf"):
            content = b"\xef\xbb\xbf" + content
        try:
            if file.read_bytes() != before:
                raise UsageError(f"{file} was changed by somebody else meanwhile; try again")
            with whole(file, durable=True) as part:
                part.write_bytes(content)
                shutil.copymode(file, part)
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror}") from None
    return scene


def _changed(
    file: Path,
    text: str,
    shapes: Mapping[str, Mapping[str, Corners | None] | None],
    ignore: Sequence[Corners] | None,
    within: Sequence[str],
) -> tuple[str, Scene]:
    """The new text of the file, and its scene."""
    try:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError
        from ruamel.yaml.util import load_yaml_guess_indent
    except ModuleNotFoundError:
        raise ModelError(
            missing_package("ruamel.yaml", "writing zones into a file", "web")
        ) from None
    try:
        _, indent, offset = load_yaml_guess_indent(text)
        yaml = YAML()
        yaml.preserve_quotes, yaml.width = True, 4096
        if indent is not None:
            yaml.indent(mapping=2 if offset else indent, sequence=indent, offset=offset or 0)
        content = yaml.load(text)
    except YAMLError as error:
        raise UsageError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
    content = yaml.map() if content is None else content
    place = _place(content, within, file)
    for part, named in shapes.items():
        for name, corners in (named or {}).items():
            _set(yaml, place, part, name, corners, file)
    if ignore is not None:
        place["ignore"] = yaml.seq(_flow(yaml, corners) for corners in ignore)
    written = io.StringIO()
    yaml.dump(content, written)
    return written.getvalue(), _read_back(written.getvalue(), within, file)


def _place(content: Any, within: Sequence[str], file: Path) -> Any:
    """The mapping with the scene."""
    place = content
    for key in within:
        if not isinstance(place, Mapping) or key not in place:
            there = list(place) if isinstance(place, Mapping) else []
            raise UsageError(f"{file}: {unknown('key', key, map(str, there))}")
        place = place[key]
    if not isinstance(place, Mapping):
        raise UsageError(
            f"{file}: {'.'.join(within) or 'it'} holds no settings to write zones into"
        )
    inner = place.get("scene")
    if isinstance(inner, Mapping):
        return inner
    if inner is not None:
        raise UsageError(f"{file}: the scene of {'.'.join(within)} is in {inner}: write it there")
    return place


def _set(yaml: Any, place: Any, part: str, name: str, corners: Corners | None, file: Path) -> None:
    """Set, add or remove one shape."""
    if corners is None:
        if name not in (place.get(part) or ()):
            raise UsageError(f"{file}: {unknown(part[:-1], name, map(str, place.get(part) or ()))}")
        del place[part][name]
        return
    if place.get(part) is None:
        place[part] = yaml.map()
    if name not in place[part]:
        shape = yaml.map()
        shape.fa.set_flow_style()
        place[part][name] = shape
    place[part][name]["points"] = _flow(yaml, corners)


def _flow(yaml: Any, corners: Corners) -> Any:
    """Points as ``[[0.1, 0.2], …]``; fractions have four digits."""
    pixels = any(number > 1 for point in corners for number in point)
    listed = yaml.seq()
    for point in corners:
        listed.append(yaml.seq(_plain(float(number), pixels) for number in point))
    for each in (listed, *listed):
        each.fa.set_flow_style()
    return listed


def _plain(number: float, pixels: bool) -> float | int:
    rounded = round(number, 1 if pixels else _DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


def _read_back(text: str, within: Sequence[str], file: Path) -> Scene:
    """The scene in a text, read as in a run."""
    import yaml

    try:
        content: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{file}: {str(error).splitlines()[0]}") from None
    for key in within:
        content = content[key]
    content = content.get("scene") or content
    if within:
        content = {
            key: content[key] for key in ("lines", "zones", "ignore", "rules") if key in content
        }
    return scene_of(content, str(file))
