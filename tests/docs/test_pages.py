"""The pages name the commands, flags, models, rows and report that there are; links lead there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import supervision as sv

from livevision import cli
from livevision.cli.commands import COMMANDS
from livevision.cli.commands import cli as commands_of_livevision
from livevision.frame import Frame, Rendered
from livevision.models import catalog
from livevision.output.options import OutputOptions
from livevision.protocols import SourceInfo
from tests import clips
from tests.docs.pages import PAGES, ROOT, examples

DOCS = ROOT / "docs"
OTHERS = ("CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md", "weights/README.md")
OTHER_PROGRAMS = {  # flags of scripts and of programs that are not ours
    *("--show", "--clip", "--data", "--dist", "--frames", "--idle", "--index-url", "--most"),
    *("--nproc-per-node", "--precision", "--random", "--rounds", "--threads", "--only", "--seeds"),
    *(
        "--fail",
        "--now",
        "--request",
        "--header",
        "--data-binary",
        "--max-time",
        "--no-buffer",
    ),  # curl
    *("--build-arg", "--minutes", "--others", "--scale", "--tag"),  # docker build, scripts/…
    *("--build", "--detach", "--file", "--follow", "--no-healthcheck", "--profile", "--read-only"),
    *("--rm", "--signal", "--tag", "--tmpfs", "--user", "--volume"),  # docker
    *("--no-binary", "--no-deps", "--python", "--seed", "--system-site-packages"),  # pip, uv, venv
    *("--group", "--since"),  # install, journalctl
}


def flags_of(command: click.Command) -> set[str]:
    found = {flag for parameter in command.params for flag in parameter.opts}
    found |= {flag for parameter in command.params for flag in parameter.secondary_opts}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            found |= flags_of(inner)
    return found | {"--help", "--version"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", page.read_text()))
    assert named - flags_of(commands_of_livevision) <= OTHER_PROGRAMS


def test_every_command_and_flag_of_a_run_is_described() -> None:
    described = (DOCS / "cli.md").read_text()
    for name in set(COMMANDS) - {"run"}:
        assert f"`livevision {name}`" in described, name
    context = click.Context(commands_of_livevision)
    run = commands_of_livevision.get_command(context, "run")  # type: ignore[attr-defined]
    for option in run.params:
        assert any(f"{flag}`" in described for flag in (*option.opts, *option.secondary_opts)), (
            f"{option.opts} is missing in docs/cli.md"
        )


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_table_of_models_has_each_with_what_its_card_says(page: str) -> None:
    rows = {}
    for line in (ROOT / page).read_text().splitlines():
        if found := re.match(r"\| `([\w.-]+)` (\*? ?)\|(.*)\|$", line):
            rows[found[1]] = [cell.strip() for cell in found[3].split("|")]
    known = {name: catalog.find(name) for name in catalog.names()}
    if page == "README.md":  # it leaves out those for comparison
        known = {name: card for name, card in known.items() if not card.for_comparison}
    assert rows.keys() == known.keys()
    for name, cells in rows.items():
        card = known[name]
        assert cells[0].startswith(card.task), name
        assert "{}×{}".format(*card.input_size) in cells, name


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 7 * 1024


def test_every_page_is_in_the_navigation_the_start_page_and_the_readme() -> None:
    settings = tomllib.loads((ROOT / "zensical.toml").read_text())
    listed = {file for entry in settings["project"]["nav"] for file in entry.values()}
    pages = {page.name for page in DOCS.glob("*.md")}
    assert listed == pages
    for page in pages - {"index.md"}:
        assert f"]({page})" in (DOCS / "index.md").read_text(), page
        assert f"](docs/{page})" in (ROOT / "README.md").read_text(), page


@pytest.mark.parametrize("page", ["README.md", *OTHERS])
def test_links_of_pages_outside_of_the_site_lead_somewhere(page: str) -> None:
    # Those within docs/ are checked as the site is built.
    content = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", content):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]
            assert anchor in slugs, f"{page}: {target}"


def test_the_architecture_names_what_lies_at_the_top_and_nothing_that_is_not_there() -> None:
    content = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`([\w./]+)`", content))
    package = ROOT / "livevision"
    left_out = {"__init__.py", "__main__.py", "__pycache__", "py.typed", "version.py"}
    for entry in package.iterdir():
        name = f"{entry.name}/" if entry.is_dir() else entry.name
        assert entry.name in left_out or name in named, name
    there = {path.name for path in package.rglob("*.py")}
    for name in named:
        if name.endswith(".py") and "/" not in name:
            assert name in there, name
        elif name.endswith((".py", "/")):
            assert (package / name).exists() or (ROOT / name).exists(), name


def test_pages_name_no_path_of_one_machine() -> None:
    for page in (*PAGES, *(ROOT / other for other in OTHERS)):
        assert not re.search(r"/(work|tmp|root|home)/", page.read_text()), page


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row and the report of a run of both tasks."""
    folder = tmp_path_factory.mktemp("run")
    clips.make_clip(folder / "in.mp4", frames=3)
    rows, report = folder / "rows.jsonl", folder / "report.json"
    words = ["--source", str(folder / "in.mp4"), "--task", "both", "--headless", "--quiet"]
    words += ["--conf", "0.001", "--output", str(rows), "--report", str(report)]
    assert cli.main(words) == 0
    return json.loads(rows.read_text().splitlines()[0]), json.loads(report.read_text())


def test_the_row_shown_has_the_keys_of_a_real_one(
    finished: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    row, _ = finished
    (shown,) = (
        json.loads(e.text)
        for e in examples(DOCS / "sources-and-outputs.md")
        if e.language == "json"
    )
    assert shown.keys() == row.keys()
    assert shown["detections"][0].keys() == row["detections"][0].keys()


def test_the_sink_shown_counts(tmp_path: Path) -> None:
    shown = next(e for e in examples(DOCS / "extending.md") if "CountsSink:" in e.text)
    names: dict[str, Any] = {"__name__": "counts"}
    exec(compile(shown.text, str(shown), "exec", dont_inherit=True), names)
    picture = np.zeros((8, 8, 3), np.uint8)
    found = sv.Detections(np.array([[0, 0, 4, 4], [1, 1, 5, 5]], np.float32))
    sink = names["CountsSink"](
        str(tmp_path / "counts.txt"), SourceInfo("in.mp4", False, (8, 8)), OutputOptions()
    )
    sink.write(Rendered(Frame(0, 0, 0.5, 0.0, picture), {"detect": found}, picture))
    sink.write(Rendered(Frame(0, 1, 0.54, 0.0, picture), {}, picture))
    sink.close()
    assert (tmp_path / "counts.txt").read_text() == "0 0.500 2\n0 0.540 0\n"


def test_every_key_of_the_report_is_described(
    finished: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    _, report = finished
    page = (DOCS / "sources-and-outputs.md").read_text()
    _, _, described = page.partition("### Report")
    named = {
        name
        for line in described.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert named == report.keys() | {"lag_ms"}  # which live sources have
