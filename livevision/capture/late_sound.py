"""Sound of which nothing was known when its container was opened, since it begins later."""

from __future__ import annotations

from typing import Any

from livevision.capture.beside import track_of
from livevision.media.extras import Track


class LateSound:
    """Finds rate and channels of a stream of sound in its first packets.

    Args:
        stream: PyAV's stream, for which `is_known` is false.
    """

    def __init__(self, stream: Any) -> None:
        import av

        self._stream = stream
        context = stream.codec_context
        self._decoder = None if context is None else av.CodecContext.create(context.name, "r")

    @staticmethod
    def is_known(stream: Any) -> bool:
        """Whether the container knows rate and channels of a stream of sound."""
        context = stream.codec_context
        return context is not None and bool(context.sample_rate and context.layout.nb_channels)

    def track(self, packet: Any) -> Track | None:
        """The description of the stream, once a packet tells enough; until then None."""
        import av

        if self._decoder is None:
            return None
        try:
            frames: list[Any] = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return None
        if not frames:
            return None
        track, (frame, *_) = track_of(self._stream), frames
        if track.template is None:
            self._decoder = None
            return None
        context = track.template.codec_context
        context.sample_rate, context.layout = frame.sample_rate, frame.layout
        context.format = frame.format
        track.holder.start_encoding()  # from here on the template says so too
        return track
