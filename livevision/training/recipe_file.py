"""Reads recipes from YAML files, with a one-line message for the first error."""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from livevision.errors import UsageError, unknown
from livevision.files import with_home
from livevision.shipped import shipped
from livevision.training.recipe import RECIPES, Recipe


def read_recipe(recipe: Path | str, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `name=value` settings; a dot reaches into the option groups.

    Args:
        recipe: A file, or the name of a shipped recipe. `extends` in it names another one, in the
            same folder or shipped, whose settings it begins with.
        settings: Applied last.

    Raises:
        UsageError: A file cannot be read, a name is unknown, or a value has a wrong type.
    """
    path = find_recipe(recipe)
    values = recipe_values(path)
    with_settings(values, settings)
    return recipe_from({"name": path.stem, **values}, str(path))


def find_recipe(recipe: Path | str) -> Path:
    """The file of a recipe: one that is there, or a shipped one by its name.

    Raises:
        UsageError: There is none.
    """
    path = with_home(recipe)
    if path.is_file():
        return path
    ready_made = shipped("train")
    name = str(recipe).removesuffix(".yaml")
    if name in ready_made:
        return ready_made[name]
    raise UsageError(
        f"there is no file or folder {str(recipe)!r}; {unknown('recipe', name, ready_made)}"
    )


def recipe_values(path: Path) -> dict[str, Any]:
    """The settings in a recipe's file, with those of the recipes that it extends.

    Of groups of settings (`data`, `task_options`, `rates`) each setting counts for itself; lists
    and single values replace those of the recipe extended.

    Raises:
        UsageError: A file cannot be read, is no recipe, or extends one that is not there or itself.
    """
    return _extended(path, ())


def _extended(path: Path, below: tuple[Path, ...]) -> dict[str, Any]:
    values = _read(path)
    if "extends" not in values:
        return values
    base = values.pop("extends")
    if not isinstance(base, str):
        raise UsageError(f"recipe {path}: extends is {base!r}; it takes the name of one recipe")
    file = _find_base(base, path)
    below = (*below, path.resolve())
    if file.resolve() in below:
        raise UsageError(f"recipe {path}: extends {base!r}, which extends this one")
    inherited = _extended(file, below)
    inherited.pop("name", None)
    joined = _joined(inherited, values)
    _replace_length(joined, values)
    return joined


def _find_base(base: str, path: Path) -> Path:
    beside = path.parent / base
    for file in (beside, beside.with_name(f"{beside.name}.yaml")):
        if file.is_file():
            return file
    known, name = shipped("train"), base.removesuffix(".yaml")
    if name in known:
        return known[name]
    names = sorted({*known, *(file.stem for file in path.parent.glob("*.yaml"))} - {path.stem})
    raise UsageError(f"recipe {path}: extends {unknown('recipe', base, names)}")


def _joined(base: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        inner = base.get(name)
        if isinstance(inner, dict) and isinstance(value, dict):
            _joined(inner, value)
        else:
            base[name] = value
    return base


def _read(path: Path) -> dict[str, Any]:
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
    return values


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
    _replace_length(values, names)
    return names


def _replace_length(values: dict[str, Any], names: Collection[str]) -> None:
    """Of steps and epochs, leave out the one that is not among the names just set."""
    if ("steps" in names) != ("epochs" in names):
        values["epochs" if "steps" in names else "steps"] = 0


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
