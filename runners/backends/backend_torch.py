"""PyTorch on the processor, an accelerator of NVIDIA or one of Apple: whatever its build and the machine have."""

import importlib
import importlib.util
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runners.backends.cuda import Trouble, reason_without_device, trouble
from runners.backends.distributions import find, version
from runners.backends.kernels_cupy import source
from runners.backends.operators_torch import CUDA_OPERATORS, METAL_OPERATORS, OPERATORS
from runners.nvml import DeviceMeter
from runners.workload import Availability, Backend

__all__ = ["TorchBackend", "TorchCudaBackend", "TorchMetalBackend"]


class TorchBackend(Backend):
    """PyTorch's own operators, without gradients, on the processor."""

    name = "torch"
    title = "PyTorch"
    packages: tuple[str, ...] = ("torch",)
    install = "pip install flopwatch[torch]"
    operators = OPERATORS

    #: the module, once it is loaded
    library: Any = None

    def probe(self) -> Availability:
        """Look for the installed distribution; nothing is imported."""
        return find("torch", self.install)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the pools of PyTorch and of the MKL inside it."""
        return {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}

    def load(self, threads: int) -> None:
        """Import PyTorch, set its threads and switch gradients off; raise RuntimeError if it has other threads."""
        torch = importlib.import_module("torch")
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        if torch.get_num_threads() != threads:
            raise RuntimeError(f"PyTorch runs {torch.get_num_threads()} threads, {threads} were asked for")
        self.library = torch

    def describe(self) -> dict[str, Any]:
        """Return version, threads, instruction set, and the libraries of its build."""
        torch = self.library
        return {
            "version": version("torch"),
            "threads": torch.get_num_threads(),
            "core": torch.backends.cpu.get_cpu_capability(),
            "mkl": torch.backends.mkl.is_available(),
            "onednn": torch.backends.mkldnn.is_available(),
            "matmul_precision": torch.get_float32_matmul_precision(),
        }

    def put(self, array: Any) -> Any:
        """Let a tensor share the memory of a host array."""
        return self.library.from_numpy(array)

    def get(self, array: Any) -> Any:
        """Let a host array share the memory of a tensor."""
        return array.numpy()


class _OnDevice(TorchBackend):
    """What PyTorch's devices have in common."""

    first_call_differs = True
    #: PyTorch's own name of the device
    place = ""

    def put(self, array: Any) -> Any:
        """Copy a host array to the device."""
        return self.library.from_numpy(array).to(self.place)

    def get(self, array: Any) -> Any:
        """Copy a tensor of the device to the host, as float32."""
        return array.float().cpu().numpy()

    def explain(self, error: BaseException) -> Trouble | None:
        """Say what an error means for the measurement, and the remedy."""
        return trouble(error)


