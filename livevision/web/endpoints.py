"""The endpoints of the API, version 1, and their handlers."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, JSONResponse, Response

from livevision.errors import UsageError
from livevision.events.reading import EventFilter
from livevision.runtime.recording import SUFFIX
from livevision.web import streams
from livevision.web import types as t
from livevision.web.access import COOKIE, COOKIE_S
from livevision.web.endpoint import Call, Endpoint, allowed
from livevision.web.guard import Refused, peer_of
from livevision.web.pictures import PictureSpec, nearest_width
from livevision.web.run_facade import NotFound, recording_row, settings_row
from livevision.web.streaming import Streaming

BASE = "/api/v1"
_NO_SOURCE = {404: "There is no such source."}
_FILE = re.compile(r"[\w][\w.-]{0,200}")


async def session(call: Call) -> t.Session:
    assert call.role is not None
    return t.Session(role=call.role, open=call.services.access.is_open)


async def log_in(call: Call) -> Response:
    access = call.services.access
    if access.is_open:
        return JSONResponse({"role": "operate", "open": True})
    role = access.role_of_token(call.body.token.strip(), peer_of(call.request.scope))
    if role is None:
        raise Refused(401, "the token is wrong")
    answer = JSONResponse({"role": role, "open": False})
    answer.set_cookie(
        COOKIE,
        access.cookie(role),
        max_age=COOKIE_S,
        httponly=True,
        samesite="strict",
        secure=call.services.secure,
    )
    return answer


async def log_out(call: Call) -> Response:
    answer = JSONResponse({"ok": True})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=call.services.secure)
    return answer


async def run(call: Call) -> dict[str, Any]:
    return call.services.facade.run()


async def report(call: Call) -> dict[str, Any]:
    return await asyncio.to_thread(call.services.facade.report)


async def sources(call: Call) -> list[dict[str, Any]]:
    return await asyncio.to_thread(call.services.facade.sources)


async def source(call: Call) -> dict[str, Any]:
    return await asyncio.to_thread(call.services.facade.source, call.source)


async def add_source(call: Call) -> dict[str, Any]:
    given = call.body.model_dump(exclude_none=True)
    facade = call.services.facade
    position = await asyncio.to_thread(facade.add, given.pop("name"), given.pop("uri"), **given)
    return facade.source(position)


async def remove_source(call: Call) -> t.Done:
    await asyncio.to_thread(call.services.facade.remove, call.source)
    return t.Done()


async def settings(call: Call) -> dict[str, Any]:
    row = call.services.facade.source(call.source)["settings"]
    assert isinstance(row, dict)
    return row


async def change_settings(call: Call) -> dict[str, Any]:
    values = call.body.model_dump(exclude_none=True)
    changed = await asyncio.to_thread(call.services.facade.change, call.source, **values)
    return settings_row(changed)


async def labels(call: Call) -> list[str]:
    return call.services.facade.labels(call.source)


async def scene(call: Call) -> dict[str, Any]:
    return await asyncio.to_thread(call.services.facade.scene, call.source)


async def change_scene(call: Call) -> dict[str, Any]:
    facade, body = call.services.facade, call.body
    return await asyncio.to_thread(facade.change_scene, call.source, body.zones, body.lines)


async def events(call: Call) -> list[dict[str, Any]]:
    query = call.query
    chosen = EventFilter(query.source, query.rule, class_=query.class_, day=query.day)
    return await asyncio.to_thread(call.services.facade.events, chosen, query.limit)


async def event_picture(call: Call) -> Response:
    return await _event_file(call, "picture", "image/jpeg")


async def event_clip(call: Call) -> Response:
    return await _event_file(call, "clip", "video/mp4")


async def _event_file(call: Call, kind: str, media: str) -> Response:
    name = call.request.path_params["event"]
    path = await asyncio.to_thread(call.services.facade.event_file, name, kind)
    media = media if path.suffix != ".mkv" else "video/x-matroska"
    inline = "inline" if kind == "picture" else "attachment"
    return FileResponse(path, media_type=media, filename=path.name, content_disposition_type=inline)


async def snapshot(call: Call) -> Response:
    call.services.facade.check(call.source)
    return await _picture(call, PictureSpec(call.source, nearest_width(call.query.width)))


async def grid(call: Call) -> Response:
    return await _picture(call, PictureSpec(None, nearest_width(call.query.width)))


async def _picture(call: Call, spec: PictureSpec) -> Response:
    jpeg = await call.services.pictures.get(spec)
    if jpeg is None:
        raise NotFound("there is no frame yet")
    age = f"{1e3 * (time.monotonic() - jpeg.captured):.0f}"
    return Response(jpeg.data, media_type="image/jpeg", headers={"x-age-ms": age})


async def stream(call: Call) -> Response:
    call.services.facade.check(call.source)
    return _stream(call, PictureSpec(call.source, nearest_width(call.query.width)))


async def grid_stream(call: Call) -> Response:
    return _stream(call, PictureSpec(None, nearest_width(call.query.width)))


def _stream(call: Call, spec: PictureSpec) -> Response:
    kind = f"multipart/x-mixed-replace; boundary={streams.BOUNDARY}"
    return Streaming(streams.mjpeg(call.services.pictures, spec), kind)


async def results(call: Call) -> Response:
    facade, position = call.services.facade, call.query.source
    if position is not None:
        facade.check(position)
    return Streaming(streams.server_sent(facade, position), "text/event-stream; charset=utf-8")


async def record(call: Call) -> dict[str, Any]:
    return recording_row(await asyncio.to_thread(call.services.facade.record, call.source))


async def end_recording(call: Call) -> dict[str, Any]:
    return recording_row(await asyncio.to_thread(call.services.facade.end_recording, call.source))


async def recordings(call: Call) -> list[dict[str, Any]]:
    return await asyncio.to_thread(_recordings, call.services.facade.folder)


def _recordings(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if not _FILE.fullmatch(path.name) or path.is_symlink() or not path.is_file():
            continue
        facts = path.stat()
        moment = datetime.fromtimestamp(facts.st_mtime, UTC).isoformat(timespec="seconds")
        moment = moment.replace("+00:00", "Z")
        found.append({"file": path.name, "bytes": facts.st_size, "modified": moment})
    return found


async def recording_file(call: Call) -> Response:
    name = call.request.path_params["file"]
    folder = call.services.facade.folder
    files = [row["file"] for row in await asyncio.to_thread(_recordings, folder)]
    if name not in files:  # only listed names, so that no path leads out of the folder
        raise NotFound("there is no such recording")
    return FileResponse(
        folder / name,
        media_type="video/mp4",
        filename=name,
        content_disposition_type="attachment",
    )


async def segments(call: Call) -> list[dict[str, Any]]:
    query, facade = call.query, call.services.facade
    return await asyncio.to_thread(facade.recorded, query.source, query.day, query.limit)


async def segment_file(call: Call) -> Response:
    day, file = (call.request.path_params[name] for name in ("day", "file"))
    path = await asyncio.to_thread(call.services.facade.segment_file, f"{day}/{file}")
    media = "video/x-matroska" if path.suffix == ".mkv" else "video/mp4"
    return FileResponse(path, media_type=media, filename=path.name)


async def detect(call: Call) -> dict[str, Any]:
    return await call.services.detector(call.body, call.query.conf)


async def openapi(call: Call) -> dict[str, Any]:
    from livevision.web.openapi import document

    return document(ENDPOINTS)


async def healthz(call: Call) -> Response:
    verdict = call.services.health.look()
    answer = {"healthy": verdict.healthy, "why": verdict.why}
    return JSONResponse(answer, 200 if verdict.healthy else 503)


async def readyz(call: Call) -> Response:
    verdict = call.services.health.look()
    answer = {"ready": verdict.ready, "live": verdict.live, "sources": verdict.wanted}
    return JSONResponse({**answer, "why": verdict.why}, 200 if verdict.ready else 503)


async def metrics(call: Call) -> Response:
    from livevision.web.metrics import exposition

    content, kind = await asyncio.to_thread(exposition, call.services)
    return Response(content, headers={"content-type": kind})


async def reload(call: Call) -> dict[str, Any]:
    reloading = call.services.reloading
    if not reloading.possible:
        raise UsageError("this run was started without --config, so there is no file to read again")
    outcome = await asyncio.to_thread(reloading)
    if outcome.error:
        raise UsageError(outcome.error)
    return {"ok": True}


ENDPOINTS = (
    Endpoint("GET", f"{BASE}/session", session, "The client's role.", gives=t.Session),
    Endpoint(
        *("POST", f"{BASE}/session", log_in, "Log in: exchange a token for a cookie."),
        role=None,
        takes=t.Login,
        gives=t.Session,
    ),
    Endpoint(*("DELETE", f"{BASE}/session", log_out, "Log out."), role=None, gives=t.Done),
    Endpoint("GET", f"{BASE}/run", run, "The run.", gives=t.RunRow),
    Endpoint("GET", f"{BASE}/report", report, "The run's report so far.", gives=t.Report),
    Endpoint("GET", f"{BASE}/sources", sources, "All sources.", gives=(t.SourceRow,)),
    Endpoint(
        *("POST", f"{BASE}/sources", add_source, "Add a source."),
        role="operate",
        takes=t.NewSource,
        gives=t.SourceRow,
        status=201,
        errors={409: "The source cannot be opened."},
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}", source, "A source."),
        gives=t.SourceRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("DELETE", f"{BASE}/sources/{{id}}", remove_source, "Remove a source."),
        role="operate",
        gives=t.Done,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/settings", settings, "Settings of a source."),
        gives=t.LiveSettingsRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("PATCH", f"{BASE}/sources/{{id}}/settings", change_settings, "Change its settings."),
        role="operate",
        takes=t.LiveSettingsPatch,
        gives=t.LiveSettingsRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/labels", labels, "Classes that a source's models know."),
        gives=(t.ClassLabel,),
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/scene", scene, "Zones and lines of a source."),
        gives=t.SceneRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("PATCH", f"{BASE}/sources/{{id}}/scene", change_scene, "Change zones and lines."),
        role="operate",
        takes=t.ScenePatch,
        gives=t.SceneRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/events", events, "The newest events of the run's store."),
        query=t.EventsQuery,
        gives=(t.EventRow,),
        errors={404: "The run stores no events."},
    ),
    Endpoint(
        *("GET", f"{BASE}/events/{{event}}/picture.jpg", event_picture, "The picture of an event."),
        media="image/jpeg",
        errors={404: "There is no such event, or it has no picture."},
    ),
    Endpoint(
        *("GET", f"{BASE}/events/{{event}}/clip", event_clip, "The clip of an event."),
        media="video/mp4",
        errors={404: "There is no such event, or it has no clip."},
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/snapshot.jpg", snapshot, "A source's newest picture."),
        query=t.PictureQuery,
        media="image/jpeg",
        errors={404: "There is no such source, or no frame yet."},
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/stream.mjpeg", stream, "A source as an MJPEG stream."),
        query=t.PictureQuery,
        media="multipart/x-mixed-replace",
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/grid.jpg", grid, "The newest pictures of all sources in a grid."),
        query=t.PictureQuery,
        media="image/jpeg",
        errors={404: "There is no source."},
    ),
    Endpoint(
        *("GET", f"{BASE}/grid.mjpeg", grid_stream, "The grid as an MJPEG stream."),
        query=t.PictureQuery,
        media="multipart/x-mixed-replace",
    ),
    Endpoint(
        *("GET", f"{BASE}/results", results, "Results as server-sent events."),
        query=t.ResultsQuery,
        media="text/event-stream",
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("POST", f"{BASE}/sources/{{id}}/recording", record, "Start recording a source."),
        role="operate",
        gives=t.RecordingRow,
        status=201,
        errors={**_NO_SOURCE, 409: "The file cannot be written."},
    ),
    Endpoint(
        *("DELETE", f"{BASE}/sources/{{id}}/recording", end_recording, "Stop recording it."),
        role="operate",
        gives=t.RecordingRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/recordings", recordings, "Finished and current recordings."),
        gives=(t.RecordingFile,),
    ),
    Endpoint(
        *("GET", f"{BASE}/recordings/{{file}}", recording_file, "A recording."),
        media="video/mp4",
        errors={404: "There is no such recording."},
    ),
    Endpoint(
        *("GET", f"{BASE}/segments", segments, "Segments of the recording, newest first."),
        query=t.SegmentsQuery,
        gives=(t.SegmentRow,),
        errors={404: "The run records no segments.", 409: "The index cannot be read."},
    ),
    Endpoint(
        *("GET", f"{BASE}/segments/{{day}}/{{file}}", segment_file, "A segment."),
        media="video/mp4",
        errors={404: "There is no such segment.", 409: "The index cannot be read."},
    ),
    Endpoint(
        *("POST", f"{BASE}/detect", detect, "Run the models on a posted picture."),
        takes=bytes,
        query=t.DetectQuery,
        gives=t.Found,
        errors={503: "Too many pictures are waiting."},
    ),
    Endpoint(
        *("POST", f"{BASE}/reload", reload, "Read the settings again, as SIGHUP does."),
        role="operate",
        gives=t.Done,
    ),
    Endpoint(
        *("GET", "/healthz", healthz, "Whether any source delivers frames."),
        role=None,
        gives=t.HealthRow,
        errors={503: "No source does."},
    ),
    Endpoint(
        *("GET", "/readyz", readyz, "Whether all sources deliver frames."),
        role=None,
        gives=t.ReadyRow,
        errors={503: "Some source does not."},
    ),
    Endpoint(
        *("GET", "/metrics", metrics, "Metrics for Prometheus."),
        media="text/plain",
    ),
    Endpoint(
        *("GET", f"{BASE}/openapi.json", openapi, "This document."),
        role=None,
        gives=t.Report,
    ),
)
"""All endpoints but the WebSockets, which are in ``application``."""

__all__ = ["BASE", "ENDPOINTS", "allowed"]
