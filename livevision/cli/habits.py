"""Answers commands of other tools with the equivalent livevision command.

yolo predict source=in.mp4 conf=0.5 show   ->   livevision --source in.mp4 --conf 0.5
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from livevision.config import Settings
from livevision.config.habits import instead_of
from livevision.models.catalog import FOREIGN_MODELS, is_foreign
from livevision.redact import redact_uri

_MODES = ("predict", "detect", "segment", "classify", "detectnet", "segnet", "imagenet", "track")
_TASKS = {
    **{task: task for task in ("detect", "segment", "classify")},
    **{"detectnet": "detect", "segnet": "segment", "imagenet": "classify"},
}
_OTHERS = {
    "val": "scores of a model: livevision eval --model NAME --data FOLDER",
    "benchmark": "speed on this machine: livevision bench nets",
    "pose": "poses are not in this version; livevision finds boxes and class maps",
    "obb": "turned boxes are not in this version; livevision finds upright ones and class maps",
    "help": "livevision --help, or livevision COMMAND --help",
    "version": "livevision --version",
    "list": "the models: livevision models",
    "checks": "this machine: livevision doctor",
}
_ON = ("", "true", "1", "yes")
_SWITCHES = {
    "save": ["--output", "runs/"],
    "show": ["--output", "window"],
    "save-txt": ["--output", "results.jsonl"],
    "half": ["--precision", "fp16"],
    "int8": ["--precision", "int8"],
    "agnostic-nms": ["--class-agnostic"],
    "exist-ok": ["--overwrite"],
}
_PAIR = re.compile(r"([A-Za-z][A-Za-z_-]*)=(.*)", re.DOTALL)


def answer(words: Sequence[str]) -> str | None:
    """The message for a command in another tool's syntax; None if it is not one.

    Args:
        words: All arguments after the program's name.
    """
    first = words[0] if words else ""
    if first in _OTHERS:
        return f"{first!r} is not a command here; {_OTHERS[first]}"
    path = ("/" in first or "." in first or first.isdecimal()) and not first.startswith("-")
    if not (first in _MODES or path or has_pairs(words)):
        return None
    flags, notes = _translated(words)
    command = _shown(["livevision", *flags]) + ("" if "--source" in flags else " --source …")
    return "; ".join([f"things are named by flags here: {command}", *notes])


def flags_for(words: Sequence[str]) -> str:
    """Our flags for arguments such as ``conf=0.5``, and notes on those without one."""
    flags, notes = _translated(words)
    return "; ".join([*([f"here it is {_shown(flags)}"] if flags else []), *notes])


def export_for(words: Sequence[str]) -> str:
    """The ``livevision export`` command for a ``yolo export`` command."""
    pairs = {pair[1]: pair[2] for word in words if (pair := _pair(word))}
    model = pairs.get("model", "NAME")
    name = "NAME" if is_foreign(model) else model
    form = {"engine": "tensorrt"}.get(pairs.get("format", ""), pairs.get("format", "onnx"))
    size = ["--imgsz", pairs["imgsz"]] if "imgsz" in pairs else []
    command = _shown(["livevision", "export", name, "--format", form, *size])
    notes = [FOREIGN_MODELS] if is_foreign(model) else []
    return "; ".join([f"things are named by flags here: {command}", *notes])


def without_secrets(word: str) -> str:
    """An argument with secrets removed, also in ``source=rtsp://…``."""
    pair = _pair(word)
    return redact_uri(word) if pair is None else f"{pair[1]}={redact_uri(pair[2])}"


def has_pairs(words: Sequence[str]) -> bool:
    """Whether a word is ``name=value`` and not the value of a flag."""
    return any(_pair(word) for word in _positional(words))


def _pair(word: str) -> re.Match[str] | None:
    """Match a word such as ``conf=0.5``."""
    return _PAIR.fullmatch(word)


def _positional(words: Sequence[str]) -> list[str]:
    """The words that are neither flags nor, as far as can be known, values of flags."""
    return [
        word
        for before, word in zip(("", *words), words, strict=False)
        if not word.startswith("-") and (not before.startswith("-") or "=" in before)
    ]


def _translated(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Our flags for another tool's words, and notes on words without an equivalent."""
    flags: list[str] = []
    notes: list[str] = []
    positional = _positional(words)
    plain = iter(["--source", "--output"])
    for word in words:
        pair = _pair(word) if word in positional else None
        if pair is not None:
            _add(pair[1].lower().replace("_", "-"), pair[2], flags, notes)
        elif word not in positional:
            flags.append(word)
        elif word in _TASKS:
            flags += ["--task", _TASKS[word]]
        elif word == "track":
            flags.append("--track")
        elif word in _SWITCHES:
            flags += _SWITCHES[word]
        elif word not in ("predict", "run") and (flag := next(plain, None)):
            flags += [flag, word]
    return flags, list(dict.fromkeys(notes))


def _shown(words: Sequence[str]) -> str:
    return " ".join(shlex.quote(redact_uri(word)) for word in words)


def _add(key: str, value: str, flags: list[str], notes: list[str]) -> None:
    """Append the flags for ``key=value``, or a note on why there are none."""
    field = key.replace("-", "_")
    if key == "model" and is_foreign(value):
        for ending, task in (("-seg", "segment"), ("-cls", "classify")):
            if ending in value:
                flags += ["--task", task]
        notes.append(FOREIGN_MODELS)
    elif key == "device" and value.isdecimal():
        flags += ["--device", f"cuda:{value}"]
    elif key in _SWITCHES:
        flags += _SWITCHES[key] if value.lower() in _ON else []
    elif key == "classes":
        flags += ["--classes", re.sub(r"[\[\]\s]", "", value)]
    elif key == "mode":
        notes.extend([_OTHERS[value]] if value in _OTHERS else [])
    elif field in Settings.model_fields and Settings.model_fields[field].annotation is bool:
        flags.append(f"--{key}" if value.lower() in _ON else f"--no-{key}")
    elif field in Settings.model_fields:
        flags += [f"--{key}", value]
    else:
        notes.append(f"{key}: {instead_of(key) or 'there is nothing of that name'}")
