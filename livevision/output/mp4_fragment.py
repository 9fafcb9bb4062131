"""One picture of H.264 as a fragment of MP4 (ISO/IEC 14496-12), for browsers that watch live.

FFmpeg's muxer writes a fragment when the next picture comes; a picture that is to be seen at once
cannot wait for it.
"""

from __future__ import annotations

from struct import pack

TRACK = 1
"""Number of the only track, as FFmpeg's muxer gives it."""

_KEY, _OTHER = 0x02000000, 0x01010000  # whether a picture depends on others
_BASE_IS_MOOF = 0x020000
_OFFSET, _DURATION, _SIZE, _FLAGS = 0x1, 0x100, 0x200, 0x400
_DELIMITER, _INFORMATION = 9, 6  # units that no decoder needs
_START = b"\0\0\1"


def fragment(number: int, begin: int, duration: int, picture: bytes, *, key: bool) -> bytes:
    """A fragment with one picture.

    Args:
        number: Number of the fragment, from 1.
        begin: Time of the picture in the track's time base.
        duration: Until the next picture, in the same.
        picture: Units with their lengths, see ``with_lengths``.
        key: Whether it is a key frame.
    """

    def moof(offset: int) -> bytes:
        run = pack(">IIIII", 1, offset, duration, len(picture), _KEY if key else _OTHER)
        track = _box(
            b"traf",
            _full(b"tfhd", 0, _BASE_IS_MOOF, pack(">I", TRACK)),
            _full(b"tfdt", 1, 0, pack(">Q", begin)),
            _full(b"trun", 0, _OFFSET | _DURATION | _SIZE | _FLAGS, run),
        )
        return _box(b"moof", _full(b"mfhd", 0, 0, pack(">I", number)), track)

    return moof(len(moof(0)) + 8) + _box(b"mdat", picture)


def with_lengths(data: bytes) -> bytes:
    """An encoder's units, which begin with start codes (Annex B), as MP4 has them."""
    found = []
    for unit in units(data):
        if unit[0] & 31 not in (_DELIMITER, _INFORMATION):
            found.append(pack(">I", len(unit)) + unit)
    return b"".join(found)


def units(data: bytes) -> list[bytes]:
    """The units of H.264 between start codes."""
    # No unit ends with a zero byte: those before a start code belong to it.
    parts = (part.rstrip(b"\0") for part in data.split(_START)[1:])
    return [part for part in parts if part]


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, pack(">I", version << 24 | flags), *parts)
