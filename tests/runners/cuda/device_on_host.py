"""A device of our kernels that is the processor: CuPy's backend with NumPy arrays and the kernels compiled as C++."""

from typing import Any

import numpy as np

from runners.backends.backend_cupy import CupyBackend
from tests.runners.cuda.on_host import HostModule


class HostDevice(CupyBackend):
    """Launches our kernels on the processor; its threads run in the order that ``seed`` says."""

    compute_capability = 90
    cache_bytes = 1 << 16
    clock = None  # nothing is timed here

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def put(self, array: Any) -> Any:
        return array.copy()

    def get(self, array: Any) -> Any:
        return array

    def output(self, shape: tuple[int, ...], dtype: str = "float32") -> Any:
        return np.full(shape, np.nan, np.float32)

    def module(self, name: str) -> Any:
        return HostModule(name, self.seed)

    def synchronize(self) -> None:
        pass
