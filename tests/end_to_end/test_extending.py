"""Packages that add to livevision: the one in docs/extending.md, built and run, and broken ones."""

from __future__ import annotations

import importlib
import itertools
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

import livevision as api
from livevision import registry
from livevision.errors import UsageError
from livevision.registry import entry_points
from tests import clips, small_models
from tests.end_to_end.conftest import NO_BOXES, PROGRAM, Outcome

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
Run = Callable[..., Outcome]
_numbers = itertools.count()


# The package of the documentation ----------------------------------------------------------------


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documented package is installed, as pip would from its wheel."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("package", "installed"))
    blocks = re.findall(r"^```\w+\n# (\S+\.(?:py|toml))\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    for name, text in blocks:
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (source / "livevision_example" / "__init__.py").touch()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(source)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(source.glob("*.whl"))) as wheel:
        wheel.extractall(target)
    return target


def with_example(
    example: Path, folder: Path, *arguments: object
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(example), str(PAGE.parents[1])])
    return subprocess.run(
        [*PROGRAM, *(str(argument) for argument in arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path + os.pathsep + os.environ.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_documented_package_runs(example: Path, tmp_path: Path) -> None:
    run = with_example(
        example,
        tmp_path,
        *("--source", "bars://320x240?12", "--source", "bars:64x48?3", "--headless"),
        *(*NO_BOXES, "--overlay", "clock", "--no-hud"),
        *("--output", "counts.txt", "--output", "runs/"),
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert "results are in counts.txt" in run.stderr
    lines = sorted((tmp_path / "counts.txt").read_text().splitlines())
    wanted = [f"0 {n / 25:.3f} 0" for n in range(12)] + [f"1 {n / 25:.3f} 0" for n in range(3)]
    assert lines == wanted
    big, small = sorted((tmp_path / "runs").iterdir(), key=lambda path: -path.stat().st_size)
    frames = clips.read_clip(big)
    assert len(frames) == 12
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(12)], abs=1e-3)
    # The first bar is white, and the clock's ground black.
    image = next(iter(_images(big)))
    assert image[100, 5].min() > 200
    assert image[-3, 2].max() < 50
    assert (image[-24:, :110].max(axis=2) > 200).sum() > 20, "no letters"
    assert len(clips.read_clip(small)) == 3


def _images(path: Path) -> Iterator[Any]:
    video = cv2.VideoCapture(str(path))
    while True:
        good, image = video.read()
        if not good:
            return
        yield image


def test_the_documented_command_runs(example: Path, tmp_path: Path) -> None:
    (command,) = re.findall(r"^livevision (.*--overlay.*)$", PAGE.read_text(), re.M)
    run = with_example(example, tmp_path, *command.split())
    assert run.returncode == 0, run.stderr
    assert len((tmp_path / "counts.txt").read_text().splitlines()) == 50
    assert len(clips.read_clip(tmp_path / "bars.mp4")) == 50


def test_its_file_is_looked_after_as_all_are(example: Path, tmp_path: Path) -> None:
    (tmp_path / "counts.txt").write_text("old")
    words = ("--source", "bars", "--headless", "--output", "counts.txt")
    run = with_example(example, tmp_path, *words)
    assert run.returncode == 5
    assert "counts.txt exists; add --overwrite" in run.stderr
    assert (tmp_path / "counts.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--source", "barz://1x1"), 2, "Did you mean 'bars'?"),
        (("--source", "bars://1x"), 2, "colour bars are written bars://WIDTHxHEIGHT?FRAMES"),
        (("--source", "synthetic", "--overlay", "clokc"), 2, "Did you mean 'clock'?"),
        (("--source", "synthetic", "--output", "a.txd"), 2, "Did you mean '.txt'?"),
    ],
    ids=["scheme", "form", "overlay", "suffix"],
)
def test_its_names_are_suggested(
    arguments: tuple[str, ...], code: int, says: str, example: Path, tmp_path: Path
) -> None:
    run = with_example(example, tmp_path, *arguments, "--headless")
    assert run.returncode == code, run.stderr
    assert says in run.stderr
    assert "Traceback" not in run.stderr


