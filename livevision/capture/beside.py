"""What a container has beside its video: the other streams, described for those who copy them."""

from __future__ import annotations

import io
from typing import Any

from livevision.media.extras import Track


def beside_of(container: Any, video: Any) -> list[Any]:
    """The streams that accompany a video, without other pictures and other qualities."""
    found = []
    version = video.metadata.get("variant_bitrate")
    # HLS numbers each playlist; audio with the number of the video belongs to it.
    together = container.format.name == "hls" and any(
        stream.type == "audio" and stream.id == video.id for stream in container.streams
    )
    chapters = bool(container.chapters())
    for stream in container.streams:
        if stream.type not in ("audio", "subtitle", "data", "attachment"):
            continue
        if stream.metadata.get("variant_bitrate", version) != version:
            continue  # another quality of an HLS stream
        if together and stream.id != video.id:
            continue
        if chapters and stream.type == "data" and stream.name == "bin_data":
            continue  # a track of chapter names
        found.append(stream)
    return found


def sound_of(container: Any, video: Any) -> Any:
    """The sound that belongs to a video: the usual one of several; None without any."""
    from av.stream import Disposition

    found = [s for s in beside_of(container, video) if s.type == "audio"]
    usual = [s for s in found if s.disposition & Disposition.default]
    return next(iter(usual or found), None)


def pictures_of(container: Any, video: Any) -> list[Track]:
    """Other videos and cover pictures, which no output copies."""
    from av.stream import Disposition

    if container.format.name == "hls":
        return []  # the same video in other qualities
    return [
        Track(
            stream.index,
            "cover" if stream.disposition & Disposition.attached_pic else "video",
            stream.codec_context.codec.canonical_name if stream.codec_context else "unknown",
            None,
            None,
        )
        for stream in container.streams.video
        if stream.index != video.index
    ]


def track_of(stream: Any) -> Track:
    import av

    context = stream.codec_context
    codec = context.codec.canonical_name if context is not None else getattr(stream, "name", None)
    # A container that is never written keeps the parameters after the file is closed.
    holder: Any = av.open(io.BytesIO(), "w", "null")
    try:
        template = holder.add_stream_from_template(stream)
    except (av.error.FFmpegError, ValueError):
        template = None
    return Track(
        stream.index,
        stream.type,
        codec or "unknown",
        template,
        holder,
        _tags(stream),
        int(stream.disposition),
    )


def _tags(stream: Any) -> dict[str, str]:
    tags = dict(stream.metadata)
    if "name" in tags:  # QuickTime's key for a track's title
        tags.setdefault("title", tags.pop("name"))
    return tags
