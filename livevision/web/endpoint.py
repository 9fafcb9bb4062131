"""An endpoint: what it takes and gives, who may use it, and the handler that it is judged for."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response

from livevision.errors import LivevisionError, OutputError, SourceError, UsageError
from livevision.redact import redact
from livevision.runtime.health import Health
from livevision.runtime.reloading import Reloading
from livevision.web.access import COOKIE, Access, Role
from livevision.web.desk import Desk, NotFound
from livevision.web.detecting import Detector
from livevision.web.guard import Refused, headers_of, peer_of
from livevision.web.limits import TooMany
from livevision.web.pictures import Pictures
from livevision.web.types import Empty

log = logging.getLogger(__name__)

_MOST_PARAMETERS = 20


@dataclass(frozen=True)
class Rooms:
    """What handlers work with."""

    desk: Desk
    pictures: Pictures
    access: Access
    detector: Detector
    secure: bool
    health: Health
    reloading: Reloading


@dataclass(frozen=True)
class Call:
    """A request that was judged.

    Attributes:
        rooms: What to work with.
        request: It.
        role: Of who asks; None where that does not matter.
        source: The position in the path; -1 where there is none.
        body: What came, as the type that the endpoint takes; bytes for a picture.
        query: The parameters, as their type.
    """

    rooms: Rooms
    request: Request
    role: Role | None
    source: int
    body: Any
    query: Any


Handler = Callable[[Call], Awaitable[Response | BaseModel | list[Any] | dict[str, Any]]]


@dataclass(frozen=True)
class Endpoint:
    """A method of a path.

    Attributes:
        takes: Type of the body's JSON; ``bytes`` for a picture; None for no body.
        gives: Type of the answer's JSON; a list of one, in a tuple; None for other media.
        media: Media type of the answer.
        role: Who may; None for everybody.
        errors: Statuses that it may answer beside those that every endpoint may.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    role: Role | None = "watch"
    takes: type[BaseModel] | type[bytes] | None = None
    query: type[BaseModel] = Empty
    gives: type[BaseModel] | tuple[type[BaseModel]] | None = None
    media: str = "application/json"
    status: int = 200
    errors: Mapping[int, str] = field(default_factory=dict)

    async def __call__(self, rooms: Rooms, request: Request) -> Response:
        """Judge a request, have it handled, and answer in JSON whatever happens."""
        try:
            role = allowed(rooms.access, request, self.role)
            call = Call(
                rooms,
                request,
                role,
                _position(request),
                await self._body(request),
                self._parameters(request),
            )
            answer = await self.handler(call)
        except TooMany as error:
            wait = {"retry-after": str(max(1, round(error.wait)))}
            return JSONResponse({"error": str(error)}, 429, wait)
        except (Refused, LivevisionError) as error:
            told = redact(" ".join(str(error).split()))
            return JSONResponse({"error": told}, _status(error))
        except ClientDisconnect:
            return Response(status_code=400)
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, BaseModel):
            answer = answer.model_dump(mode="json")
        return JSONResponse(answer, self.status)

    async def _body(self, request: Request) -> Any:
        if self.takes is None:
            return None
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if self.takes is bytes:
            if kind not in ("image/jpeg", "image/png", "image/webp"):
                raise Refused(415, "the picture is sent as image/jpeg, image/png or image/webp")
            return await request.body()
        # No form of another site can send this type.
        if kind != "application/json":
            raise Refused(415, "the body is sent as application/json")
        try:
            content = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None
        assert issubclass(self.takes, BaseModel)
        try:
            return self.takes.model_validate(content)
        except ValidationError as error:
            raise UsageError(_first(error)) from None

    def _parameters(self, request: Request) -> BaseModel:
        pairs = request.query_params.multi_items()
        names = [name for name, _ in pairs]
        if len(pairs) > _MOST_PARAMETERS or len(set(names)) < len(names):
            raise Refused(422, "a parameter stands there twice, or there are too many")
        try:
            return self.query.model_validate(dict(pairs))
        except ValidationError as error:
            raise UsageError(_first(error)) from None


def allowed(access: Access, connection: HTTPConnection, needed: Role | None) -> Role | None:
    """The role of who asks, where it suffices.

    Raises:
        Refused: It does not.
        TooMany: Too many wrong tokens came from there.
    """
    if needed is None:
        return None
    scope = connection.scope
    cookie = connection.cookies.get(COOKIE)
    role = access.role(headers_of(scope), cookie, peer_of(scope))
    if role is None:
        raise Refused(401, "a token is needed: 'Authorization: Bearer TOKEN', or log in")
    if needed == "operate" and role != "operate":
        raise Refused(403, "who may only watch changes nothing")
    return role


def _position(request: Request) -> int:
    text = request.path_params.get("id")
    if text is None:
        return -1
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise NotFound(f"there is no source {text[:40]!r}")
    return int(text)


def _status(error: Refused | LivevisionError) -> int:
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, UsageError):
        return 422
    return 409 if isinstance(error, SourceError | OutputError) else 503


def _first(error: ValidationError) -> str:
    """One line for the first thing that is wrong."""
    one = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in one["loc"])[:80]
    return f"{place}: {one['msg']}" if place else str(one["msg"])