# Packages made here ------------------------------------------------------------------------------


class Installed:
    """Packages on this process's path, with the module that each has."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.syspath_prepend(folder)
        self._forget()

    def __call__(self, code: str, **entries: Mapping[str, str]) -> str:
        """Install a package; ``entries`` by group, MODULE being its module. The module's name."""
        module = f"plugged_{os.getpid()}_{next(_numbers)}"
        (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{module}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 2.5\n")
        lines = []
        for group, names in entries.items():
            lines += [f"[livevision.{group}]"]
            lines += [
                f"{name} = {place.replace('MODULE', module)}" for name, place in names.items()
            ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()
        self._forget()
        return module

    @staticmethod
    def _forget() -> None:
        for cached in (entry_points._installed, entry_points.keep, entry_points.folders):
            cached.cache_clear()
        registry._loaded.cache_clear()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    folder = tmp_path / "packages"
    folder.mkdir()
    yield Installed(folder, monkeypatch)
    monkeypatch.undo()
    importlib.invalidate_caches()
    Installed._forget()


SOURCE = """
import time
import numpy as np
from livevision.plugin import Frame, Life, SourceInfo

class Source:
    def __init__(self, uri, options):
        CONSTRUCTED
        self.options = options
        self.info = SourceInfo(uri, False, (64, 48), frames=3)
        self.losses = {}
        self.life = options.life or Life()

    def __iter__(self):
        for n in range(3):
            ITERATED
            image = np.zeros((48, 64, 3), np.uint8)
            yield Frame(self.options.index, n, n / 25, time.monotonic(), image)

    def close(self):
        self.life.close()
"""
SINK = """
class Sink:
    wants_image = False

    def __init__(self, target, info, options):
        CONSTRUCTED
        self.where = target

    def write(self, rendered):
        WRITTEN

    def close(self):
        CLOSED
"""
OVERLAY = """
class Overlay:
    def __init__(self):
        CONSTRUCTED

    def plan(self, result, room):
        PLANNED
        def draw(image):
            DRAWN
        return draw
"""
_GAPS = ["CONSTRUCTED", "ITERATED", "WRITTEN", "CLOSED", "PLANNED", "DRAWN"]
FAULT = "raise ValueError('bad thing\\nand more')"


def code(text: str, gap: str = "") -> str:
    """The code with a fault in one of its gaps."""
    for name in _GAPS:
        text = text.replace(name, FAULT if name == gap else "pass")
    return text


CASES = [
    *(("sources", SOURCE, gap, 3) for gap in ("CONSTRUCTED", "ITERATED")),
    *(("sinks", SINK, gap, 5) for gap in ("CONSTRUCTED", "WRITTEN", "CLOSED")),
    *(("overlays", OVERLAY, gap, 1) for gap in ("CONSTRUCTED", "PLANNED", "DRAWN")),
]


def words_for(group: str, folder: Path) -> list[object]:
    source = "odd://x" if group == "sources" else "synthetic://64x48?frames=3"
    words: list[object] = ["--source", source, *NO_BOXES]
    if group == "sinks":
        return [*words, "--output", "odd:x"]
    if group == "overlays":
        words += ["--overlay", "odd"]
    return [*words, "--output", folder / "out.mp4"]


@pytest.mark.parametrize(
    ("group", "text", "gap", "exit_code"),
    CASES,
    ids=[f"{group}-{gap.lower()}" for group, _, gap, _ in CASES],
)
def test_what_a_package_raises_is_one_line_with_its_name(
    group: str,
    text: str,
    gap: str,
    exit_code: int,
    install: Installed,
    livevision: Run,
    tmp_path: Path,
) -> None:
    kind = group[:-1]
    module = install(code(text, gap), **{group: {"odd": f"MODULE:{kind.capitalize()}"}})
    outcome = livevision(*words_for(group, tmp_path))
    assert outcome.code == exit_code, outcome.err
    line = outcome.one_line()
    assert f"the {kind} 'odd' of {module} 2.5: ValueError: bad thing" in line
    assert "and more" not in outcome.err


@pytest.mark.parametrize(
    ("group", "exit_code"), [("sources", 3), ("sinks", 5), ("overlays", 1)], ids=str
)
@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("import no_such_module", "MODULE:Thing", "ModuleNotFoundError"),
        ("def", "MODULE:Thing", "SyntaxError"),
        ("import sys\nsys.exit('tired')", "MODULE:Thing", "SystemExit: tired"),
        ("", "MODULE:Thing", "AttributeError"),
        ("", "no_such_module:Thing", "ModuleNotFoundError"),
        ("Thing = 5", "MODULE:Thing", "names no class"),
        (
            "class Thing:\n    wants_image = True\n    def __init__(self, *args): pass",
            "MODULE:Thing",
            "has no attribute",
        ),
    ],
    ids=["import", "syntax", "exit", "missing", "module", "number", "shape"],
)
def test_a_broken_package_is_one_line_with_its_name(
    text: str,
    place: str,
    says: str,
    group: str,
    exit_code: int,
    install: Installed,
    livevision: Run,
    tmp_path: Path,
) -> None:
    module = install(text, **{group: {"odd": place}})
    outcome = livevision(*words_for(group, tmp_path))
    assert outcome.code == exit_code, outcome.err
    line = outcome.one_line()
    assert f"{module} 2.5" in line
    assert says in line


