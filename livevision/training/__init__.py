"""Training of the nets: augmentation, losses, and one loop for all tasks.

`train_recipe` is the entry point, for Python and the command; the loop is in `trainer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livevision.training.threads import wait_asleep

if TYPE_CHECKING:
    from livevision.training.run import train_recipe as train_recipe

__all__ = ["train_recipe"]

wait_asleep()  # before torch is imported


def __getattr__(name: str) -> object:
    # torch is imported on first use, not with the package.
    if name == "train_recipe":
        from livevision.training.run import train_recipe

        return train_recipe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
