"""The condition ``cold``: the caches hold nothing of a call's arrays, since others were swept through them before it.

A loop over arrays that the last call left in the cache is a fair picture of a hot path, and a wrong one of a function
that is called now and then.  Both are worth knowing where an array fits into the last-level cache, so some cases of
that size are measured both ways, under conditions of their own.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from runners.profiles import FULL
from runners.workload import Case, Job, Ready, Variant

__all__ = ["CASES", "cold_variants"]

#: cases whose arrays fit into a last-level cache
CASES = frozenset({"relu/1M", "exp/1M", "matmul/256", "matmul/512", "layernorm/8x128x768"})

_CACHES = "/sys/devices/system/cpu/cpu0/cache"
#: assumed where the system does not tell, and never exceeded: a virtual machine may name all of its host's cache
_USUAL_BYTES, _MOST_BYTES = 32 << 20, 128 << 20


@cache
def _swept() -> Any:
    """Return an array of twice the size of the last-level cache, its pages touched."""
    return np.zeros(2 * _last_level_bytes() // 4, np.float32)


def _last_level_bytes() -> int:
    sizes = [_bytes_of(path.read_text("ascii")) for path in Path(_CACHES).glob("index*/size")]
    return min(max(sizes, default=_USUAL_BYTES), _MOST_BYTES)


def _bytes_of(text: str) -> int:
    """Return the bytes of a size as Linux writes it: ``32768K``."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    return int(number) << {"K": 10, "M": 20, "G": 30}.get(unit, 0) if number.isdigit() else _USUAL_BYTES


def _sweep() -> None:
    swept = _swept()
    np.add(swept, 1, out=swept)


def _cold(build: Callable[[Job], Any]) -> Callable[[Job], Ready]:
    def building(job: Job) -> Ready:
        built = build(replace(job, condition="given"))
        ready = built if isinstance(built, Ready) else Ready(built)
        _swept()
        return replace(ready, before=_sweep)

    return building


def cold_variants(case: Case, given: Iterator[Variant]) -> Iterator[Variant]:
    """Yield each variant, and after it the same with cold caches where the case has that and it runs on processors."""
    for variant in given:
        yield variant
        if case.id in CASES and variant.condition == "given" and not variant.flags:
            yield replace(variant, condition="cold", build=_cold(variant.build), profiles=FULL)
