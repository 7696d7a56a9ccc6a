"""The suite ``gpu``: each operator on a CUDA device against eager, compiled and graph-captured stock layers."""

from namegen_bench.suites.gpu.gpu_suite import NoGpuError, run_gpu

__all__ = ["NoGpuError", "run_gpu"]
