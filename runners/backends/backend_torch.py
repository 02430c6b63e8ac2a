"""PyTorch on the processor, an accelerator of NVIDIA or one of Apple: whatever its build and the machine have."""

import importlib
from typing import Any

from runners.backends.distributions import find, version
from runners.backends.operators_torch import OPERATORS
from runners.workload import Availability, Backend

__all__ = ["TorchBackend"]


class TorchBackend(Backend):
    """PyTorch's own operators, without gradients, on the processor."""

    name = "torch"
    title = "PyTorch"
    packages = ("torch",)
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
