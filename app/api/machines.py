"""``GET /api/v1/machines``: machines and jobs, when each was heard of last, and which uploads were refused."""

import asyncio
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app import fleet, jobs
from app.api.answers import SAFE
from data.tokens import Token, Tokens

__all__ = ["get"]

_FIELDS = (
    *(
        "machine_id",
        "machine",
        "cpu_model",
        "cores",
        "threads",
        "memory_gib",
        "devices",
        "runs",
        "first_seen",
    ),
    *("last_seen", "last_upload", "last_run", "last_status", "flopwatch_version", "flopwatch_commit"),
    *("problems", "clock_ahead"),
)

_JOB_FIELDS = (
    *("machine_id", "machine", "job", "state", "outcome", "text", "done", "due", "seen", "every_s", "run_id"),
    "waiting",
)


def _state() -> dict[str, Any]:
    contacts: dict[str, str] = {}
    for token in Tokens().all():
        if token.machine and token.last_used:
            contacts[token.machine] = max(contacts.get(token.machine, ""), token.last_used)
    machines = [
        {name: _plain(row.get(name)) for name in _FIELDS} | {"last_contact": contacts.get(row["machine_id"])}
        for row in fleet.machines()
    ]
    unattended = [{name: _plain(row.get(name)) for name in _JOB_FIELDS} for row in jobs.jobs()]
    return {"machines": machines, "jobs": unattended, "refused": fleet.refused()}


def _plain(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


async def get(request: Request, token: Token) -> Response:
    """Answer with all machines."""
    del request, token
    return JSONResponse(await asyncio.to_thread(_state), headers=SAFE)
