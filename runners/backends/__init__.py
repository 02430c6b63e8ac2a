"""One file for each library that executes: only ``backend_<name>.py`` imports it, and only when it is used."""

from runners.backends.backend_accelerate import AccelerateBackend
from runners.backends.backend_blis import BlisBackend
from runners.backends.backend_cupy import CupyBackend
from runners.backends.backend_jax import JaxBackend
from runners.backends.backend_json import JsonBackend
from runners.backends.backend_mkl import MklBackend
from runners.backends.backend_mlx import MlxBackend
from runners.backends.backend_numba import NumbaBackend
from runners.backends.backend_numpy import NumpyBackend
from runners.backends.backend_openblas import OpenblasBackend
from runners.backends.backend_orjson import OrjsonBackend
from runners.backends.backend_pickle import PickleBackend
from runners.backends.backend_safetensors import SafetensorsBackend
from runners.backends.backend_torch import TorchBackend, TorchCudaBackend, TorchMetalBackend
from runners.workload import Backend

__all__ = ["BACKENDS"]

#: in the order in which people read them: computing, then files
BACKENDS: tuple[Backend, ...] = (
    NumbaBackend(),
    NumpyBackend(),
    OpenblasBackend(),
    MklBackend(),
    BlisBackend(),
    AccelerateBackend(),
    TorchBackend(),
    TorchCudaBackend(),
    TorchMetalBackend(),
    JaxBackend(),
    CupyBackend(),
    MlxBackend(),
    SafetensorsBackend(),
    OrjsonBackend(),
    JsonBackend(),
    PickleBackend(),
)
