"""Zones and lines written into a YAML file: what is set, what stays, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from livevision.config.scene import read_scene
from livevision.config.scene.writing import write_shapes
from livevision.errors import UsageError

SCENE = """\
# The shop in the Main Street. Drawn by Ada, 2026-11-01.
lines:
  # seen from outside
  door: {points: [[0.2, 0.6], [0.8, 0.6]], classes: [person]}   # in is towards us

zones:
  till:   # the left one
    classes: [person]
    points: [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]]
    queue-after: 10s
  "back room": {points: [[0.5, 0], [1, 0], [1, 0.5]]}

rules:
  long queue: {when: {zone: till, count: ">= 3", for: 2m}, schedule: {from: 8:30, days: mon-fri}}
"""


def test_points_change_and_all_else_stays_to_the_letter(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SCENE)
    file.chmod(0o640)
    corners = [[0.111111, 0.25], [0.45, 0.25], [0.45, 1.0], [0.1, 0.9]]
    scene = write_shapes(file, {"till": corners}, {"door": [[0, 0.5], [1, 0.5]]})
    expected = SCENE.replace(
        "points: [[0.1, 0.2], [0.4, 0.2], [0.4, 0.9]]",
        "points: [[0.1111, 0.25], [0.45, 0.25], [0.45, 1], [0.1, 0.9]]",
    ).replace("[[0.2, 0.6], [0.8, 0.6]]", "[[0, 0.5], [1, 0.5]]")
    # A comment behind a value stays in its column.
    assert re.sub(" +#", " #", file.read_text()) == re.sub(" +#", " #", expected)
    assert scene == read_scene(file)
    assert file.stat().st_mode & 0o777 == 0o640
    till = next(zone for zone in scene.zones if zone.name == "till")
    assert (till.classes, till.queue_after, len(till.points)) == (("person",), 10.0, 4)


def test_zones_come_and_go(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SCENE)
    write_shapes(
        file, {"yard": [[0, 0], [640, 0], [640.04, 360.54]]}, ignore=[[[0, 0], [1, 0], [1, 1]]]
    )
    text = file.read_text()
    assert "  yard: {points: [[0, 0], [640, 0], [640, 360.5]]}\n" in text
    assert "# in is towards us" in text
    scene = write_shapes(file, {"back room": None, "yard": None})
    assert [zone.name for zone in scene.zones] == ["till"]
    assert len(scene.ignore) == 1
    assert "back room" not in file.read_text()
    with pytest.raises(UsageError, match="Did you mean 'till'"):
        write_shapes(file, {"tll": None})


def test_what_would_be_no_scene_is_refused_and_nothing_written(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(SCENE)
    with pytest.raises(UsageError, match=r"long queue.*till"):
        write_shapes(file, {"till": None})
    with pytest.raises(UsageError, match="3 points or more"):
        write_shapes(file, {"till": [[0, 0], [1, 1]]})
    with pytest.raises(UsageError, match="cannot read"):
        write_shapes(tmp_path / "none.yaml", {"till": None})
    assert file.read_text() == SCENE
    file.write_text("zones: [")
    with pytest.raises(UsageError, match="not valid YAML"):
        write_shapes(file, {"till": [[0, 0], [1, 0], [1, 1]]})
    assert [path.name for path in tmp_path.iterdir()] == ["shop.yaml"]


CONFIG = """\
task: detect
sources:
  door:      # the main one
    uri: rtsp://cam1/stream
    zones: {till: {points: [[0, 0], [1, 0], [1, 1]]}}
  yard: {uri: rtsp://cam2/stream, scene: yard.yaml}
  gate:
    uri: 0
    scene:
      lines:
        post: {points: [[0, 0], [1, 1]]}
output:
- a.jsonl
- b.jsonl
"""


def test_a_source_of_a_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(CONFIG)
    new = [[0, 0], [0.5, 0], [0.5, 0.5]]
    write_shapes(file, {"till": new}, within=("sources", "door"))
    write_shapes(file, lines={"post": [[0, 0], [1, 0.25]]}, within=("sources", "gate"))
    expected = CONFIG.replace("[[0, 0], [1, 0], [1, 1]]", str(new))
    expected = expected.replace("[[0, 0], [1, 1]]", "[[0, 0], [1, 0.25]]")
    assert file.read_text() == expected
    with pytest.raises(UsageError, match=r"yard\.yaml: write it there"):
        write_shapes(file, {"till": new}, within=("sources", "yard"))
    with pytest.raises(UsageError, match="Did you mean 'door'"):
        write_shapes(file, {"till": new}, within=("sources", "dor"))


def test_an_empty_file_and_one_of_another_system(tmp_path: Path) -> None:
    file = tmp_path / "new.yaml"
    file.write_text("# nothing yet\n")
    write_shapes(file, {"till": [[0, 0], [1, 0], [1, 1]]})
    assert [zone.name for zone in read_scene(file).zones] == ["till"]
    file.write_bytes(b"\xef\xbb\xbf" + SCENE.replace("\n", "\r\n").encode())
    write_shapes(file, {"till": [[0, 0], [1, 0], [1, 1]]})
    written = file.read_bytes()
    assert written.startswith(b"\xef\xbb\xbf#")
    assert written.count(b"\n") == written.count(b"\r\n") > 10
