"""Hides passwords in everything that is shown: source names, messages, tracebacks.

It hides too much rather than too little. A password may contain any character, so everything
between ``//`` and the last ``@`` is hidden; an address without ``@`` whose host and port are not
plausible is hidden altogether, since the ``@`` may have been forgotten.
"""

from __future__ import annotations

import re

from livevision.address import split_address

HIDDEN = "***"

_WITHOUT_SECRETS = ("csi", "file", "synthetic", "webcam")
_NETWORK = "rtsps?|https?|udp|rtp|rtmps?|srt|tcp"
_DRIVE = re.compile(r"[a-zA-Z]:[/\\]")
_START = re.compile(
    rf"(?:[a-zA-Z][a-zA-Z0-9+.-]*:[/\\]{{2,}}|(?:{_NETWORK}):[/\\]?)", re.IGNORECASE
)
_START_IN_TEXT = re.compile(
    rf"\b(?:[a-zA-Z][a-zA-Z0-9+.-]+:[/\\]{{2,}}|(?:{_NETWORK}):[/\\]?(?=\S))", re.IGNORECASE
)
_AUTHORITY, _WORD = re.compile(r"[^\s\"'<>/?#]*"), re.compile(r"[^\s\"'<>]*")
_DONE = re.compile(rf"{re.escape(HIDDEN)}(?![^\s@:;,.)'\"])")
# A value continues past an "&" that is not followed by a name and "=".
_SETTING = re.compile(r"(?<=[?&;/#])([\w.%\[\]-]+)=([^&]*(?:&[^&=]*(?=&|$))*)")
_SETTING_IN_TEXT = re.compile(
    r"""(?<=[?&;/#\s"'])([\w.%\[\]-]+)=("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|(?:\\.|[^&\s"'\\])+)"""
)
# In a GStreamer pipeline: everything up to the next property or element.
_PROPERTY = re.compile(r"(?<=\s)([\w-]+)=(.*?)(?=\s+[\w:-]+=|\s+!|$)")
_SECRET = re.compile(
    r"pass|pwd|psw|token|secret|key|auth|sig|cred|user|usr|login|jwt|sess|streamid|otp"
    r"|(?:^|[_-])(?:pw|pin|code|sid)(?:$|[_-])",
    re.IGNORECASE,
)


def redact_uri(uri: str) -> str:
    """A single address or source, without its secrets.

    >>> redact_uri("rtsp://admin:a/b c@10.0.0.5/main?token=abc&size=2")
    'rtsp://***@10.0.0.5/main?token=***&size=2'
    """
    if uri.startswith("gst:"):
        return redact(_PROPERTY.sub(_hide_property, " ".join(uri.split())))
    start = _START.match(uri)
    if start is None:
        # Not an address, or one without its scheme: admin:secret@host.
        before, at, after = uri.rpartition("@")
        forgotten = at and ":" in before and not _DRIVE.match(uri)
        return f"{HIDDEN}@{_without_settings(after)}" if forgotten else uri
    head, rest = start.group(), uri[start.end() :]
    if head.partition(":")[0].lower() in _WITHOUT_SECRETS:
        return uri
    before, at, after = rest.rpartition("@")
    for setting in _SETTING.finditer(rest):
        if setting.end() > len(before) >= setting.start(2) and _is_secret(setting):
            # After the "@" comes the host, or the rest of a token that contains an "@".
            return f"{head}{HIDDEN}{_without_settings(rest[setting.end() :])}"
    if before:
        return f"{head}{HIDDEN}@{_without_settings(after)}"
    if rest == HIDDEN or split_address(f"x://{rest}").is_sound:
        return head + _without_settings(rest)
    return head + (HIDDEN if rest else "")


def redact(text: str) -> str:
    """Any text, such as an error of FFmpeg or a traceback, without the secrets in it.

    For an address by itself use ``redact_uri``, which need not guess where it ends; here it may
    extend to the last ``@`` of its line.

    >>> redact("cannot open 'rtsp://admin:s3cret@10.0.0.5/main?token=abc': refused")
    "cannot open 'rtsp://***@10.0.0.5/main?token=***': refused"
    """
    return "\n".join(map(_redact_line, text.split("\n")))


def _redact_line(line: str) -> str:
    line = _SETTING_IN_TEXT.sub(_hide_secret, line)
    done, at, last = "", 0, line.rfind("@")
    while start := _START_IN_TEXT.search(line, at):
        done += line[at : start.end()]
        at = start.end()
        if start.group().partition(":")[0].lower() in _WITHOUT_SECRETS:
            continue
        if _DONE.match(line, at):
            continue
        if last > at:
            done, at = done + HIDDEN, last
            continue
        place = line[at : _end(_AUTHORITY, line, at)].rstrip(":;,.)")
        if place and not split_address(f"x://{place}").is_sound:
            done, at = done + HIDDEN, _end(_WORD, line, at)
    return done + line[at:]


def _end(pattern: re.Pattern[str], line: str, at: int) -> int:
    found = pattern.match(line, at)
    return found.end() if found else at


def _without_settings(text: str) -> str:
    return _SETTING.sub(_hide_secret, text)


def _hide_secret(setting: re.Match[str]) -> str:
    return f"{setting.group(1)}={HIDDEN}" if _is_secret(setting) else setting.group()


def _hide_property(setting: re.Match[str]) -> str:
    return f"{setting.group(1)}={HIDDEN}" if _SECRET.search(setting.group(1)) else setting.group()


def _is_secret(setting: re.Match[str]) -> bool:
    name, value = setting.groups()
    # Some cameras chain settings in the path: size=1_password=x, all of it the value of "size".
    secret = _SECRET.search(name) or ("=" in value and _SECRET.search(value))
    return bool(secret and value)
