"""CuPy: CUDA through cuBLAS, CuPy's own operators, and our own kernels, on the first device that CUDA offers."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from runners.arrays import bfloat16_bits, from_bfloat16_bits
from runners.backends.cuda import Trouble, driver_version, reason_without_device, trouble
from runners.backends.distributions import find, version
from runners.backends.kernels_cupy import KERNELS, source
from runners.backends.operators_cupy import OPERATORS
from runners.nvml import DeviceMeter
from runners.workload import Availability, Backend

__all__ = ["CupyBackend"]

#: distribution of CuPy → the CUDA version that it is built for
_DISTRIBUTIONS = {"cupy-cuda13x": 13, "cupy-cuda12x": 12}
#: how cuBLAS names its types (library_types.h)
_CUDA_TYPES = {"float32": 0, "float16": 2, "bfloat16": 14}


def _library() -> Any:
    return importlib.import_module("cupy")


def _runtime() -> Any:
    return importlib.import_module("cupy_backends.cuda.api.runtime")


class _Module:
    """The kernels of one source, compiled for the device when the first is launched."""

    def __init__(self, module: Any) -> None:
        self._module, self._kernels = module, {}  # type: ignore[var-annotated]

    def launch(
        self,
        kernel: str,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        arguments: tuple[Any, ...],
        shared_bytes: int = 0,
    ) -> None:
        """Enqueue a kernel; arguments are arrays of the device and NumPy scalars of the right width."""
        function = self._kernels.get(kernel)
        if function is None:
            function = self._kernels[kernel] = self._module.get_function(kernel)
        function(grid, block, arguments, shared_mem=shared_bytes)


class _Clock:
    """What :class:`runners.device_timing.DeviceClock` asks, by CUDA's events on CuPy's current stream."""

    def __init__(self, backend: "CupyBackend") -> None:
        cupy = backend.library
        self._cupy, self._clock, self._meter = cupy, backend.module("clock"), backend.meter
        attributes = cupy.cuda.Device().attributes
        self.default_khz: int | None = attributes.get("ClockRate")
        self._processors = attributes["MultiProcessorCount"]
        self._swept = cupy.zeros(max(2 * backend.cache_bytes, 1), cupy.uint8)

    def flush(self) -> None:
        self._swept.fill(1)

    def spin(self, cycles: int) -> None:
        self._clock.launch("spin", (1,), (1,), (np.int64(cycles),))

    def mark(self) -> Any:
        event = self._cupy.cuda.Event()
        event.record()
        return event

    def reached(self, mark: Any) -> bool:
        return bool(mark.done)

    def elapsed_ns(self, first: Any, last: Any) -> float:
        last.synchronize()
        return float(self._cupy.cuda.get_elapsed_time(first, last)) * 1e6

    def stamp(self) -> Any:
        pair = self._cupy.zeros(2, self._cupy.uint64)
        self._clock.launch("stamp", (self._processors,), (1,), (pair,))
        return pair

    def clock_khz(self, first: Any, last: Any) -> int | None:
        (start_ns, start), (end_ns, end) = ([int(value) for value in pair.get()] for pair in (first, last))
        if not start or not end or end_ns <= start_ns:
            return None  # no block of a stamp ran on multiprocessor 0
        return round((end - start) * 1e6 / (end_ns - start_ns))

    def capture(self, calls: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        stream = self._cupy.cuda.Stream(non_blocking=True)
        self._cupy.cuda.Device().synchronize()
        with stream:
            stream.begin_capture()
            try:
                returned = calls()
            finally:
                graph = stream.end_capture()
        launched_on = self._cupy.cuda.get_current_stream()
        graph.upload(launched_on)
        return (lambda: graph.launch(launched_on)), returned

    def energy_mj(self) -> int | None:
        energy: int | None = self._meter.energy_mj()
        return energy


class CupyBackend(Backend):
    """cuBLAS called through CuPy's bindings, CuPy's operators, and our own kernels compiled by NVRTC."""

    name = "cupy"
    device = "cuda:0"
    title = "CUDA through CuPy: cuBLAS and our own kernels"
    packages = ("cupy-cuda13x", "cupy-cuda12x", "nvidia-ml-py")
    install = "pip install flopwatch[cuda13]"
    first_call_differs = True
    operators = (*OPERATORS, *KERNELS)

    library: Any = None
    meter: Any = None
    #: size of the device's last cache
    cache_bytes: int = 0
    #: such as 90 for 9.0
    compute_capability: int = 0
    _clock: Any = None
    _modules: dict[str, Any]

    def probe(self) -> Availability:
        """Ask for the package, then the driver, then its devices, and name the first that is missing.

        CuPy itself is imported only where a driver offers a device: then CUDA's runtime counts them.
        """
        found = find("cupy", self._install_line())
        major = next((cuda for name, cuda in _DISTRIBUTIONS.items() if version(name)), None)
        missing = reason_without_device("CuPy", major)
        if not found.available:
            reason = found.reason + (f", and {missing[0]}" if missing else "")
            return Availability(False, reason, found.install)
        if missing:
            return Availability(False, *missing)
        try:
            count = _runtime().getDeviceCount()
        except Exception as error:  # CUDARuntimeError, or an ImportError of a library that is missing
            known = trouble(error)
            reason = f"{type(error).__name__}: {error}"
            return Availability(False, reason, known.reason if known else self._install_line())
        return (
            Availability(True)
            if count
            else Availability(False, "CUDA's runtime counts no device", "nvidia-smi")
        )

    def _install_line(self) -> str:
        """Name the extra that fits the driver, the newest where there is none to ask."""
        driver = driver_version()
        return "pip install flopwatch[cuda12]" if driver and driver[0] == 12 else self.install

    def settings(self, threads: int) -> dict[str, str]:
        """Keep products of float32 in float32: TF32 would round the operands to 11 bits."""
        return {"CUPY_TF32": "0", "NVIDIA_TF32_OVERRIDE": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def load(self, threads: int) -> None:
        """Import CuPy and take the first device; raise RuntimeError with the remedy if it cannot be had."""
        try:
            cupy = _library()
            device = cupy.cuda.Device(0)
            device.use()
            self.library, self._modules = cupy, {}
            self.cache_bytes = int(device.attributes["L2CacheSize"])
            self.compute_capability = int(device.compute_capability)
            self.meter = DeviceMeter(device.pci_bus_id)
        except Exception as error:
            known = trouble(error)
            if known is None:
                raise
            raise RuntimeError(known.reason) from error

    def describe(self) -> dict[str, Any]:
        """Return versions of CuPy, driver, runtime and libraries, the device, and how products are computed."""
        cupy = self.library
        properties = cupy.cuda.runtime.getDeviceProperties(0)
        name = properties["name"]
        return {
            "version": cupy.__version__,
            "threads": 1,
            "device": name.decode() if isinstance(name, bytes) else str(name),
            "compute_capability": self.compute_capability / 10,
            "multiprocessors": int(properties["multiProcessorCount"]),
            "memory_bytes": int(properties["totalGlobalMem"]),
            "cache_bytes": self.cache_bytes,
            "cuda_driver": _dotted(cupy.cuda.runtime.driverGetVersion()),
            "cuda_runtime": _dotted(cupy.cuda.runtime.runtimeGetVersion()),
            "nvrtc": ".".join(
                map(str, importlib.import_module("cupy_backends.cuda.libs.nvrtc").getVersion())
            ),
            "cublas": self._cublas().getVersion(cupy.cuda.get_cublas_handle()),
            "cudnn": _cudnn(),
            "tf32": False,
            "accumulation": "float32 for every type",
            **self.meter.facts(),
        }

    def put(self, array: Any) -> Any:
        """Copy a host array to the device."""
        return self.library.asarray(array)

    def get(self, array: Any) -> Any:
        """Copy an array of the device to the host, as float32."""
        host = array.get()
        if host.dtype == np.uint16:
            return from_bfloat16_bits(host)
        return host.astype(np.float32) if host.dtype == np.float16 else host

    def put_as(self, array: Any, dtype: str) -> Any:
        """Copy a host array of float32 to the device in another type; bfloat16 travels as its bits."""
        if dtype == "bfloat16":
            return self.put(bfloat16_bits(array))
        return self.put(array.astype(np.float16) if dtype == "float16" else array)

    def output(self, shape: tuple[int, ...], dtype: str = "float32") -> Any:
        """Return an array of the device full of NaN."""
        if dtype == "bfloat16":
            return self.library.full(shape, 0x7FC0, np.uint16)
        return self.library.full(shape, np.nan, np.dtype(dtype))

    def synchronize(self) -> None:
        """Wait until the device has finished."""
        self.library.cuda.runtime.deviceSynchronize()

    def release(self) -> None:
        """Give memory that is kept for later back to the device: another process may need it."""
        self.library.get_default_memory_pool().free_all_blocks()

    def module(self, name: str) -> Any:
        """Return the kernels of one of our sources."""
        if name not in self._modules:
            self._modules[name] = _Module(self.library.RawModule(code=source(name)))
        return self._modules[name]

    @property
    def clock(self) -> Any:
        """The device's clock."""
        if self._clock is None:
            self._clock = _Clock(self)
        return self._clock

    def device_state(self) -> dict[str, Any]:
        """Return heat, power, energy, clocks and who else computes, as far as the device tells."""
        state: dict[str, Any] = self.meter.state()
        return state

    def explain(self, error: BaseException) -> Trouble | None:
        """Say what an error means for the measurement, and the remedy."""
        return trouble(error)

    def _cublas(self) -> Any:
        return importlib.import_module("cupy_backends.cuda.libs.cublas")

    def multiplication(self, a: Any, b: Any, c: Any, dtype: str) -> Callable[[], Any]:
        """Return a call of cuBLAS for c = a·b, row-major, [m, k]·[k, n] or a batch of them, summed in float32.

        cuBLAS thinks in columns, where the same memory holds the transposed matrices: cᵀ = bᵀ·aᵀ.
        """
        cublas, handle = self._cublas(), self.library.cuda.get_cublas_handle
        m, k, n = a.shape[-2], a.shape[-1], b.shape[-1]
        stack, kind = a.size // (m * k), _CUDA_TYPES[dtype]
        one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
        scalars = (one.ctypes.data, zero.ctypes.data)
        # 68 and 69 are CUBLAS_COMPUTE_32F and its pedantic form; −1 is the library's own choice of an algorithm.
        compute = getattr(cublas, "CUBLAS_COMPUTE_32F", 68)
        pointers = (a.data.ptr, b.data.ptr, c.data.ptr)

        def call() -> Any:
            product(handle(), cublas, scalars, pointers, (m, n, k), stack, kind, compute)
            return c

        call.arrays = (a, b, one, zero)  # type: ignore[attr-defined]  # what the pointers lead to stays alive
        return call

    def load_to_device(self, tensors: dict[str, Any]) -> dict[str, Any]:
        """Copy tensors of a file to the device and wait for the last."""
        held = {name: self.put(tensor) for name, tensor in tensors.items()}
        self.synchronize()
        return held


def product(
    handle: Any,
    cublas: Any,
    scalars: tuple[int, int],
    pointers: Sequence[int],
    sizes: tuple[int, int, int],
    stack: int,
    kind: int,
    compute: int,
) -> None:
    """Call ``cublasGemmEx``, or its strided batch for several products."""
    (alpha, beta), (a, b, c), (m, n, k) = scalars, pointers, sizes
    if stack == 1:
        cublas.gemmEx(handle, 0, 0, n, m, k, alpha, b, kind, n, a, kind, k, beta, c, kind, n, compute, -1)
        return
    cublas.gemmStridedBatchedEx(
        handle,
        0,
        0,
        n,
        m,
        k,
        alpha,
        b,
        kind,
        n,
        k * n,
        a,
        kind,
        k,
        m * k,
        beta,
        c,
        kind,
        n,
        m * n,
        stack,
        compute,
        -1,
    )


def _dotted(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _cudnn() -> str | None:
    return version("nvidia-cudnn-cu13") or version("nvidia-cudnn-cu12")
