"""Figures from rows: pure functions that return Plotly figures as plain dicts, and sentences that describe them.

Dicts, because building them is several times faster than Plotly's classes.  Every trace names its colour.
Nothing here knows Streamlit.
"""

from app.charts.bars import describe_throughput, throughput
from app.charts.base import CONFIG, Figure
from app.charts.files import describe_formats, formats
from app.charts.heatmap import describe_speedups, speedups
from app.charts.history import Context, describe_history, history
from app.charts.machines import describe_hardware, hardware
from app.charts.ranges import claims, describe_claims
from app.charts.roofline import describe_roofline, place, roofline
from app.charts.samples import describe_samples, samples
from app.charts.shares import ceiling_shares, describe_shares
from app.charts.sizes import describe_sizes, sizes
from app.charts.versions import describe_versions, over_versions

__all__ = [
    "CONFIG",
    "Context",
    "Figure",
    "ceiling_shares",
    "claims",
    "describe_claims",
    "describe_formats",
    "describe_hardware",
    "describe_history",
    "describe_roofline",
    "describe_samples",
    "describe_shares",
    "describe_sizes",
    "describe_speedups",
    "describe_throughput",
    "describe_versions",
    "formats",
    "hardware",
    "history",
    "over_versions",
    "place",
    "roofline",
    "samples",
    "sizes",
    "speedups",
    "throughput",
]
