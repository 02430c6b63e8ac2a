"""Many comparisons at once: some differ by chance alone, and these tools say how many and which remain.

Every interval holds 95 % by itself, so of a hundred comparisons of identical code about five exclude 1.
"""

from collections.abc import Sequence

__all__ = ["discoveries", "simultaneous"]


def discoveries(p_values: Sequence[float], false_share: float = 0.05) -> list[bool]:
    """Return which of several tests remain when at most ``false_share`` of those that remain may be chance.

    The step-up rule of Benjamini and Hochberg (Journal of the Royal Statistical Society B 57, 1995).
    """
    count = len(p_values)
    limits = [p for rank, p in enumerate(sorted(p_values), 1) if p <= false_share * rank / count]
    return [p <= max(limits, default=-1.0) for p in p_values]


def simultaneous(confidence: float, comparisons: int) -> float:
    """Return the level of each of several intervals at which all hold together with ``confidence`` (Bonferroni)."""
    return 1 - (1 - confidence) / max(comparisons, 1)
