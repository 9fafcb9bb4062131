"""Class names: of known data sets, from files, or guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from livevision.errors import UsageError
from livevision.files import with_home


def _listed(names: str, between: str) -> tuple[str, ...]:
    return tuple(names.split(between))


_VOC = _listed(
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor",
    " ",
)

_CITYSCAPES = _listed(
    "road sidewalk building wall fence pole traffic_light traffic_sign vegetation terrain sky "
    "person rider car truck bus train motorcycle bicycle",
    " ",
)

# By their numbers in COCO's files, from 0; "-" for unused numbers.
_COCO_BY_NUMBER = _listed(
    "-,person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,-,"
    "stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,-,"
    "backpack,umbrella,-,-,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,"
    "baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,-,wine glass,cup,fork,"
    "knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,"
    "couch,potted plant,bed,-,dining table,-,-,toilet,-,tv,laptop,mouse,remote,keyboard,"
    "cell phone,microwave,oven,toaster,sink,refrigerator,-,book,clock,vase,scissors,teddy bear,"
    "hair drier,toothbrush",
    ",",
)

SETS: Mapping[str, tuple[str, ...]] = {
    "coco80": tuple(name for name in _COCO_BY_NUMBER if name != "-"),
    "coco91": tuple(f"unused {n}" if x == "-" else x for n, x in enumerate(_COCO_BY_NUMBER)),
    "voc20": _VOC,
    "voc21": ("background", *_VOC),
    "cityscapes19": _CITYSCAPES,
}
"""The sets of ``--labels``. ``coco91`` has the numbers of COCO's own files."""

_LONGER = {"coco80": "coco91", "voc20": "voc21"}
_GUESSES = {len(names): key for key, names in SETS.items()}


def named_labels(given: str, classes: int | None, from_one: bool) -> tuple[str, ...]:
    """Class names for a value of ``--labels``: a set's name, or a text file with one name per line.

    Args:
        given: coco80, coco91, voc20, voc21, cityscapes19 or a file.
        classes: Number of classes of the model, if known; ``coco80`` and ``voc20`` become
            ``coco91`` and ``voc21`` if only these have that number.
        from_one: Whether the model numbers its classes from 1.

    Raises:
        UsageError: There is no such set or file, or the file has no names.
    """
    if given in SETS:
        longer = _LONGER.get(given)
        if longer and (from_one or classes == len(SETS[longer])):
            return SETS[longer]
        return SETS[given]
    try:
        lines = with_home(given).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"labels {given!r}: {why}; give {', '.join(SETS)} or a text file with a name per line"
        ) from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names:
        raise UsageError(f"labels {given!r}: the file has no names")
    return names


def guessed(classes: int | None, from_one: bool) -> tuple[Sequence[str], str]:
    """Names guessed from the number of classes, and a description of the guess."""
    key = _GUESSES.get(classes) if classes else ("coco91" if from_one else "coco80")
    if key is not None:
        return SETS[key], f"those of {key}"
    return tuple(f"class {number}" for number in range(classes or 0)), "their numbers"
