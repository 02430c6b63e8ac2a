"""Texts that break out of a place where they are not escaped, in every field of a run file that holds text."""

import json
from typing import Any

__all__ = ["HOSTILE", "with_text"]

HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "'; DROP TABLE run; DELETE FROM measurement; --",
    '=HYPERLINK("http://x","y")+cmd|\' /C calc\'!A0',
    "[click](javascript:alert(1)) ![x](http://x/y.png) $\\href{javascript:alert(1)}{x}$",
    "\u202e\u0000\u001b[2J{{7*7}}${7*7}%s%n",
]


def with_text(content: bytes, text: str) -> bytes:
    """Put a text into every field of a run file that holds free text."""
    lines = [json.loads(line) for line in content.splitlines()[:-1]]

    def fill(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: fill(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [fill(inner, name) for inner in value]
        fixed = {"kind", "id", "started", "at", "status", "device", "profile", "effort", "unit", "bound"}
        return text if isinstance(value, str) and name not in fixed else value

    for line in lines:
        kept = {name: f"{line[name]} {text}" for name in ("case", "variant") if name in line}
        line.update(fill(line) | kept)
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)
