"""Figures from rows: pure functions that return Plotly figures as plain dicts, and sentences that describe them.

Dicts, because building them is several times faster than Plotly's classes.  Every trace names its colour.
Nothing here knows Streamlit.
"""

from app.charts.bars import describe_throughput, throughput
from app.charts.base import CONFIG, Figure
from app.charts.heatmap import describe_speedups, speedups
from app.charts.samples import describe_samples, samples
from app.charts.shares import ceiling_shares, describe_shares

__all__ = [
    "CONFIG",
    "Figure",
    "ceiling_shares",
    "describe_samples",
    "describe_shares",
    "describe_speedups",
    "describe_throughput",
    "samples",
    "speedups",
    "throughput",
]
