"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from tqdm import tqdm

_SECONDS = 20.0  # between lines without a terminal


class Progress:
    """Progress on stderr, with loss, rate, pictures per second and time left.

    Args:
        name: of the run.
        first_step: where it starts.
        steps: of the whole run.
        shown: False prints nothing, for other processes than rank 0.
    """

    def __init__(self, name: str, first_step: int, steps: int, shown: bool = True) -> None:
        self.name, self.steps, self.shown = name, steps, shown
        self._told = float("-inf")
        self._bar = (
            tqdm(total=steps, initial=first_step, desc=name, unit="step", file=sys.stderr)
            if shown and sys.stderr.isatty()
            else None
        )

    def tell(self, step: int, figures: dict[str, float], seconds_left: float) -> None:
        """Update after `step` steps."""
        if self._bar is not None:
            self._bar.set_postfix({k: f"{v:.3g}" for k, v in figures.items()}, refresh=False)
            self._bar.update(step - self._bar.n)
        elif time.monotonic() >= self._told + _SECONDS:
            self._told = time.monotonic()
            text = " ".join(f"{k} {v:.3g}" for k, v in figures.items())
            self.say(f"step {step}/{self.steps} {text} {seconds_left / 60:.1f} min left")

    def say(self, line: str) -> None:
        """Print a line for people, above the bar."""
        if self.shown:
            tqdm.write(line, file=sys.stderr)
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
