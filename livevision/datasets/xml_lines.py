"""An XML parser that keeps line numbers, which Python's element trees drop."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from livevision.errors import DataError


@dataclass
class Element:
    """An element: its name, first line, text, and child elements."""

    name: str
    line: int
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def find(self, name: str) -> Element | None:
        """The first child of that name."""
        return next((e for e in self.inside if e.name == name), None)

    def text_of(self, name: str) -> str:
        """The text of the first child of that name; empty if there is none."""
        found = self.find(name)
        return "" if found is None else found.text.strip()


def read_xml(path: Path) -> Element:
    """Parse a file; returns its root element.

    Raises:
        DataError: It cannot be read, or is not XML; the message has the line.
    """
    outermost = Element("", 0)
    open_elements = [outermost]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(name: str, _: dict[str, str]) -> None:
        element = Element(name, parser.CurrentLineNumber)
        open_elements[-1].inside.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def text(data: str) -> None:
        open_elements[-1].text += data

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except expat.ExpatError as error:
        why = expat.errors.messages[error.code]
        raise DataError(f"{path}:{error.lineno}: is not XML: {why}") from error
    return outermost.inside[0]
