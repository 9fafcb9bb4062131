"""FFmpeg's options for each kind of stream, and plain words for its errors."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING

from livevision.address import ENCODED, split_address
from livevision.errors import SourceError, UsageError
from livevision.redact import redact

if TYPE_CHECKING:
    from collections.abc import Callable


def ffmpeg_options(uri: str, silence: float) -> dict[str, str]:
    """FFmpeg's options for a stream.

    Args:
        uri: The address as the user wrote it.
        silence: Seconds without data after which a connection counts as dead.
    """
    scheme = split_address(uri).scheme
    microseconds = str(int(silence * 1e6))
    # FFmpeg may analyse a stream for five seconds before the first frame. Its flag "nobuffer"
    # would save that, but drops what was analysed, including the first key frame.
    chosen = {"analyzeduration": "2000000"}
    if scheme in ("rtsp", "rtsps", "rtspu"):
        transport = "udp" if scheme == "rtspu" else "tcp"
        chosen |= {"rtsp_transport": transport, "timeout": microseconds}
    elif scheme in ("http", "https"):
        # For files: resumes at the same position. Live streams have none.
        chosen |= {"reconnect": "1", "reconnect_delay_max": str(max(1, int(silence)))}
    elif scheme == "udp":
        chosen |= {"overrun_nonfatal": "1", "fifo_size": "50000"}
    return chosen


def ffmpeg_address(uri: str) -> str:
    """The address of a stream for FFmpeg, which has an option for ``rtspu://``, RTSP over UDP."""
    scheme, colon, rest = uri.partition(":")
    return f"rtsp{colon}{rest}" if scheme.lower() == "rtspu" else uri


def gives_up(error: Exception, uri: str) -> bool:
    """Whether a failed first connection is hopeless: a wrong address rather than a network that is
    not up yet.
    """
    import av

    final = (
        SourceError,
        UsageError,
        av.error.HTTPBadRequestError,
        av.error.HTTPUnauthorizedError,
        av.error.HTTPForbiddenError,
        av.error.HTTPNotFoundError,
        av.error.HTTPOtherClientError,
        av.error.InvalidDataError,
        av.error.ProtocolNotFoundError,
        av.error.DemuxerNotFoundError,
        av.error.OptionNotFoundError,
        av.error.ArgumentError,
        av.error.PermissionError,
    )
    return isinstance(error, final) or _unknown_host(error, uri)


def explain(error: Exception, uri: str, silence: float) -> str:
    """An error of FFmpeg in plain words, without passwords."""
    import av

    host = split_address(uri).host_name
    words: list[tuple[type[Exception], Callable[[], str]]] = [
        (SourceError, lambda: str(error)),
        (av.error.HTTPUnauthorizedError, lambda: _unauthorized(uri)),
        (av.error.HTTPForbiddenError, lambda: f"{host} does not allow it (403)"),
        (
            av.error.HTTPNotFoundError,
            lambda: f"{host} has no such stream (404): check the path in the address",
        ),
        (av.error.HTTPServerError, lambda: f"{host} reports a server error (5xx)"),
        (av.error.ConnectionRefusedError, lambda: f"{host} refuses the connection"),
        (av.error.ExitError, lambda: f"no data from {host} for {silence:g} s"),
        (av.error.TimeoutError, lambda: f"no answer from {host}"),
        (av.error.EOFError, lambda: f"{host} ended the stream"),
        (av.error.InvalidDataError, lambda: "the data is not a video stream that FFmpeg knows"),
    ]
    if _unknown_host(error, uri):
        return f"there is no host named {host!r}: check the address"
    for kind, say in words:
        if isinstance(error, kind):
            return say()
    if getattr(error, "errno", None) == errno.EIO:
        return f"{host} broke the connection{_index_hint(uri)}"
    return redact(getattr(error, "strerror", None) or str(error))


def _index_hint(uri: str) -> str:
    path = re.split(r"[?#]", split_address(uri).rest)[0]
    if not path.lower().endswith((".mp4", ".m4v", ".mov")):
        return ""
    return (
        " (a file with its index at the end needs a server that supports range requests:"
        " download it first)"
    )


def _unauthorized(uri: str) -> str:
    address = split_address(uri)
    if address.user_info is not None:
        wrong = "the user name or the password in the address is wrong (401)"
        special = re.search(r"[^\w.:-]", address.user_info)
        return f"{wrong}; write them {ENCODED}" if special else wrong
    return f"user name and password are required (401): {address.scheme}://USER:PASSWORD@HOST/…"


def _unknown_host(error: Exception, uri: str) -> bool:
    """Whether the host name is unknown, for which FFmpeg only says "input/output error"."""
    host = split_address(uri).host.strip("[]")
    if not host or getattr(error, "errno", None) != errno.EIO:
        return False
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as failure:
        # EAI_AGAIN: no name server answers, as before the network is up.
        return failure.errno != socket.EAI_AGAIN
    return False
