"""What a Mac says of heat and power: an M-series chip lowers its clock for either, without a counter that shows it."""

import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

__all__ = ["apple_state", "wait_until_cool"]

Ask = Callable[..., str | None]

#: what thermalpressurelevel means (OSThermalNotification.h)
_PRESSURE = ("nominal", "moderate", "heavy", "trapping", "sleeping")
_LIMIT_S, _PAUSE_S = 60.0, 2.0


def _ask(*words: str) -> str | None:
    """Return what a program says, or None where it is missing or refuses."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def apple_state(ask: Ask = _ask) -> dict[str, Any]:
    """Return ``power_source``, ``low_power_mode`` and ``thermal_pressure``; what is not told is absent."""
    found: dict[str, Any] = {}
    source = re.search(r"drawing from '([^']+)'", ask("pmset", "-g", "batt") or "")
    if source:
        found["power_source"] = source[1]
    mode = re.search(r"lowpowermode\s+(\d)", ask("pmset", "-g") or "")
    if mode:
        found["low_power_mode"] = mode[1] == "1"
    level = re.search(r"(\d+)\s*$", ask("notifyutil", "-g", "com.apple.system.thermalpressurelevel") or "")
    if level:
        found["thermal_pressure"] = _PRESSURE[min(int(level[1]), len(_PRESSURE) - 1)]
    return found


def wait_until_cool(ask: Ask = _ask, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Wait until the thermal pressure is nominal, a minute at most, and return the state with the ``waited_s``."""
    waited_s = 0.0
    while (state := apple_state(ask)).get("thermal_pressure", "nominal") != "nominal" and waited_s < _LIMIT_S:
        sleep(_PAUSE_S)
        waited_s += _PAUSE_S
    return state | {"waited_s": waited_s}
