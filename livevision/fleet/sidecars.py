"""Sidecars: beside each finished output, from what and how it was made.

The sidecar of ``out/a.mp4`` is ``out/.livevision/a.mp4.json``. It is written before the output is
renamed to its final name, so that an output with a fitting sidecar is a whole one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livevision.fleet.places import HIDDEN, Place
from livevision.version import __version__

if TYPE_CHECKING:
    from livevision.config import Settings

_WITHOUT_EFFECT = frozenset(
    [
        *("source", "sources", "output", "report", "overwrite", "headless", "progress", "verbose"),
        *("quiet", "log_format", "workers", "on", "cpus_per_worker", "gpus_per_worker", "threads"),
        *("part", "weights", "recordings", "max_disk", "keep", "retry_for"),
    ]
)


def settings_hash(settings: Settings, files: Iterable[Path | None]) -> str:
    """A hash of all that changes results: settings, the models' files and the version."""
    from livevision.config.values import plain

    values = {
        name: plain(name, getattr(settings, name))
        for name in sorted(type(settings).model_fields)
        if name not in _WITHOUT_EFFECT
    }
    digests = [Place(str(file)).digest() for file in files if file is not None and file.is_file()]
    if settings.scene is not None:
        digests.append(Place(str(settings.scene)).digest())
    told = json.dumps([__version__, values, digests], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def sidecar_of(output: Place) -> Place:
    """The sidecar of an output."""
    return output.beside(HIDDEN, f"{output.name}.json")


def finished(output: Place, settings: str, source: Place) -> bool:
    """Whether an output is whole, made with these settings, of this content of its source.

    A source whose size and time are those of the sidecar is not read again.
    """
    found = read(sidecar_of(output))
    if found is None or found.get("settings") != settings or found.get("error"):
        return False
    if output.size() != found.get("bytes"):
        return False
    return same_source(found.get("input") or {}, source)


def same_source(known: Mapping[str, Any], source: Place) -> bool:
    """Whether a file has the content that is known by mark and hash."""
    now = source.mark()
    if all(known.get(key) == now[key] for key in now):
        return True
    return known.get("size") == now["size"] and known.get("sha256") == source.digest()


def identity(source: Place) -> dict[str, Any]:
    """What a sidecar says of its input: size, time and SHA-256."""
    return {"name": str(source), **source.mark(), "sha256": source.digest()}


def write(output: Place, path: Path, settings: str, source: Mapping[str, Any], **more: Any) -> None:
    """Write the sidecar of an output that is about to be renamed.

    Args:
        output: The output.
        path: The finished file, under its temporary name.
        settings: From ``settings_hash``.
        source: From ``identity``.
        more: Other entries.
    """
    content = {
        "settings": settings,
        "input": dict(source),
        "bytes": path.stat().st_size,
        "version": __version__,
        **more,
    }
    sidecar_of(output).write((json.dumps(content, indent=1) + "\n").encode())


def read(sidecar: Place) -> dict[str, Any] | None:
    """The entries of a sidecar; None if there is none, or it is broken."""
    content = sidecar.read()
    if content is None:
        return None
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
