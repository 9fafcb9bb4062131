"""Training of the nets: augmentation, losses, and one loop for all tasks.

`train_recipe` is the way in, from Python and for the command; `loop.train` is the place to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from livevision.training.threads import wait_asleep

if TYPE_CHECKING:
    from livevision.training.run import train_recipe as train_recipe

__all__ = ["train_recipe"]

wait_asleep()  # before torch is imported


def __getattr__(name: str) -> object:
    # torch comes with the first use, not with the import of the package.
    if name == "train_recipe":
        from livevision.training.run import train_recipe

        return train_recipe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
