"""``flopwatch changes``."""

import argparse
import json
import math
import sys
from pathlib import Path

__all__ = ["arguments", "main"]

_EPILOG = """\
input:  {"values": [1.0, 1.1, …], "times": ["2026-01-01", …], "low": […], "high": […], "noise_floor": 0.02}
        or CSV with columns named time, value, low, high; all but the values may be left out
output: [{"index": 42, "ratio": 1.051, "confidence": 0.99}]; index counts from 0, ratio is new level / old level

examples:
  flopwatch changes history.csv
  echo '{"values": [5,5,5,5,5,9,9,9,9,9]}' | flopwatch changes -
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE", help="a JSON or CSV file; - reads standard input")
    parser.add_argument(
        "--noise-floor", type=float, metavar="0.02", help="tell no change smaller than this share"
    )
    parser.add_argument("--json", action="store_true", help="print JSON (it always does)")


def main(options: argparse.Namespace) -> int:
    """Print the change points of the series as JSON."""
    from data.changes import change_points
    from data.series_files import read_series

    series = read_series(_text(options.file))
    floor = series.noise_floor if options.noise_floor is None else options.noise_floor
    found = change_points(series.values, series.times, series.low, series.high, floor)
    rows = [
        {
            "index": change.index,
            "ratio": None if math.isnan(change.ratio) else change.ratio,
            "confidence": change.confidence,
        }
        for change in found
    ]
    print(json.dumps(rows))
    return 0


def _text(file: str) -> str:
    from data.errors import BadInput, StorageError

    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{file} is no text; give JSON or CSV") from None
    except OSError as error:
        raise BadInput(str(StorageError.from_os(file, error))) from None
