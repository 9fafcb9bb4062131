"""Hides passwords in whatever is shown: names of sources, messages, ffmpeg's and OpenCV's words."""

from __future__ import annotations

import re

HIDDEN = "***"

_USER_INFO = re.compile(r"(://)[^\s/?#]*@")
# A password that itself holds a slash: everything between "name:" and the last @ of the word.
_USER_INFO_WITH_SLASH = re.compile(r"(://)[^\s/@:]+:(?!\d+[/?#])[^\s@]*@")
_SETTING = re.compile(r"(?<=[?&;/\s\"'])([\w.-]+)=([^&\s;\"']+)")
_SECRET = re.compile(
    r"pass|pwd|token|secret|key|auth|sig|cred|user|usr|login|(?:^|[_-])pw", re.IGNORECASE
)


def redact(text: str) -> str:
    """The text with every ``user:password@`` and password-like setting in it hidden.

    >>> redact("rtsp://admin:s3cret@10.0.0.5/main?token=abc&size=2")
    'rtsp://***@10.0.0.5/main?token=***&size=2'
    """
    text = _USER_INFO.sub(rf"\1{HIDDEN}@", text)
    text = _USER_INFO_WITH_SLASH.sub(rf"\1{HIDDEN}@", text)
    return _SETTING.sub(_hide_secret, text)


def _hide_secret(setting: re.Match[str]) -> str:
    name, value = setting.groups()
    # Some cameras chain settings in the path: size=1_password=x, all of it the value of "size".
    secret = _SECRET.search(name) or ("=" in value and _SECRET.search(value))
    return f"{name}={HIDDEN}" if secret else setting.group()