def test_its_own_errors_are_shown_as_they_are(install: Installed, livevision: Run) -> None:
    text = "from livevision.plugin import SourceError\n" + SOURCE.replace(
        "CONSTRUCTED", "raise SourceError('the lens is dirty: wipe it')"
    )
    install(code(text), sources={"odd": "MODULE:Source"})
    outcome = livevision("--source", "odd")
    assert outcome.code == 3
    assert outcome.one_line().endswith("error: the lens is dirty: wipe it")


def test_a_sink_for_each_source_unless_it_has_opened(
    install: Installed, livevision: Run, tmp_path: Path
) -> None:
    note = "from pathlib import Path\n" + SINK.replace(
        "CONSTRUCTED", f"Path({str(tmp_path / 'made')!r}).open('a').write('x')"
    )
    install(
        code(note) + "\nclass ForAll(Sink):\n    def opened(self, source, info): pass\n",
        sinks={"each": "MODULE:Sink", "all": "MODULE:ForAll", ".txt": "MODULE:Sink"},
    )
    sources = ["--source", "synthetic://64x48?frames=2", "--source", "synthetic://48x48?frames=2"]
    assert livevision(*sources, *NO_BOXES, "--output", "each:here").code == 0
    assert (tmp_path / "made").read_text() == "xx"
    assert livevision(*sources, *NO_BOXES, "--output", "all://here").code == 0
    assert (tmp_path / "made").read_text() == "xxx"
    outcome = livevision(*sources, "--output", tmp_path / "a.txt")
    assert outcome.code == 2
    assert "is one file and there are 2 sources" in outcome.one_line()


@pytest.mark.parametrize(
    ("group", "name", "words"),
    [
        ("sources", "synthetic", ()),
        ("sinks", "null", ("--output", "null")),
        ("sinks", ".jsonl", ("--output", "FOLDER/a.jsonl")),
        ("engines", "openvino", ("--engine", "openvino")),
        ("overlays", "style", ("--output", "FOLDER/a.mp4")),
    ],
    ids=["scheme", "sink", "suffix", "engine", "overlay"],
)
def test_names_of_livevision_stay_its_own_with_a_warning(
    group: str,
    name: str,
    words: tuple[str, ...],
    install: Installed,
    livevision: Run,
    tmp_path: Path,
) -> None:
    module = install("raise RuntimeError('imported')", **{group: {name: "MODULE:Thing"}})
    given = [word.replace("FOLDER", str(tmp_path)) for word in words]
    outcome = livevision("--source", "synthetic://64x48?frames=2", *given)
    assert outcome.code == 0, outcome.err
    kind = group[:-1]
    told = f"the {kind} {name!r} of {module} 2.5 is not used: livevision has that name"
    assert outcome.err.count(told) == 1


