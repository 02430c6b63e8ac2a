"""``GET /api/v1/openapi.json``: what this interface takes and answers, for programs."""

import functools
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import bodies
from app.api.health import version_of_flopwatch
from data.heartbeats import Heartbeat

__all__ = ["document", "get"]

_RUN_ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_NO_TEXT = {"type": ["string", "null"]}

_ERRORS = {
    "400": "The file is no right run file; line and field name the place.",
    "401": "There is no token, or it is unknown, revoked or expired.",
    "403": "The token has not the scope, or is for another machine.",
    "404": "There is nothing of this name.",
    "408": "The body came too slowly.",
    "409": "The run is held with other content.",
    "413": "The body is too large, packed or unpacked.",
    "415": "The body has a type or encoding that is no run file's.",
    "429": "Too many requests; Retry-After says how many seconds to wait.",
    "500": "The server failed.",
    "503": "The server cannot do it now; Retry-After says when to ask again.",
    "507": "The server's disk is full; nothing was stored.",
}


def _errors(*statuses: str) -> dict[str, Any]:
    return {status: {"$ref": f"#/components/responses/{status}"} for status in statuses}


def _json(description: str, schema: str, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content, **more}


def _object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required | optional}


def _schemas() -> dict[str, Any]:
    machine = _object(
        {
            "machine_id": {"type": "string", "pattern": "^[0-9a-f]{12}$"},
            "machine": _TEXT,
            "cpu_model": _TEXT,
            "cores": _COUNT,
            "threads": _COUNT,
            "memory_gib": {"type": "number"},
            "devices": {"type": "array", "items": _TEXT},
            "runs": _COUNT,
            "first_seen": _MOMENT,
            "last_seen": _MOMENT,
            "last_upload": _MOMENT,
            "last_run": _TEXT,
            "last_status": {"enum": ["complete", "interrupted"]},
            "flopwatch_version": _NO_TEXT,
            "flopwatch_commit": _NO_TEXT,
            "problems": _COUNT,
            "clock_ahead": {"type": "boolean"},
            "last_contact": _NO_TEXT,
        }
    )
    job = _object(
        {
            "machine_id": _TEXT,
            "machine": _TEXT,
            "job": _TEXT,
            "state": {"enum": ["done", "due", "overdue", "unscheduled"]},
            "outcome": {"enum": ["measured", "failed", "skipped", "interrupted"]},
            "text": _TEXT,
            "done": _NO_TEXT,
            "due": _NO_TEXT,
            "seen": _MOMENT,
            "every_s": {"type": ["number", "null"]},
            "run_id": _NO_TEXT,
            "waiting": _COUNT,
        }
    )
    refused = _object(
        {"token": _TEXT, "machine_id": _NO_TEXT, "at": _MOMENT, "code": _TEXT, "message": _TEXT}
    )
    trouble = _object(
        {"code": _TEXT, "message": _TEXT, "line": {"type": ["integer", "null"]}, "field": _NO_TEXT}
    )
    return {
        "Receipt": _object(
            {
                "run": {"type": "string", "pattern": _RUN_ID},
                "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "measurements": _COUNT,
                "received": _MOMENT,
                "notes": {"type": "array", "items": _TEXT},
            }
        ),
        "Error": _object({"error": trouble}),
        "Machines": _object(
            {
                "machines": {"type": "array", "items": machine},
                "jobs": {"type": "array", "items": job},
                "refused": {"type": "array", "items": refused},
            }
        ),
        "Heartbeat": _heartbeat(),
        "Health": _object(
            {
                "status": {"const": "ok"},
                "version": _TEXT,
                "index": {"enum": ["owner", "reader"]},
                "generation": _TEXT,
                "problem": _TEXT,
            }
        ),
    }


def _heartbeat() -> dict[str, Any]:
    _, known = msgspec.json.schema_components([Heartbeat])
    return dict(known["Heartbeat"])


def _paths() -> dict[str, Any]:
    run_file = {"schema": {"type": "string", "format": "binary"}}
    reading = ("401", "403", "429", "500", "503")
    return {
        "/api/v1/runs": {
            "post": {
                "operationId": "uploadRun",
                "summary": "Take in a run file, optionally gzipped. Sending it again changes nothing.",
                "security": [{"token": []}],
                "requestBody": {
                    "required": True,
                    "description": f"At most {bodies.packed_limit()} bytes, {bodies.unpacked_limit()} unpacked.",
                    "content": dict.fromkeys(bodies.TYPES, run_file),
                },
                "responses": {
                    "201": _json(
                        "The ledger has it on disk; the index follows within seconds.",
                        "Receipt",
                        headers={"Location": {"schema": _TEXT}},
                    ),
                    "200": _json("It was held already.", "Receipt"),
                    **_errors("400", "408", "409", "413", "415", "507", *reading),
                },
            }
        },
        "/api/v1/runs/{id}": {
            "get": {
                "operationId": "getRun",
                "summary": "The run file as it came.",
                "security": [{"token": []}],
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "pattern": _RUN_ID},
                    }
                ],
                "responses": {
                    "200": {"description": "The run file.", "content": {"application/x-ndjson": run_file}},
                    **_errors("404", *reading),
                },
            }
        },
        "/api/v1/machines": {
            "get": {
                "operationId": "getMachines",
                "summary": "The machines, when each was heard of last, and which uploads were refused.",
                "security": [{"token": []}],
                "responses": {"200": _json("All machines.", "Machines"), **_errors(*reading)},
            }
        },
        "/api/v1/report.md": {
            "get": {
                "operationId": "getReport",
                "summary": "The report of all that is stored, as Markdown without charts.",
                "security": [{"token": []}],
                "responses": {
                    "200": {"description": "The report.", "content": {"text/markdown": {"schema": _TEXT}}},
                    **_errors("404", *reading),
                },
            }
        },
        "/api/v1/heartbeats": {
            "post": {
                "operationId": "giveSignOfLife",
                "summary": "What the job of a machine did, and when it is due again; instead of the one before.",
                "security": [{"token": []}],
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Heartbeat"}}},
                },
                "responses": {
                    "204": {"description": "It is kept."},
                    **_errors("400", "413", "507", *reading),
                },
            }
        },
        "/api/v1/health": {
            "get": {
                "operationId": "getHealth",
                "summary": "Whether the server is up, and how far its index is.",
                "responses": {"200": _json("It is up.", "Health"), **_errors("500", "503")},
            }
        },
        "/api/v1/openapi.json": {
            "get": {
                "operationId": "getOpenApi",
                "summary": "This document.",
                "responses": {
                    "200": {
                        "description": "This document.",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        },
    }


@functools.cache
def document() -> dict[str, Any]:
    """Return the document (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "flopwatch", "version": version_of_flopwatch(), "license": {"name": "MIT"}},
        "servers": [{"url": "../.."}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {status: _json(text, "Error") for status, text in _ERRORS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


async def get(request: Request) -> Response:
    """Answer with the document."""
    del request
    return JSONResponse(document(), headers={"Cache-Control": "max-age=60"})
