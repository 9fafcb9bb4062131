"""Reads recipes from YAML files, with a one-line message for the first error."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from livevision.errors import UsageError, unknown
from livevision.training.recipe import RECIPES, Recipe


def read_recipe(path: Path, settings: list[str] | None = None) -> Recipe:
    """Read a recipe and apply `name=value` settings; a dot reaches into the option groups.

    Raises:
        UsageError: the file cannot be read, a name is unknown, or a value has a wrong type.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {str(path)!r} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise UsageError(f"recipe {path}{line}: not valid YAML: {reason}") from error
    if not isinstance(values, dict):
        raise UsageError(f"recipe {str(path)!r} has no settings such as 'task: segment'")
    with_settings(values, settings or [])
    return recipe_from({"name": path.stem, **values}, str(path))


def recipe_from(values: Mapping[str, Any], place: str = "recipe") -> Recipe:
    """Make a recipe from a mapping.

    Args:
        values: by the names of `Recipe`'s fields.
        place: their origin, for messages.

    Raises:
        UsageError: a name is unknown or missing, or a value has a wrong type.
    """
    task = values.get("task")
    if task not in RECIPES:
        raise UsageError(f"{place}: task is {task!r}; it takes one of {', '.join(RECIPES)}")
    model = RECIPES[str(task)]
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise UsageError(f"{place}: {_explain(model, error)}") from None


def to_yaml(recipe: Recipe) -> str:
    """The resolved recipe with every setting."""
    values = recipe.model_dump(mode="json")
    del values["steps" if recipe.epochs else "epochs"]
    text: str = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=100)
    return text


def with_settings(values: dict[str, Any], settings: Sequence[str]) -> set[str]:
    """Apply `name=value` settings to a recipe's values; returns their names.

    A length that is set replaces the recipe's own.

    Raises:
        UsageError: one is not of that form.
    """
    for setting in settings:
        _apply(values, setting)
    names = {setting.partition("=")[0] for setting in settings}
    if len(names & {"steps", "epochs"}) == 1:
        values["epochs" if "steps" in names else "steps"] = 0
    return names


def _apply(values: dict[str, Any], setting: str) -> None:
    name, equals, text = setting.partition("=")
    if not equals:
        raise UsageError(f"--set takes NAME=VALUE, got {setting!r}")
    target: Any = values
    *groups, last = name.split(".")
    for group in groups:
        target = target.setdefault(group, {})
        if not isinstance(target, dict):
            raise UsageError(f"--set {name}: {group!r} is not a group of settings")
    try:
        target[last] = yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise UsageError(f"--set {name}: {text!r} is not a YAML value") from error


def _explain(model: type[BaseModel], error: ValidationError) -> str:
    """The message for the first error, in one line."""
    first = error.errors()[0]
    if not first["loc"]:  # an error of several settings together
        return str(first["ctx"]["error"])
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        *groups, last = first["loc"]
        return unknown("setting", place, _names(model, tuple(map(str, groups)), str(last)))
    if first["type"] == "missing":
        return f"{place} is missing"
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"{place} is {first['input']!r}; {message}"


def _names(model: type[BaseModel], groups: tuple[str, ...], last: str) -> Iterator[str]:
    """Known names for a wrong one, each with its groups."""
    inner: Any = model
    for group in groups:
        annotation = inner.model_fields[group].annotation if group in inner.model_fields else None
        choices = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else ()
        inner = next((c for c in choices or (annotation,) if c is not type(None)), None)
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return
    yield from (".".join((*groups, name)) for name in inner.model_fields)
