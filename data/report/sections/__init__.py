"""The sections of a report, one file each, in the order in which they stand.

A section is a function from a context to a :class:`~data.report.model.Section`; an empty one is left out.
"""

from collections.abc import Callable, Sequence

from data.report.context import Context
from data.report.model import Section
from data.report.sections import (
    attention,
    backends,
    blas,
    bottlenecks,
    claims,
    elementwise,
    evidence,
    layernorm,
    naive,
    other_tools,
    regressions,
    serialization,
    system,
)

__all__ = ["CLOSING", "SECTIONS"]

#: of each machine
SECTIONS: tuple[Callable[[Context], Section], ...] = (
    naive.section,
    blas.section,
    backends.section,
    elementwise.section,
    bottlenecks.section,
    attention.section,
    layernorm.section,
    serialization.section,
    claims.section,
    regressions.section,
    other_tools.section,
    evidence.problems,
    evidence.absent,
    evidence.noise,
    system.section,
    system.commands,
)

#: once, about all machines
CLOSING: tuple[Callable[[Sequence[Context]], Section], ...] = (evidence.method,)
