"""Cards: what is read from them, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from livevision.cli.models import command
from livevision.errors import ModelError, UsageError
from livevision.models import catalog

KEYS = {"name", "task", "net", "input_size", "labels", "params", "madds", "data", "score"}
KEYS |= {"licence", "weights", "agreement", "speed", "for_comparison"}


@pytest.mark.parametrize("name", catalog.names())
def test_shipped_cards_are_whole(name: str) -> None:
    card = catalog.find(name)
    assert card.name == name
    assert card.net_options["num_classes"] == len(card.labels) == len(set(card.labels))
    assert card.text.startswith("# ")
    assert card.licence
    assert card.data
    assert set(card.summary()) == KEYS


@pytest.mark.parametrize("name", catalog.names())
def test_figures_of_shipped_cards_are_the_nets(name: str) -> None:
    from livevision.nets import build
    from livevision.nets.counting import count_multiply_adds, count_parameters

    card = catalog.find(name)
    net = build(card.net, **card.net_options)
    assert card.params == count_parameters(net)
    assert card.madds == count_multiply_adds(net, card.input_size[1], card.input_size[0])


@pytest.mark.parametrize("task", catalog.DEFAULTS)
def test_every_task_has_a_default(task: str) -> None:
    assert catalog.find(catalog.DEFAULTS[task]).task == task


def test_all_weights_together_fit_a_wheel() -> None:
    files = [p for name in catalog.names() for p in _files(catalog.find(name))]
    assert sum(path.stat().st_size for path in files) < 100e6  # what PyPI takes


@pytest.mark.parametrize("name", catalog.names())
def test_every_model_starts_without_torch(name: str) -> None:
    card = catalog.find(name)
    assert card.weights is not None
    assert card.template is not None, f"scripts/templates {name} makes it"


def _files(card: catalog.ModelCard) -> list[Path]:
    return [path for path in (card.weights, card.graph, card.template) if path is not None]


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'thundernet-snet49'"):
        catalog.find("thundernet-snet94")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# no front matter\n", "does not begin with YAML"),
        ("---\nname: a\n", "does not begin with YAML"),
        ("---\nname: [a\n---\n", "card"),
        ("---\n- a\n---\n", "has no fields"),
        ("---\nname: a\nlicense: MIT\n---\n", "Did you mean 'licence'"),
        ("---\nname: a\nlabels: [b]\n---\n", "input_size"),
        ("---\nname: a\nlabels: [b]\ninput_size: 3\n---\n", "missing or wrong"),
        ("---\nname: !!python/object/apply:os.getcwd []\n---\n", "could not determine"),
    ],
)
def test_broken_cards_are_told(tmp_path: Path, text: str, line: str) -> None:
    path = tmp_path / "a.md"
    path.write_text(text)
    with pytest.raises(ModelError, match=line):
        catalog.read_card(path)


def test_the_command_as_json_and_as_table() -> None:
    rows = json.loads(CliRunner().invoke(command, ["--json"]).output)
    shipped = len(catalog.names())
    assert [row["name"] for row in rows[:shipped]] == catalog.names()
    assert all(set(row) == {*KEYS, "default"} for row in rows)
    useful = [row for row in rows[:shipped] if not row["for_comparison"]]
    for flags, listed in (([], useful), (["--all"], rows)):
        lines = CliRunner().invoke(command, flags).output.splitlines()
        begun = [line.split()[0] for line in lines if line.strip()]
        assert [name for name in begun if name in {row["name"] for row in rows}] == [
            row["name"] for row in listed
        ]
    assert all((row["score"], row["weights"]) == ({}, []) for row in rows[shipped:])


def test_the_command_prints_a_card() -> None:
    name = catalog.names()[0]
    assert catalog.find(name).text.strip() in CliRunner().invoke(command, [name]).output
    result = CliRunner().invoke(command, ["thunder"])
    assert isinstance(result.exception, UsageError)


def test_neither_torch_nor_numpy_is_imported() -> None:
    code = (
        "import sys, livevision.cli.models as m; m.command(['--json'], standalone_mode=False);"
        "assert not {'torch', 'numpy', 'cv2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
