"""Detects media files that end too early, by their structure.

FFmpeg reads such files as far as they go and reports a normal end. Formats without structure at
their end (raw H.264) are taken as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO

_ASF = bytes.fromhex("3026B2758E66CF11A6D900AA0062CE6C")
_ASF_FILE = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
_EBML, _SEGMENT = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067")
_HEAD, _TAIL = 64 * 1024, 128 * 1024
_SLACK = 8  # some programs count the file's header, or a padding byte
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # of an AVI written to a pipe
_TS_SYNC, _TS_PACKETS = 0x47, ((188, 0), (192, 4), (204, 0))


def cut_off(path: Path) -> str | None:
    """What is missing at the end of a file, as the end of a sentence; None if it is complete."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, size - _TAIL))
        tail = file.read(_TAIL)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            return _avi(file, size)
        if head[4:8] == b"ftyp":
            return _boxes(file, size)
    if head[:4] == _EBML:
        return _segment(head, size)
    if head[:16] == _ASF:
        return _asf(head, size)
    if head[:4] == b"GIF8":
        return None if tail.rstrip(b"\0")[-1:] == b";" else "its end mark is missing"
    if head[:4] == b"OggS":
        return _ogg(tail)
    if head[:10] == b"YUV4MPEG2 ":
        return _y4m(head, size)
    if head[:2] == b"\xff\xd8":
        last = tail[max(0, tail.rfind(b"\xff\xd8")) :]
        return None if b"\xff\xd9" in last else "its last frame is cut"
    if head[:4] == b"\0\0\1\xba":
        return _program_stream(tail)
    return _transport_stream(head, size)


def _avi(file: IO[bytes], size: int) -> str | None:
    """AVI: a sequence of RIFF lists, each with its length."""
    at = 0
    while at + 12 <= size:
        file.seek(at)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or length in _UNKNOWN_SIZES:
            return None
        if at + 8 + length > size + _SLACK:
            return f"{at + 8 + length - size} bytes are missing"
        at += 8 + length + length % 2
    return None


def _boxes(file: IO[bytes], size: int) -> str | None:
    """MP4 and MOV: a sequence of boxes, each with its length; 0 means the rest of the file."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, least = int.from_bytes(header[:4], "big"), 8
        if length == 1:
            length, least = int.from_bytes(header[8:16], "big"), 16
        if length < least:
            return None
        at += length
    return f"{at - size} bytes are missing" if at > size else None


def _segment(head: bytes, size: int) -> str | None:
    """Matroska and WebM: one element holds the whole film, with its length if known."""
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or at >= len(head) or not head[at]:
        return None
    wide = 9 - head[at].bit_length()  # bytes; given by the leading zeros
    bits = 7 * wide
    length = int.from_bytes(head[at : at + wide], "big") & ((1 << bits) - 1)
    end = at + wide + length
    is_unknown = length == (1 << bits) - 1
    return None if is_unknown or end <= size else f"{end - size} bytes are missing"


def _asf(head: bytes, size: int) -> str | None:
    at = head.find(_ASF_FILE)
    if at < 0 or len(head) < at + 92:
        return None
    declared = int.from_bytes(head[at + 40 : at + 48], "little")
    is_broadcast = head[at + 88] & 1
    if is_broadcast or declared <= size:
        return None
    return f"{declared - size} bytes are missing"


def _ogg(tail: bytes) -> str | None:
    """Ogg: a page's header lists the lengths of its segments."""
    at = tail.rfind(b"OggS")
    page = tail[at:]
    if at < 0 or len(page) < 27 or len(page) < 27 + page[26]:
        return "its last page is cut"
    whole = 27 + page[26] + sum(page[27 : 27 + page[26]])
    begun = page[whole:]
    is_cut = len(page) < whole or (begun and b"OggS".startswith(begun))
    return "its last page is cut" if is_cut else None


def _y4m(head: bytes, size: int) -> str | None:
    """Y4M: a header line, and for each frame a line and its planes."""
    line, _, _ = head.partition(b"\n")
    fields = {word[:1]: word[1:] for word in line.decode("ascii", "replace").split()[1:]}
    colour = re.fullmatch(r"(420|411|422|444|mono)(?:\D*)(?:p(\d+))?", fields.get("C", "420jpeg"))
    if colour is None or not (fields.get("W", "").isdecimal() and fields.get("H", "").isdecimal()):
        return None
    width, height = int(fields["W"]), int(fields["H"])
    sub_x, sub_y = {"420": (2, 2), "411": (4, 1), "422": (2, 1)}.get(colour[1], (1, 1))
    chroma = 0 if colour[1] == "mono" else 2 * -(-width // sub_x) * -(-height // sub_y)
    frame = (width * height + chroma) * (2 if colour[2] and int(colour[2]) > 8 else 1)
    return "its last frame is cut" if (size - len(line) - 1) % (frame + len("FRAME\n")) else None


def _program_stream(tail: bytes) -> str | None:
    """MPEG-PS: packets, each with a unique start code and its length."""
    starts = [found.start() for found in re.finditer(rb"\x00\x00\x01[\xbd-\xef]", tail)]
    if not starts:
        return None
    packet = tail[starts[-1] :]
    whole = 6 + int.from_bytes(packet[4:6], "big")
    return "its last packet is cut" if len(packet) < whole else None


def _transport_stream(head: bytes, size: int) -> str | None:
    for packet, first in _TS_PACKETS:
        marks = head[first : first + 5 * packet : packet]
        if len(marks) == 5 and set(marks) == {_TS_SYNC}:
            return "its last packet is cut" if size % packet else None
    return None
