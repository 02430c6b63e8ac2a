"""Which process compiles which loops before anything is measured."""

from collections.abc import Mapping, Sequence

from runners.plan import Group, PlannedCell

__all__ = ["loops_to_compile"]


def loops_to_compile(group: Group, groups: Mapping[Group, Sequence[PlannedCell]]) -> dict[str, PlannedCell]:
    """Return the loops that ``group`` compiles by name, each with the smallest case that needs it.

    Groups with the same flags share a cache and compile at the same time, so each takes its own share: a loop that
    several need goes to the one that has the fewest so far.
    """
    shares: dict[Group, dict[str, PlannedCell]] = {
        other: {} for other in groups if "numba" in other.backends and other.flags == group.flags
    }
    wanted: dict[str, dict[Group, PlannedCell]] = {}
    for other in shares:
        for cell in sorted(groups[other], key=lambda cell: cell.case.footprint_bytes, reverse=True):
            if cell.variant.backend == "numba":
                wanted.setdefault(_name(cell), {})[other] = cell
    for name, cells in sorted(wanted.items(), key=lambda item: len(item[1])):
        least = min(cells, key=lambda other: len(shares[other]))
        shares[least][name] = cells[least]
    return shares.get(group, {})


def _name(cell: PlannedCell) -> str:
    """Name what is compiled: the same loops serve all cases of a kernel that have the same form of shape."""
    form = ",".join(f"{name}{'=1' if size == 1 else ''}" for name, size in sorted(cell.case.shape.items()))
    return f"{cell.case.kernel} {form} {cell.variant.name} {cell.variant.condition}"
