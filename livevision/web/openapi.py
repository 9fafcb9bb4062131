"""The OpenAPI document of the API, generated from the endpoints and their types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from livevision.version import __version__
from livevision.web.endpoint import Endpoint
from livevision.web.types import Problem

_EVERYWHERE = {
    403: "The request comes from another site, or its role may not do this.",
    421: "The page is not served under this host name.",
    422: "A value is not allowed.",
    429: "Too many requests.",
}
_DESCRIPTION = (
    "A livevision run: its sources, pictures and results, and changes to it. "
    "Beside these, a WebSocket: /api/v1/results/ws (results, one message per row)."
)


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """The document, OpenAPI 3.1."""
    types = {kind for e in endpoints for kind in _types(e)} | {Problem}
    listed = sorted(types, key=lambda kind: kind.__name__)
    modes: list[Any] = [(kind, "validation") for kind in listed]
    template = "#/components/schemas/{model}"
    _, schemas = models_json_schema(modes, ref_template=template)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "livevision", "version": __version__, "description": _DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "livevision"},
            },
        },
    }


def _types(endpoint: Endpoint) -> set[type[BaseModel]]:
    found = {_one(endpoint.gives)} if endpoint.gives is not None else set()
    if endpoint.takes is not None and endpoint.takes is not bytes:
        assert issubclass(endpoint.takes, BaseModel)
        found.add(endpoint.takes)
    return found


def _one(gives: type[BaseModel] | tuple[type[BaseModel]]) -> type[BaseModel]:
    return gives[0] if isinstance(gives, tuple) else gives


def _ref(kind: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    verb = {"GET": "get", "POST": "post", "PATCH": "change", "PUT": "put", "DELETE": "delete"}
    words = re.sub(r"\W+", "_", endpoint.path.removeprefix("/api/v1/")).strip("_")
    operation: dict[str, Any] = {
        "operationId": f"{verb[endpoint.method]}_{words}",
        "summary": endpoint.summary,
        "responses": _responses(endpoint),
    }
    if endpoint.role is not None:
        operation["security"] = [{"token": []}, {"cookie": []}, {}]
        operation["description"] = f"For the role {endpoint.role}."
    parameters = _parameters(endpoint)
    if parameters:
        operation["parameters"] = parameters
    if endpoint.takes is bytes:
        picture = {"schema": {"type": "string", "format": "binary"}}
        kinds = ("image/jpeg", "image/png", "image/webp")
        operation["requestBody"] = {"required": True, "content": dict.fromkeys(kinds, picture)}
    elif endpoint.takes is not None:
        assert issubclass(endpoint.takes, BaseModel)
        content = {"application/json": {"schema": _ref(endpoint.takes)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.gives is None:
        schema: dict[str, Any] = {"type": "string", "format": "binary"}
    elif isinstance(endpoint.gives, tuple):
        schema = {"type": "array", "items": _ref(endpoint.gives[0])}
    else:
        schema = _ref(endpoint.gives)
    errors = {**_EVERYWHERE, **endpoint.errors}
    if endpoint.role is not None or endpoint.takes is not None:
        errors[401] = "The token is missing or wrong."
    if endpoint.takes is not None:
        errors |= {
            400: "The body does not have the form of its type.",
            408: "The body arrived too slowly.",
            413: "The body is too long.",
            415: "The body has another type.",
        }
    problem = {"application/json": {"schema": _ref(Problem)}}
    good = {"description": "Done.", "content": {endpoint.media: {"schema": schema}}}
    return {
        str(endpoint.status): good,
        **{str(s): {"description": errors[s], "content": problem} for s in sorted(errors)},
    }


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in re.findall(r"{(\w+)}", endpoint.path):
        kind: dict[str, Any] = (
            {"type": "integer", "minimum": 0} if name == "id" else {"type": "string"}
        )
        found.append({"name": name, "in": "path", "required": True, "schema": kind})
    properties = endpoint.query.model_json_schema().get("properties", {})
    for name, schema in properties.items():
        found.append({"name": name, "in": "query", "required": False, "schema": schema})
    return found
