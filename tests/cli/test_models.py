"""`livevision models`: what is listed, what is marked, and that it fits the terminal."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from livevision.cli.models import command
from livevision.cli.table import table
from livevision.models import catalog


def listed(*arguments: str, width: int | None = None) -> tuple[str, str]:
    """Standard output and standard error."""
    environment = {} if width is None else {"COLUMNS": str(width)}
    result = CliRunner(env=environment).invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout, result.stderr


def names(text: str) -> list[str]:
    """The first word of each line that is no continuation, without the head."""
    return [line.split()[0] for line in text.splitlines()[1:] if line and line[0] != " "]


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 160, 240, 400])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    text, _ = listed("--all", width=width)
    assert max(map(len, text.splitlines())) <= width
    assert names(text) == [*catalog.names(), *catalog.untrained_names()]
    score = catalog.find("thundernet-mobilenetv2").score["text"]
    assert str(score).split()[0] in text
    assert ("licence" in text.splitlines()[0]) == (width > 120)


def test_what_is_for_comparison_and_nets_without_weights_are_listed_on_demand() -> None:
    text, err = listed()
    compared = [name for name in catalog.names() if catalog.find(name).for_comparison]
    assert "light-head-s" in compared
    assert names(text) == [name for name in catalog.names() if name not in compared]
    assert "no trained weights" not in text
    count = len(catalog.untrained_names())
    assert count > 5
    assert (
        f"{len(compared)} models for comparison, {count} nets without trained weights: --all" in err
    )
    text, err = listed("--all")
    assert names(text) == [*catalog.names(), *catalog.untrained_names()]
    assert "without trained weights" not in err
    assert not set(compared) & set(catalog.DEFAULTS.values())


def test_the_defaults_are_marked() -> None:
    text, err = listed(width=80)
    marked = {line.split()[0] for line in text.splitlines() if line.split()[1:2] == ["*"]}
    assert marked == set(catalog.DEFAULTS.values())
    assert "* default of its task" in err


def test_json_is_for_programs() -> None:
    told = json.loads(listed("--json", width=40)[0])
    assert [row["name"] for row in told] == catalog.names()
    assert {row["name"] for row in told if row["for_comparison"]} == {
        name for name in catalog.names() if catalog.find(name).for_comparison
    }
    assert {row["name"] for row in told if row["default"]} == set(catalog.DEFAULTS.values())
    keys = {"name", "task", "net", "input_size", "labels", "params", "madds", "data", "score"}
    assert all(keys <= set(row) for row in told)
    everything = json.loads(listed("--json", "--all")[0])
    assert len(everything) == len(told) + len(catalog.untrained_names())


def test_a_card_has_all_of_it() -> None:
    text, _ = listed("thundernet-snet49", width=60)
    card = catalog.find("thundernet-snet49")
    assert card.text.rstrip() in text


class TestTable:
    HEAD = ("name", "size", "score", "licence")

    def test_texts_get_the_room_there_is(self) -> None:
        rows = [("a", "1", "good " * 12, "free to all " * 3), ("bb", "22", "bad", "none")]
        wide = table(self.HEAD, rows, ["size"], ["score", "licence"], 200).splitlines()
        assert len(wide) == 3
        assert wide[2].split() == ["bb", "22", "bad", "none"]
        assert wide[1].startswith("a        1  good good")
        middle = table(self.HEAD, rows, ["size"], ["score", "licence"], 75).splitlines()
        assert "licence" in middle[0]
        assert max(map(len, middle)) <= 75
        assert " ".join("\n".join(middle).split()).count("good") == 12
        narrow = table(self.HEAD, rows, ["size"], ["score", "licence"], 45).splitlines()
        assert "score" in narrow[0]
        assert "licence" not in narrow[0]
        below = table(self.HEAD, rows, ["size"], ["score", "licence"], 30).splitlines()
        assert below[0] == "name  size"
        assert below[1] == "a        1"
        assert below[2].startswith("    good")
        assert max(map(len, below)) <= 30

    def test_short_texts_need_little(self) -> None:
        rows = [("a", "1", "ok", "x" * 30)]
        lines = table(self.HEAD, rows, ["size"], ["score", "licence"], 60).splitlines()
        assert lines == ["name  size  score  licence", f"a        1  ok     {'x' * 30}"]

    def test_without_texts(self) -> None:
        assert table(("a", "b"), [("1", "22")], ["b"], (), 80) == "a   b\n1  22"
