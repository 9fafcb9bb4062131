"""The endpoints of the interface for programs, version 1, and what each does."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, JSONResponse, Response

from livevision.errors import UsageError
from livevision.events.reading import Wanted
from livevision.runtime.recording import SUFFIX
from livevision.web import streams
from livevision.web import types as t
from livevision.web.access import COOKIE, COOKIE_S
from livevision.web.desk import NotFound, recording_row, settings_row
from livevision.web.endpoint import Call, Endpoint, allowed
from livevision.web.guard import Refused, peer_of
from livevision.web.pictures import Wish, nearest_width
from livevision.web.streaming import Streaming

BASE = "/api/v1"
_NO_SOURCE = {404: "There is no such source."}
_FILE = re.compile(r"[\w][\w.-]{0,200}")


async def session(call: Call) -> t.Session:
    assert call.role is not None
    return t.Session(role=call.role, open=call.rooms.access.is_open)


async def log_in(call: Call) -> Response:
    access = call.rooms.access
    if access.is_open:
        return JSONResponse({"role": "operate", "open": True})
    role = access.role_of_token(call.body.token.strip(), peer_of(call.request.scope))
    if role is None:
        raise Refused(401, "this token is not known")
    answer = JSONResponse({"role": role, "open": False})
    answer.set_cookie(
        COOKIE,
        access.cookie(role),
        max_age=COOKIE_S,
        httponly=True,
        samesite="strict",
        secure=call.rooms.secure,
    )
    return answer


async def log_out(call: Call) -> Response:
    answer = JSONResponse({"ok": True})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=call.rooms.secure)
    return answer


async def run(call: Call) -> dict[str, Any]:
    return call.rooms.desk.run()


async def report(call: Call) -> dict[str, Any]:
    return await asyncio.to_thread(call.rooms.desk.report)


async def sources(call: Call) -> list[dict[str, Any]]:
    return await asyncio.to_thread(call.rooms.desk.sources)


async def source(call: Call) -> dict[str, Any]:
    return await asyncio.to_thread(call.rooms.desk.source, call.source)


async def add_source(call: Call) -> dict[str, Any]:
    given = call.body.model_dump(exclude_none=True)
    desk = call.rooms.desk
    position = await asyncio.to_thread(desk.add, given.pop("name"), given.pop("uri"), **given)
    return desk.source(position)


async def remove_source(call: Call) -> t.Done:
    await asyncio.to_thread(call.rooms.desk.remove, call.source)
    return t.Done()


async def settings(call: Call) -> dict[str, Any]:
    row = call.rooms.desk.source(call.source)["settings"]
    assert isinstance(row, dict)
    return row


async def change_settings(call: Call) -> dict[str, Any]:
    values = call.body.model_dump(exclude_none=True)
    changed = await asyncio.to_thread(call.rooms.desk.change, call.source, **values)
    return settings_row(changed)


async def labels(call: Call) -> list[str]:
    return call.rooms.desk.labels(call.source)


async def scene(call: Call) -> dict[str, Any]:
    return await asyncio.to_thread(call.rooms.desk.scene, call.source)


async def change_scene(call: Call) -> dict[str, Any]:
    desk, body = call.rooms.desk, call.body
    return await asyncio.to_thread(desk.change_scene, call.source, body.zones, body.lines)


async def events(call: Call) -> list[dict[str, Any]]:
    query = call.query
    wanted = Wanted(query.source, query.rule, class_=query.class_, day=query.day)
    return await asyncio.to_thread(call.rooms.desk.events, wanted, query.limit)


async def event_picture(call: Call) -> Response:
    return await _event_file(call, "picture", "image/jpeg")


async def event_clip(call: Call) -> Response:
    return await _event_file(call, "clip", "video/mp4")


async def _event_file(call: Call, kind: str, media: str) -> Response:
    name = call.request.path_params["event"]
    path = await asyncio.to_thread(call.rooms.desk.event_file, name, kind)
    media = media if path.suffix != ".mkv" else "video/x-matroska"
    inline = "inline" if kind == "picture" else "attachment"
    return FileResponse(path, media_type=media, filename=path.name, content_disposition_type=inline)


async def snapshot(call: Call) -> Response:
    call.rooms.desk.check(call.source)
    return await _picture(call, Wish(call.source, nearest_width(call.query.width)))


async def grid(call: Call) -> Response:
    return await _picture(call, Wish(None, nearest_width(call.query.width)))


async def _picture(call: Call, wish: Wish) -> Response:
    jpeg = await call.rooms.pictures.get(wish)
    if jpeg is None:
        raise NotFound("no frame came yet")
    age = f"{1e3 * (time.monotonic() - jpeg.captured):.0f}"
    return Response(jpeg.data, media_type="image/jpeg", headers={"x-age-ms": age})


async def stream(call: Call) -> Response:
    call.rooms.desk.check(call.source)
    return _stream(call, Wish(call.source, nearest_width(call.query.width)))


async def grid_stream(call: Call) -> Response:
    return _stream(call, Wish(None, nearest_width(call.query.width)))


def _stream(call: Call, wish: Wish) -> Response:
    kind = f"multipart/x-mixed-replace; boundary={streams.BOUNDARY}"
    return Streaming(streams.mjpeg(call.rooms.pictures, wish), kind)


async def results(call: Call) -> Response:
    desk, wanted = call.rooms.desk, call.query.source
    if wanted is not None:
        desk.check(wanted)
    return Streaming(streams.server_sent(desk, wanted), "text/event-stream; charset=utf-8")


async def record(call: Call) -> dict[str, Any]:
    return recording_row(await asyncio.to_thread(call.rooms.desk.record, call.source))


async def end_recording(call: Call) -> dict[str, Any]:
    return recording_row(await asyncio.to_thread(call.rooms.desk.end_recording, call.source))


async def recordings(call: Call) -> list[dict[str, Any]]:
    return await asyncio.to_thread(_recordings, call.rooms.desk.folder)


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
    there = [row["file"] for row in await asyncio.to_thread(_recordings, call.rooms.desk.folder)]
    if name not in there:  # a name of the list, so that no path leads elsewhere
        raise NotFound("there is no such recording")
    return FileResponse(
        call.rooms.desk.folder / name,
        media_type="video/mp4",
        filename=name,
        content_disposition_type="attachment",
    )


async def detect(call: Call) -> dict[str, Any]:
    return await call.rooms.detector(call.body, call.query.conf)


async def page_of_api(call: Call) -> dict[str, Any]:
    from livevision.web.openapi import document

    return document(ENDPOINTS)


async def healthz(call: Call) -> Response:
    verdict = call.rooms.health.look()
    answer = {"healthy": verdict.healthy, "why": verdict.why}
    return JSONResponse(answer, 200 if verdict.healthy else 503)


async def readyz(call: Call) -> Response:
    verdict = call.rooms.health.look()
    answer = {"ready": verdict.ready, "live": verdict.live, "sources": verdict.wanted}
    return JSONResponse({**answer, "why": verdict.why}, 200 if verdict.ready else 503)


async def metrics(call: Call) -> Response:
    from livevision.web.metrics import exposed

    content, kind = await asyncio.to_thread(exposed, call.rooms)
    return Response(content, headers={"content-type": kind})


async def reload(call: Call) -> dict[str, Any]:
    reloading = call.rooms.reloading
    if not reloading.possible:
        raise UsageError("this run has no --config file that could be read again")
    outcome = await asyncio.to_thread(reloading)
    if outcome.error:
        raise UsageError(outcome.error)
    return {"ok": True}


ENDPOINTS = (
    Endpoint("GET", f"{BASE}/session", session, "Who asks.", gives=t.Session),
    Endpoint(
        *("POST", f"{BASE}/session", log_in, "Give a token for a cookie."),
        role=None,
        takes=t.Login,
        gives=t.Session,
    ),
    Endpoint(*("DELETE", f"{BASE}/session", log_out, "Drop the cookie."), role=None, gives=t.Done),
    Endpoint("GET", f"{BASE}/run", run, "The run.", gives=t.RunRow),
    Endpoint("GET", f"{BASE}/report", report, "The run's report so far.", gives=t.Report),
    Endpoint("GET", f"{BASE}/sources", sources, "All sources.", gives=(t.SourceRow,)),
    Endpoint(
        *("POST", f"{BASE}/sources", add_source, "Watch one more source."),
        role="operate",
        takes=t.NewSource,
        gives=t.SourceRow,
        status=201,
        errors={409: "The source cannot be watched."},
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}", source, "A source."),
        gives=t.SourceRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("DELETE", f"{BASE}/sources/{{id}}", remove_source, "Watch a source no longer."),
        role="operate",
        gives=t.Done,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/settings", settings, "What may be changed of a source."),
        gives=t.LiveSettingsRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("PATCH", f"{BASE}/sources/{{id}}/settings", change_settings, "Change settings."),
        role="operate",
        takes=t.LiveSettingsPatch,
        gives=t.LiveSettingsRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/labels", labels, "Classes that its models know."),
        gives=(t.ClassLabel,),
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/scene", scene, "Its zones and lines."),
        gives=t.SceneRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("PATCH", f"{BASE}/sources/{{id}}/scene", change_scene, "Draw zones and lines."),
        role="operate",
        takes=t.ScenePatch,
        gives=t.SceneRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/events", events, "The newest events of the run's store."),
        query=t.EventsQuery,
        gives=(t.EventRow,),
        errors={404: "The run keeps no events."},
    ),
    Endpoint(
        *("GET", f"{BASE}/events/{{event}}/picture.jpg", event_picture, "Its picture."),
        media="image/jpeg",
        errors={404: "There is no such event, or it has no picture."},
    ),
    Endpoint(
        *("GET", f"{BASE}/events/{{event}}/clip", event_clip, "Its clip."),
        media="video/mp4",
        errors={404: "There is no such event, or it has no clip."},
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/snapshot.jpg", snapshot, "The newest picture."),
        query=t.PictureQuery,
        media="image/jpeg",
        errors={404: "There is no such source, or no frame came yet."},
    ),
    Endpoint(
        *("GET", f"{BASE}/sources/{{id}}/stream.mjpeg", stream, "Its pictures as they come."),
        query=t.PictureQuery,
        media="multipart/x-mixed-replace",
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/grid.jpg", grid, "The newest pictures of all sources in one."),
        query=t.PictureQuery,
        media="image/jpeg",
        errors={404: "There is no source."},
    ),
    Endpoint(
        *("GET", f"{BASE}/grid.mjpeg", grid_stream, "The same as they come."),
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
        *("POST", f"{BASE}/sources/{{id}}/recording", record, "Begin to record a source."),
        role="operate",
        gives=t.RecordingRow,
        status=201,
        errors={**_NO_SOURCE, 409: "The file cannot be written."},
    ),
    Endpoint(
        *("DELETE", f"{BASE}/sources/{{id}}/recording", end_recording, "Finish a recording."),
        role="operate",
        gives=t.RecordingRow,
        errors=_NO_SOURCE,
    ),
    Endpoint(
        *("GET", f"{BASE}/recordings", recordings, "Recordings on the disk."),
        gives=(t.RecordingFile,),
    ),
    Endpoint(
        *("GET", f"{BASE}/recordings/{{file}}", recording_file, "A recording."),
        media="video/mp4",
        errors={404: "There is no such recording."},
    ),
    Endpoint(
        *("POST", f"{BASE}/detect", detect, "What the run's models find in a picture."),
        takes=bytes,
        query=t.DetectQuery,
        gives=t.Found,
        errors={503: "Others are looked at."},
    ),
    Endpoint(
        *("POST", f"{BASE}/reload", reload, "Read the settings again, as at SIGHUP."),
        role="operate",
        gives=t.Done,
    ),
    Endpoint(
        *("GET", "/healthz", healthz, "Whether frames come, of any source."),
        role=None,
        gives=t.HealthRow,
        errors={503: "They do not."},
    ),
    Endpoint(
        *("GET", "/readyz", readyz, "Whether frames come of all sources."),
        role=None,
        gives=t.ReadyRow,
        errors={503: "They do not."},
    ),
    Endpoint(
        *("GET", "/metrics", metrics, "Figures for Prometheus."),
        media="text/plain",
    ),
    Endpoint(
        *("GET", f"{BASE}/openapi.json", page_of_api, "This interface, described."),
        role=None,
        gives=t.Report,
    ),
)
"""All of them; the sockets beside them are in ``application``."""

__all__ = ["BASE", "ENDPOINTS", "allowed"]
