"""Measures: everything that touches a device or a clock."""

__all__ = ["__version__"]

__version__ = "0.1.0"
