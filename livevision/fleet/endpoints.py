"""What the page of a fleet has beside that of a run: its nodes."""

from __future__ import annotations

import asyncio
from typing import Any

from livevision.web import types as t
from livevision.web.endpoint import Call, Endpoint
from livevision.web.endpoints import BASE


class NodeRow(t.Output):
    """A node of the fleet."""

    name: str
    state: str
    capacity: float | None
    sources: list[str]


async def _nodes(call: Call) -> list[dict[str, Any]]:
    return await asyncio.to_thread(_facade(call).nodes)


async def _drain(call: Call) -> t.Done:
    await asyncio.to_thread(_facade(call).drain, call.request.path_params["node"], True)
    return t.Done()


async def _use_again(call: Call) -> t.Done:
    await asyncio.to_thread(_facade(call).drain, call.request.path_params["node"], False)
    return t.Done()


def _facade(call: Call) -> Any:
    return call.services.facade


_NO_NODE = {404: "There is no such node."}

ENDPOINTS = (
    Endpoint("GET", f"{BASE}/nodes", _nodes, "The nodes of the fleet.", gives=(NodeRow,)),
    Endpoint(
        *("POST", f"{BASE}/nodes/{{node}}/drain", _drain, "Move the cameras of a node away."),
        role="operate",
        gives=t.Done,
        errors=_NO_NODE,
    ),
    Endpoint(
        *("DELETE", f"{BASE}/nodes/{{node}}/drain", _use_again, "Give a drained node cameras."),
        role="operate",
        gives=t.Done,
        errors=_NO_NODE,
    ),
)