class _Clock:
    """What :class:`runners.device_timing.DeviceClock` asks, by the events of PyTorch's current stream."""

    def __init__(self, backend: "TorchCudaBackend") -> None:
        torch = backend.library
        self._torch, self._meter = torch, backend.meter
        properties = torch.cuda.get_device_properties(0)
        self._processors = properties.multi_processor_count
        maximum = backend.meter.facts().get("maximum_sm_clock_mhz")
        self.default_khz: int | None = getattr(properties, "clock_rate", None) or (
            maximum * 1000 if maximum else None
        )
        self._swept = torch.zeros(max(2 * backend.cache_bytes, 1), dtype=torch.uint8, device="cuda:0")
        try:  # since PyTorch 2.9; without it the clock rate of a sample is not known
            compile_kernel = getattr(torch.cuda, "compile_kernel", None) or torch.cuda._compile_kernel
            self._stamp = compile_kernel(source("clock"), "stamp")
        except Exception:
            self._stamp = None

    def flush(self) -> None:
        self._swept.fill_(1)

    def spin(self, cycles: int) -> None:
        self._torch.cuda._sleep(cycles)

    def mark(self) -> Any:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def reached(self, mark: Any) -> bool:
        return bool(mark.query())

    def elapsed_ns(self, first: Any, last: Any) -> float:
        last.synchronize()
        return float(first.elapsed_time(last)) * 1e6

    def stamp(self) -> Any:
        if self._stamp is None:
            return None
        pair = self._torch.zeros(2, dtype=self._torch.int64, device="cuda:0")
        self._stamp((self._processors, 1, 1), (1, 1, 1), [pair])
        return pair

    def clock_khz(self, first: Any, last: Any) -> int | None:
        (start_ns, start), (end_ns, end) = ([int(value) for value in pair.tolist()] for pair in (first, last))
        if not start or not end or end_ns <= start_ns:
            return None  # no block of a stamp ran on multiprocessor 0
        return round((end - start) * 1e6 / (end_ns - start_ns))

    def capture(self, calls: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
        graph = self._torch.cuda.CUDAGraph()
        with self._torch.cuda.graph(graph):
            returned = calls()
        return graph.replay, returned

    def energy_mj(self) -> int | None:
        energy: int | None = self._meter.energy_mj()
        return energy


class TorchCudaBackend(_OnDevice):
    """PyTorch's own operators on the first device of CUDA, without TF32."""

    device = "cuda:0"
    _key = "torch@cuda"
    place = "cuda:0"
    title = "PyTorch on CUDA"
    packages = ("torch", "nvidia-ml-py")
    operators = CUDA_OPERATORS

    meter: Any = None
    cache_bytes: int = 0
    _clock: Any = None

    def probe(self) -> Availability:
        """Ask for the package, whether it is built for CUDA, and for a driver with a device; nothing is imported."""
        found = super().probe()
        if not found.available:
            return found
        cuda = _built_for_cuda()
        if cuda is None:
            return Availability(
                False,
                f"PyTorch {version('torch')} is installed as a build without CUDA",
                "install PyTorch's CUDA build instead (Get Started on pytorch.org gives the line)",
            )
        missing = reason_without_device("PyTorch", int(cuda.partition(".")[0]))
        return Availability(False, *missing) if missing else Availability(True)

    def settings(self, threads: int) -> dict[str, str]:
        """Fix the pools of the host, and keep products of float32 in float32."""
        return super().settings(threads) | {"NVIDIA_TF32_OVERRIDE": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}

    def load(self, threads: int) -> None:
        """Import PyTorch and take the first device; raise RuntimeError with the remedy if it cannot be had."""
        super().load(threads)
        torch = self.library
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        # Sums of 16-bit products stay in float32, as cuBLAS is asked for through CuPy.
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        try:
            properties = torch.cuda.get_device_properties(0)
        except Exception as error:
            known = trouble(error)
            if known is None:
                raise
            raise RuntimeError(known.reason) from error
        self.cache_bytes = int(properties.L2_cache_size)
        self.meter = DeviceMeter(_bus_id(properties))

    def describe(self) -> dict[str, Any]:
        """Return versions, the device, and how products are computed."""
        torch = self.library
        properties = torch.cuda.get_device_properties(0)
        return super().describe() | {
            "device": properties.name,
            "compute_capability": properties.major + properties.minor / 10,
            "multiprocessors": properties.multi_processor_count,
            "memory_bytes": properties.total_memory,
            "cache_bytes": self.cache_bytes,
            "cuda_runtime": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "tf32": bool(torch.backends.cuda.matmul.allow_tf32),
            "half_reduction": {
                "float16": bool(torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction),
                "bfloat16": bool(torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction),
            },
            **self.meter.facts(),
        }

    def synchronize(self) -> None:
        """Wait until the device has finished."""
        self.library.cuda.synchronize()

    def release(self) -> None:
        """Give memory that is kept for later back to the device."""
        self.library.cuda.empty_cache()

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


def _bus_id(properties: Any) -> str | None:
    """Return where a device sits on the PCI bus, as newer versions of PyTorch tell it."""
    parts = [getattr(properties, f"pci_{part}_id", None) for part in ("domain", "bus", "device")]
    known = [int(part) for part in parts if part is not None]
    return f"{known[0]:08x}:{known[1]:02x}:{known[2]:02x}.0" if len(known) == len(parts) else None


def _built_for_cuda() -> str | None:
    """Return the CUDA version in the file of versions that each build of PyTorch has, without importing it."""
    spec = importlib.util.find_spec("torch")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    text = (folder / "version.py").read_text("utf-8") if folder and (folder / "version.py").exists() else ""
    match = re.search(r"^cuda\b[^=]*=\s*'([\d.]+)'", text, re.MULTILINE)
    return match[1] if match else None


class TorchMetalBackend(_OnDevice):
    """PyTorch's own operators on the graphics processor of Apple silicon."""

    device = "metal"
    _key = "torch@metal"
    place = "mps"
    title = "PyTorch on Metal (MPS)"
    operators = METAL_OPERATORS

    def probe(self) -> Availability:
        """Ask for Apple silicon, then the package; nothing is imported."""
        if sys.platform != "darwin" or platform.machine() != "arm64":
            return Availability(False, "Metal is part of macOS on Apple silicon", "run it on such a Mac")
        return super().probe()

    def load(self, threads: int) -> None:
        """Import PyTorch; raise RuntimeError if its build or the system has no Metal."""
        super().load(threads)
        if not self.library.backends.mps.is_available():
            raise RuntimeError("PyTorch finds no Metal here: it needs macOS 14 or newer and a build with MPS")

    def describe(self) -> dict[str, Any]:
        """Return versions and the device."""
        return super().describe() | {"device": "mps"}

    def synchronize(self) -> None:
        """Wait until the device has finished."""
        self.library.mps.synchronize()

    def release(self) -> None:
        """Give memory that is kept for later back to the device."""
        self.library.mps.empty_cache()

    def chain(self, call: Callable[[], Any]) -> Callable[[int], Any]:
        """Return what enqueues so many calls, which the device's one queue runs in order, and waits for the last."""

        def calls(count: int) -> Any:
            returned = None
            for _ in range(count):
                returned = call()
            self.synchronize()
            return returned

        return calls
