"""Third-party models that the user keeps under a name: imported or downloaded.

Each is an ONNX file in the user's data folder, with its YAML description and a summary, so that
listing reads no graph. Neither torch nor numpy is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livevision.errors import ModelError, OutputError, UsageError
from livevision.files import data_folder, whole, write_whole

SUFFIXES = (".onnx", ".tflite", ".xml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def folder() -> Path:
    """Their folder; it need not exist."""
    return data_folder("models")


def path_of(name: str) -> Path | None:
    """The graph kept under a name; None if there is none."""
    if not _NAME.fullmatch(name):
        return None
    candidates = (folder() / f"{name}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def names() -> list[str]:
    """All names, sorted."""
    place = folder()
    found = place.iterdir() if place.is_dir() else ()
    return sorted(p.stem for p in found if p.suffix in SUFFIXES and not p.name.startswith("."))


def summary(name: str) -> dict[str, Any]:
    """A model's facts for lists: those of ``ModelCard.summary``, and ``text`` for people.

    Raises:
        ModelError: It cannot be read.
    """
    path = folder() / f"{name}.json"
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{str(path)!r}, which belongs to the model {name!r}, cannot be read: {error}; "
            "import the model again, with --overwrite"
        ) from error
    return dict(content)


def check_name(name: str, taken: Mapping[str, str], overwrite: bool) -> None:
    """Check that a model can be kept under a name.

    Args:
        name: The requested name.
        taken: Names with another meaning, and that meaning.
        overwrite: An existing model may be replaced.

    Raises:
        UsageError: It is invalid, or taken.
        OutputError: A model with this name exists.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r}: a name takes letters, digits and . _ - only")
    if name.lower().endswith((*SUFFIXES, ".engine", ".safetensors")):
        raise UsageError(f"{name!r}: a name must not end in a file suffix")
    if name in taken:
        raise UsageError(f"{name!r} is {taken[name]}; choose another name")
    if path_of(name) is not None and not overwrite:
        raise OutputError(f"a model {name!r} exists already; --overwrite replaces it")


def remove(name: str) -> list[Path]:
    """Delete the model kept under a name, with all its files.

    Returns:
        The deleted files; empty if there is no such model.

    Raises:
        OutputError: A file cannot be deleted.
    """
    if not _NAME.fullmatch(name):
        return []
    # The graph goes first: without it there is no model, whatever else is left.
    places = [folder() / f"{name}{suffix}" for suffix in (*SUFFIXES, ".bin", ".yaml", ".json")]
    if not any(place.is_file() for place in places):
        return []
    gone = []
    for place in places:
        try:
            place.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise OutputError(f"{str(place)!r} cannot be deleted: {error.strerror}") from error
        gone.append(place)
    return gone


def keep(
    name: str,
    file: Path,
    description: str,
    facts: Mapping[str, Any],
    content: bytes | None = None,
) -> Path:
    """Keep a copy of a file under a name, replacing an existing one.

    Args:
        name: The name.
        file: The graph.
        description: Text of its YAML description.
        facts: Facts for lists, see ``summary``.
        content: Kept in place of what is in the file.

    Returns:
        The copy.

    Raises:
        OutputError: It cannot be written.
    """
    place = folder()
    target = place / f"{name}{file.suffix.lower()}"
    beside = [(file.with_suffix(".bin"), target.with_suffix(".bin"))] if _is_pair(file) else []
    try:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(target.with_suffix(".yaml"), description)
        text = json.dumps(dict(facts), ensure_ascii=False, indent=1)
        write_whole(target.with_suffix(".json"), text)
        for old in (place / f"{name}{suffix}" for suffix in SUFFIXES):
            if old != target:
                old.unlink(missing_ok=True)
        if content is not None:
            write_whole(target, content)
        for source, copy in (*beside, (file, target))[: None if content is None else -1]:
            with whole(copy) as part, source.open("rb") as read, part.open("wb") as written:
                while piece := read.read(1 << 22):
                    written.write(piece)
    except OSError as error:
        why = error.strerror or error
        raise OutputError(f"{name!r} cannot be kept in {str(place)!r}: {why}") from error
    return target


def _is_pair(file: Path) -> bool:
    return file.suffix.lower() == ".xml"
