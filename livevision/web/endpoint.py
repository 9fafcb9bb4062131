"""An endpoint: its types, the role it needs and its handler; requests are validated before it."""

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
from livevision.web.detecting import Detector
from livevision.web.guard import Refused, headers_of, peer_of
from livevision.web.limits import TooMany
from livevision.web.pictures import Pictures
from livevision.web.run_facade import NotFound, RunFacade
from livevision.web.types import Empty
from livevision.web.videos import Videos

log = logging.getLogger(__name__)

_MAX_PARAMETERS = 20


@dataclass(frozen=True)
class Services:
    """What the handlers use."""

    facade: RunFacade
    pictures: Pictures
    videos: Videos
    access: Access
    detector: Detector
    secure: bool
    health: Health
    reloading: Reloading


@dataclass(frozen=True)
class Call:
    """A validated request.

    Attributes:
        services: What the handler uses.
        request: The HTTP request.
        role: Role of the client; None if the endpoint needs none.
        source: Position of the source in the path; -1 if there is none.
        body: The body as the endpoint's type; bytes for a picture.
        query: The query parameters as their type.
    """

    services: Services
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
        gives: Type of the response's JSON; in a tuple, a list of that type; None for other media.
        media: Media type of the response.
        role: The role it needs; None for no token.
        errors: Error statuses, beside those that every endpoint may have.
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

    async def __call__(self, services: Services, request: Request) -> Response:
        """Validate a request and handle it; errors become JSON."""
        try:
            role = allowed(services.access, request, self.role)
            call = Call(
                services,
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
            line = redact(" ".join(str(error).split()))
            return JSONResponse({"error": line}, _status(error))
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
                raise Refused(415, "the picture must be image/jpeg, image/png or image/webp")
            return await request.body()
        # A form on another site cannot send this type.
        if kind != "application/json":
            raise Refused(415, "the body must be application/json")
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
        if len(pairs) > _MAX_PARAMETERS or len(set(names)) < len(names):
            raise Refused(422, "a query parameter is repeated, or there are too many")
        try:
            return self.query.model_validate(dict(pairs))
        except ValidationError as error:
            raise UsageError(_first(error)) from None


def allowed(access: Access, connection: HTTPConnection, needed: Role | None) -> Role | None:
    """The role of a client, if it is sufficient; None if none is needed.

    Raises:
        Refused: It is not.
        TooMany: The client has sent too many wrong tokens.
    """
    if needed is None:
        return None
    scope = connection.scope
    cookie = connection.cookies.get(COOKIE)
    role = access.role(headers_of(scope), cookie, peer_of(scope))
    if role is None:
        raise Refused(401, "a token is needed: 'Authorization: Bearer TOKEN', or log in")
    if needed == "operate" and role != "operate":
        raise Refused(403, "the role watch changes nothing; use the token for operating")
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
    """The first validation error as one line."""
    one = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in one["loc"])[:80]
    return f"{path}: {one['msg']}" if path else str(one["msg"])
