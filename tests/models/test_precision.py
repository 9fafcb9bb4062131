"""The precision "auto" is the fastest one that is known to agree with fp32."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from livevision.checkpoints.card import write_card
from livevision.inference.agreement import Agreement
from livevision.inference.description import read_description
from livevision.inference.model_files import ModelFiles
from livevision.inference.openvino_file import read_graph, write_graph
from livevision.models import catalog, precision
from livevision.models.catalog import ModelCard
from livevision.models.choice import files_of, int8_file
from livevision.models.lowering import write_openvino
from livevision.models.model import Model
from livevision.models.precision import settle
from tests import small_models


def agreeing(value: float) -> dict[str, Any]:
    return {"figure": "AP50", "value": value, "frames": 100, "source": "street.mp4"}


@pytest.fixture
def card(tmp_path: Path) -> ModelCard:
    """A model as it is shipped: weights, and a card that states how bf16 does."""
    made = small_models.CARDS["detect"]
    (tmp_path / f"{made.name}.safetensors").write_bytes(small_models.weights("detect").read_bytes())
    speed = {"fp32": 4.0, "bf16": 2.0, "int8": 3.0, "on": "ms"}
    stated = replace(made, agreement={"bf16": agreeing(0.98)}, speed=speed)
    write_card(tmp_path / f"{made.name}.md", stated, "Small.")
    return catalog.read_card(tmp_path / f"{made.name}.md")


@pytest.fixture
def files(card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFiles:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "_computes_bf16", lambda: True)
    return files_of(card, None, None, untrained=False)


def test_a_card_keeps_what_was_measured(card: ModelCard) -> None:
    assert card.agreement["bf16"]["value"] == 0.98
    assert card.speed["int8"] == 3.0
    assert card.summary()["agreement"] == {"bf16": agreeing(0.98)}


def test_bf16_is_taken_where_it_agrees_and_the_processor_has_it(
    card: ModelCard, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = settle(card, files, own=False)
    assert settled.precision == "bf16"
    assert settled.agreement == Agreement(**agreeing(0.98))
    too_little = replace(card, agreement={"bf16": agreeing(0.969)})
    assert settle(too_little, files, own=False).precision == "auto"
    assert settle(card, files, own=True).precision == "auto", "the card is of other weights"
    slower = replace(card, speed={"fp32": 2.0, "bf16": 2.1})
    assert settle(slower, files, own=False).precision == "auto"
    monkeypatch.setattr(precision, "_computes_bf16", lambda: False)
    assert settle(card, files, own=False).precision == "auto"


def test_int8_is_taken_where_its_file_agrees(card: ModelCard, files: ModelFiles) -> None:
    path = int8_file(files)
    path.parent.mkdir(parents=True)
    write_openvino(files, card, path)
    _state(path, 0.99)
    unknown = settle(replace(card, speed={}), files, own=False)
    assert (unknown.precision, unknown.files.graph) == ("int8", path)
    assert unknown.agreement is not None
    assert unknown.agreement.value == 0.99
    own = settle(card, files, own=True)
    assert own.precision == "int8", "the file was made of these weights, whoever trained them"
    assert settle(card, files, own=False).precision == "bf16", "which the card knows to be faster"
    _state(path, 0.9)
    assert settle(replace(card, speed={}, agreement={}), files, own=False).precision == "auto"


def _state(path: Path, value: float) -> None:
    """Have a file say that it is in int8, and how far it agrees."""
    agreement = Agreement("AP50", value, 12, "pictures").to_json()
    told = {**read_description(path), "precision": "int8", "agreement": agreement}
    write_graph(read_graph(path), told, path)


def test_the_log_and_the_report_say_what_was_taken(
    card: ModelCard, files: ModelFiles, caplog: pytest.LogCaptureFixture
) -> None:
    ov = pytest.importorskip("openvino")
    if "BF16" not in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("the processor does not compute in bf16")
    caplog.set_level(logging.INFO, logger="livevision")
    with Model(card, files, {}, ("openvino", "cpu", "auto")) as model:
        model.open()
        assert model.engine_spec is not None
        assert model.engine_spec.precision == "bf16"
        assert model.agreement == Agreement(**agreeing(0.98))
    assert "in bf16, the fastest precision that agrees with fp32: AP50 0.980" in caplog.text
    caplog.clear()
    with Model(card, files, {}, ("openvino", "cpu", "fp32")) as model:
        model.open()
        assert model.engine_spec is not None
        assert (model.engine_spec.precision, model.agreement) == ("fp32", None)
    with Model(card, files, {}, ("openvino", "cpu", "bf16")) as model:
        model.open()
        assert model.agreement is not None
    assert "AP50 0.980" in caplog.text
    assert "unknown" not in caplog.text
