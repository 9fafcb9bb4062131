"""A process that sends a stream to a server: ``python -m livevision.output.remux``.

PyAV holds Python's lock while it connects, and cannot be interrupted while it sends. In a separate
process a hanging server blocks nothing, and can be given up.

Standard input is a line of JSON, with ``uri``, ``muxer`` and ``options``, then a NUT stream of
H.264. On an error the last line on standard error is the message, and the exit code is 1.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import IO, Any

import av


def send(source: IO[bytes]) -> None:
    """Copy the packets of a stream to the server that its first line names."""
    asked = json.loads(source.readline())
    soon = {"probesize": "4096", "analyzeduration": "0"}
    read: Any = av.open(source, format="nut", options=soon)
    sent: Any = av.open(asked["uri"], "w", asked["muxer"], options=asked["options"])
    with read, sent:
        taken = read.streams.video[0]
        given = sent.add_stream_from_template(taken)
        sent.start_encoding()
        for packet in read.demux(taken):
            if packet.dts is not None:
                packet.stream = given
                sent.mux(packet)


def main() -> int:
    """Send what comes on standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        send(sys.stdin.buffer)
    except av.error.ProtocolNotFoundError:
        print("the FFmpeg inside this PyAV has no such protocol", file=sys.stderr)
    except (av.error.FFmpegError, OSError) as error:
        print(str(error.strerror or error).lower(), file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
