"""Keeps third-party models under a name: from a file, or downloaded."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from livevision.errors import ModelError, OutputError
from livevision.models import catalog, imported
from livevision.models.fetching import fetch, sha256_of
from livevision.models.foreign.description import description_path
from livevision.models.foreign.graph_file import has_parts
from livevision.models.foreign.opening import open_foreign
from livevision.models.pinned import PINNED, Pinned


def keep_file(
    name: str,
    file: Path,
    labels: str | None = None,
    overwrite: bool = False,
    pinned: Pinned | None = None,
) -> Path:
    """Keep a copy of a third-party model file under a name.

    Args:
        name: The name.
        file: The graph; a YAML beside it is used.
        labels: See ``foreign.labels``.
        overwrite: Replace an existing model of this name.
        pinned: Facts about it, if it was downloaded.

    Returns:
        The copy.

    Raises:
        UsageError: The name is one of livevision's own, or the labels are unknown.
        ModelError: The file cannot run, or too little is known about it.
        OutputError: It cannot be written, or exists already.
    """
    taken = dict.fromkeys(catalog.every_name(), "one of livevision's own models")
    if pinned is None:
        taken |= {known: f"what 'livevision models get {known}' fetches" for known in PINNED}
    imported.check_name(name, taken, overwrite)
    opened = open_foreign(file, labels)
    card = replace(opened.card(), name=name)
    facts = card.summary() | {"weights": [f"{name}{file.suffix.lower()}"]}
    facts |= dict(zip(("params", "madds"), opened.counts(), strict=True))
    text = f"# {name}\n\nOf others: {opened.family or opened.description.output}"
    if pinned is None:
        text += f", imported from {file.name}.\n"
    else:
        facts |= {"data": pinned.data, "score": dict(pinned.score)}
        text += f", fetched from {pinned.page}.\n"
    facts["text"] = text
    # One file is kept: weights beside it would stay behind.
    content = opened.content() if file.suffix.lower() == ".onnx" and has_parts(file) else None
    return imported.keep(name, file, opened.described().to_yaml(), facts, content)


def get(
    name: str,
    file: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Path:
    """Download a known model, verify it, and keep it under its name.

    Args:
        name: One of ``pinned.PINNED``.
        file: The file, if it was downloaded by hand.
        overwrite: Replace an existing one.
        progress: Called with the number of bytes downloaded.

    Raises:
        ModelError: The download failed, or is another file.
        OutputError: It cannot be written, or exists already.
    """
    model = PINNED[name]
    imported.check_name(name, {}, overwrite)
    place = imported.folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".get-", dir=place) as folder:
            graph = Path(folder) / f"{name}{model.suffix}"
            if file is not None:
                _check(file, model)
                shutil.copyfile(file, graph)
            else:
                part = place / f".{name}.part"
                fetch(model.url, model.sha256, model.size, part, progress)
                part.replace(graph)
            lines = {"licence": model.licence, "labels": model.labels, **model.fields}
            description_path(graph).write_text("".join(f"{k}: {v}\n" for k, v in lines.items()))
            return keep_file(name, graph, None, overwrite=True, pinned=model)
    except OSError as error:
        raise OutputError(f"cannot write into {str(place)!r}: {error.strerror or error}") from error


def _check(file: Path, model: Pinned) -> None:
    """Verify that a file is the known one.

    Raises:
        ModelError: It is missing, or another one.
    """
    if not file.is_file():
        raise ModelError(f"--from {str(file)!r}: no such file")
    found = sha256_of(file)
    if found != model.sha256:
        raise ModelError(
            f"--from {str(file)!r} is another file than expected: SHA-256 {found}, "
            f"not {model.sha256}; get it from {model.page}"
        )
