"""The README and the pages of docs/, and the examples in them.

An example is a fenced block of sh, python, yaml, json or toml. A line above it may say why it is
not run:

    <!-- example: needs a camera -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(
    r"^(?:<!-- example: (?P<reason>[^\n]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced block of a page.

    Attributes:
        page: The file.
        line: Number of its first line there.
        language: "sh", "python", "yaml", "json", or "" where the page does not say.
        text: What stands between the fences.
        reason: Why it is not run; "" for one that is.
    """

    page: Path
    line: int
    language: str
    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def examples(page: Path) -> Iterator[Example]:
    """The examples of a page, in their order."""
    content = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(content):
        line = content.count("\n", 0, found.start("text")) + 1
        yield Example(page, line, found["language"], found["text"], found["reason"] or "")


def commands(example: Example) -> Iterator[tuple[int, str]]:
    """The lines of a shell example that hold a command, each with its number in the page."""
    for number, line in enumerate(example.text.splitlines(), example.line):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line