def test_nothing_is_looked_up_or_imported_before_it_is_asked_for(
    install: Installed, livevision: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {
        group.removeprefix("livevision."): {"odd": "MODULE:Thing"} for group in entry_points.GROUPS
    }
    module = install("raise RuntimeError('imported')", **groups)
    words = ("--source", "synthetic://64x48?frames=2")
    assert livevision(*words, *NO_BOXES).code == 0
    assert module not in sys.modules

    def looked_up(**choices: Any) -> Any:
        raise AssertionError("looked up")

    Installed._forget()
    monkeypatch.setattr(entry_points.metadata, "entry_points", looked_up)
    assert livevision("--help").code == 0
    assert livevision("--print-config", *words).code == 0


def test_two_packages_of_one_name(install: Installed, livevision: Run) -> None:
    one = install(code(SOURCE), sources={"odd": "MODULE:Source"})
    two = install(code(SOURCE), sources={"odd": "MODULE:Source"})
    outcome = livevision("--source", "odd", *NO_BOXES)
    assert outcome.code == 0
    assert f"{one} 2.5" in outcome.err
    assert f"{two} 2.5" in outcome.err
    assert outcome.err.count("is not used") == 1


def test_without_any_package_an_overlay_is_told_to_be_unknown(livevision: Run) -> None:
    Installed._forget()
    outcome = livevision("--source", "synthetic", "--overlay", "clock")
    assert outcome.code == 2
    assert "unknown overlay 'clock': no installed package has overlays" in outcome.one_line()


# Engines and models ------------------------------------------------------------------------------

ENGINE = """
from livevision.inference.onnx_engine import OnnxEngine

class Engine(OnnxEngine):
    def __call__(self, batch):
        outputs = super().__call__(batch)
        if COUNT:
            raise ArithmeticError("overflow")
        return outputs
"""


def test_an_engine_by_name(install: Installed, livevision: Run) -> None:
    module = install(ENGINE.replace("COUNT", "0"), engines={"odd": "MODULE:Engine"})
    graph = small_models.graph("detect")
    image = small_models.picture(200, 150)
    with (
        api.load(weights=graph, engine="odd") as odd,
        api.load(weights=graph, engine="onnx") as own,
    ):
        mine, theirs = odd(image), own(image)
        assert odd.engine_name == "odd"
    assert module in sys.modules
    assert np.array_equal(mine.xyxy, theirs.xyxy)
    with pytest.raises(UsageError, match="int8"):
        api.load(weights=graph, engine="odd", precision="int8")
    words = ("--source", "synthetic://64x48?frames=2")
    outcome = livevision(*words, "--weights", graph, "--engine", "odd")
    assert outcome.code == 0, outcome.err
    outcome = livevision(*words, "--engine", "od")
    assert outcome.code == 2
    assert "Did you mean 'odd'?" in outcome.one_line()


def test_an_engine_that_fails(install: Installed, livevision: Run) -> None:
    module = install(ENGINE.replace("COUNT", "1"), engines={"odd": "MODULE:Engine"})
    graph = small_models.graph("detect")
    words = ("--source", "synthetic://64x48?frames=2", "--weights", graph, "--engine", "odd")
    outcome = livevision(*words)
    assert outcome.code == 4, outcome.err
    said = f"the engine 'odd' of {module} 2.5: ArithmeticError: overflow"
    assert said in outcome.one_line()


def _write_card(folder: Path, name: str, task: str) -> None:
    """A model's card and weights."""
    card = small_models.CARDS[task]
    front = {
        "name": name,
        "task": task,
        "net": card.net,
        "input_size": list(card.input_size),
        "labels": list(card.labels),
        "net_options": dict(card.net_options),
        "fit": card.fit,
        "data": "noise",
    }
    (folder / f"{name}.md").write_text(f"---\n{yaml.safe_dump(front)}\n---\n\n# {name}\n")
    weights = small_models.weights(task).read_bytes()
    (folder / f"{name}.safetensors").write_bytes(weights)


def test_models_of_a_package(install: Installed, livevision: Run, tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    _write_card(models, "odd-detector", "detect")
    (models / "odd-graph.onnx").write_bytes(small_models.graph("segment").read_bytes())
    (models / "README.md").write_text("Not a card.")
    module = install(
        f"from pathlib import Path\nFOLDER = Path({str(models)!r})\n"
        "def folder(): return str(FOLDER)",
        models={"path": "MODULE:FOLDER", "function": "MODULE:folder"},
    )
    listed = livevision("models", "--json")
    assert listed.code == 0, listed.err
    with api.load("odd-detector", engine="torch") as model:
        assert model.task == "detect"
        assert len(model(small_models.picture(200, 150))) > 0
    with api.load("odd-graph") as model:
        assert model.task == "segment"
        assert model(small_models.picture(200, 150)).class_map.shape == (150, 200)
    words = ("--source", "synthetic://64x48?frames=2")
    outcome = livevision(*words, "--model", "odd-graph")
    assert outcome.code == 0, outcome.err
    outcome = livevision(*words, "--model", "odd-detecto")
    assert outcome.code == 2
    assert "Did you mean 'odd-detector'?" in outcome.one_line()
    assert module in sys.modules


def test_models_of_a_package_are_listed(
    install: Installed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from livevision.cli import main

    models = tmp_path / "models"
    models.mkdir()
    _write_card(models, "odd-detector", "detect")
    (models / "odd-graph.onnx").write_bytes(small_models.graph("segment").read_bytes())
    install(f"FOLDER = {str(models)!r}", models={"mine": "MODULE:FOLDER"})
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in yaml.safe_load(capsys.readouterr().out)}
    assert rows["odd-detector"]["weights"] == ["odd-detector.safetensors"]
    assert rows["bisenet-small"]["task"] == "segment"
    assert main(["models", "odd-detector"]) == 0
    assert "# odd-detector" in capsys.readouterr().out
    assert main(["models", "odd-graph"]) == 0
    assert "bisenet-small" in capsys.readouterr().out


def test_a_models_package_that_is_broken_is_a_warning(install: Installed, livevision: Run) -> None:
    broken = install("import no_such_module", models={"mine": "MODULE:FOLDER"})
    nowhere = install("FOLDER = '/no/such/folder'", models={"other": "MODULE:FOLDER"})
    outcome = livevision("models")
    assert outcome.code == 0
    assert outcome.err.count(f"the model 'mine' of {broken} 2.5: cannot be loaded") == 1
    assert outcome.err.count(f"the model 'other' of {nowhere} 2.5: must return a folder") == 1
    assert "Traceback" not in outcome.err


def test_a_model_by_the_name_of_a_shipped_one_is_not_used(
    install: Installed, livevision: Run, tmp_path: Path
) -> None:
    (tmp_path / "thundernet-mobilenetv2.md").write_text("---\nnot: a card\n---\n")
    module = install(f"FOLDER = {str(tmp_path)!r}", models={"mine": "MODULE:FOLDER"})
    outcome = livevision("models")
    assert outcome.code == 0, outcome.err
    told = f"the model 'thundernet-mobilenetv2' of {module} 2.5 is not used"
    assert outcome.err.count(told) == 1
