"""Checks across settings: combinations that make no sense, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livevision.config.event_places import is_lines, is_store
from livevision.config.sources import check_name
from livevision.media.codecs import SOFTWARE_ENCODER
from livevision.redact import redact_uri

if TYPE_CHECKING:
    from livevision.config.settings import Settings

NO_SOURCE = "no source was given: name one, such as --source webcam or --source video.mp4"


def check_combinations(settings: Settings) -> None:
    """Check that settings fit together; the first problem counts.

    Raises:
        ValueError: Two settings exclude each other, or one needs another.
    """
    _sources(settings)
    _page(settings)
    if settings.verbose and settings.quiet:
        raise ValueError("verbose and quiet were both given: choose one")
    has_scene = settings.scene is not None or any(
        source.scene is not None for source in settings.sources.values()
    )
    _style(settings, has_scene)
    _events(settings, has_scene)
    _sound(settings)
    _tracks(settings, has_scene)
    _encoding(settings)
    _pace(settings)
    _weights(settings)


def _sources(settings: Settings) -> None:
    if not settings.source and not settings.sources:
        raise ValueError(NO_SOURCE)
    for name in settings.sources:
        check_name(name)


def _page(settings: Settings) -> None:
    pages = [uri for uri in settings.output if uri.lower().startswith("web:")]
    if len(pages) > 1:
        raise ValueError(f"{' and '.join(pages)}: a run has one page")
    for name in ("web_token_file", "web_watch_token_file", "web_cert", "web_host"):
        if getattr(settings, name) and not pages:
            flag = name.replace("_", "-")
            raise ValueError(f"{flag} is for a page: add --output web://127.0.0.1:8080")
    if (settings.web_cert is None) != (settings.web_key is None):
        raise ValueError("web-cert and web-key go together: give both, or none for http")


def _style(settings: Settings, has_scene: bool) -> None:
    if settings.style == "trace" and settings.track is None and not has_scene:
        raise ValueError("style trace draws the paths of tracks; add track")


def _events(settings: Settings, has_scene: bool) -> None:
    stores = [place for place in settings.events if is_store(place)]
    if len(stores) > 1:
        raise ValueError("several stores of events were given; give one")
    for place in settings.events:
        if not stores and not is_lines(place):
            raise ValueError(
                f"events: {redact_uri(place)} is sent from a store, which keeps events until "
                "they are delivered: add --events events.sqlite"
            )
    if settings.events and not has_scene:
        raise ValueError(
            "events come from the rules of a scene, and no scene was given: add --scene FILE"
        )
    if settings.record == "on-event" and not has_scene:
        raise ValueError(
            "record on-event waits for events, which come from the rules of a scene, and no "
            "scene was given: add --scene FILE, or use record continuous"
        )
    if settings.clips is not None and not settings.events:
        raise ValueError(
            "clips are of events, and nothing says where these go: add --events events.sqlite"
        )


def _sound(settings: Settings) -> None:
    without = "blur" if settings.blur else ""
    if settings.record_annotated and settings.clips is None:
        without = "record-annotated"
    if settings.record_sound and without:
        raise ValueError(
            f"record-sound keeps the sound beside a source's own packets, and {without} records "
            "pictures, which have none: leave one of the two out"
        )


def _tracks(settings: Settings, has_scene: bool) -> None:
    crops = [uri for uri in settings.output if uri.startswith("crops:")]
    if crops and settings.track is None and not has_scene:
        raise ValueError(f"output {crops[0]}: crops are of tracks: add --track")
    if settings.track is not None and settings.task_given and "detect" not in settings.tasks:
        raise ValueError(
            f"track follows boxes, and task {settings.task} has none: use task detect or both"
        )


def _encoding(settings: Settings) -> None:
    if settings.preset != "auto" and settings.encoder not in ("auto", SOFTWARE_ENCODER):
        raise ValueError(
            f"preset {settings.preset} is for {SOFTWARE_ENCODER}, and encoder {settings.encoder} "
            "was given: leave one out"
        )


def _pace(settings: Settings) -> None:
    if settings.target_latency is None:
        return
    if settings.mode == "every-frame":
        raise ValueError(
            "target-latency drops frames, and mode every-frame drops none: use mode "
            "freshest, or a live source with mode auto"
        )
    if settings.batch is not None and settings.batch > 1:
        raise ValueError("batch and target-latency were both given: choose one")


def _weights(settings: Settings) -> None:
    most = max(len(settings.tasks), len(settings.model))
    if len(settings.weights) > most:
        raise ValueError(
            f"{len(settings.weights)} values of weights were given, and task {settings.task!r} "
            f"takes {most}; for boxes and class maps together use task both; for several models of "
            "one task name each with --model"
        )
