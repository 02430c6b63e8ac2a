"""What pages say of machines: their description as facts side by side, and what their devices may draw."""

import json
from collections.abc import Mapping
from typing import Any

from app import texts
from app.rows import Row

__all__ = ["facts", "flat", "parsed", "watts"]


def parsed(held: Any) -> Any:
    """Return what a column of JSON holds: a store gives it as text."""
    try:
        return json.loads(held) if isinstance(held, str) else held
    except ValueError:
        return None


def flat(value: Any, name: str = "") -> dict[str, str]:
    """Return nested facts as one level: ``blas.0.version`` → text."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        found = parsed(value)
        value = {name: value} if found is None else found
    if isinstance(value, Mapping):
        items: list[tuple[str, Any]] = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list):
        if all(not isinstance(one, Mapping | list) for one in value):
            return {name: ", ".join(map(str, value))}
        items = [(str(position), one) for position, one in enumerate(value)]
    else:
        return {name: str(value)}
    found_facts: dict[str, str] = {}
    for key, one in items:
        found_facts |= flat(one, f"{name}.{key}" if name else key)
    return found_facts


def facts(machine: Row) -> dict[str, str]:
    """Return the description of a machine, each fact under its name."""
    held = {
        "processor": str(machine.get("cpu_model")),
        "cores": str(machine.get("cores")),
        "hardware threads": str(machine.get("threads")),
        "memory": texts.size((texts.finite(machine.get("memory_gib")) or 0) * 2**30),
        "devices": ", ".join(str(name) for name in machine.get("devices") or []) or texts.ABSENT,
    }
    attributes = parsed(machine.get("attributes"))
    return held | (flat(attributes) if isinstance(attributes, Mapping) else {})


def watts(machine: Row, device: str) -> float | None:
    """Return the power limit of a device in watts as its driver told it; None where it did not (every processor)."""
    kind, _, number = device.partition(":")
    attributes = parsed(machine.get("attributes"))
    described = attributes.get("devices") if isinstance(attributes, Mapping) else None
    if kind != "cuda" or not isinstance(described, list):
        return None
    position = int(number) if number.isdecimal() else 0
    found = described[position] if position < len(described) else None
    limit = texts.finite(found.get("power_limit_w")) if isinstance(found, Mapping) else None
    return limit if limit and limit > 0 else None
