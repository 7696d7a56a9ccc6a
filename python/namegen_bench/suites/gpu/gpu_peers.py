"""Ways to run an operator on a CUDA device, in addition to those of the suite ops."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from namegen_bench.measuring.timing import Sampler
from namegen_bench.names import FUSED_GRAPH, FUSED_OP, STOCK, STOCK_GRAPH
from namegen_bench.suites.ops.op_case import FORWARD, FORWARD_BACKWARD, OpCase, OpPeer

_CALLS_BEFORE_CAPTURE = 3


def compiled(case: OpCase, batch: int, device: str) -> tuple[OpPeer, float]:
    """Build the stock layers under torch.compile in its default mode, for this batch size only.

    Returns:
        The peer, and how many seconds it took to compile the forward and the backward pass.

    """
    torch.compiler.reset()
    peer = case.peer(STOCK, batch, FORWARD_BACKWARD, device=device)
    peer = replace(peer, call=torch.compile(peer.call, fullgraph=True, dynamic=False))
    began = time.perf_counter()
    peer.forward_backward(1)
    torch.cuda.synchronize()
    return peer, time.perf_counter() - began


def graphed(peer: OpPeer, mode: str) -> Sampler:
    """Capture one call of a peer in a CUDA graph.

    Returns:
        A sampler that replays the graph. The results lie in the graph's own memory.

    """
    call = sampler(peer, mode)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_CALLS_BEFORE_CAPTURE):
            call(1)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call(1)

    def replay(times: int) -> None:
        for _ in range(times):
            graph.replay()

    return replay


def sampler(peer: OpPeer, mode: str) -> Sampler:
    """Return the sampler of a peer in training, with or without the backward pass."""
    return {FORWARD: peer.forward, FORWARD_BACKWARD: peer.forward_backward}[mode]


def device_seconds(work: Sampler, times: int) -> float:
    """Measure on the device how many seconds some calls take, by events before and after them on the stream."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    work(times)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000  # events count milliseconds


GRAPHED: dict[str, str] = {STOCK_GRAPH: STOCK, FUSED_GRAPH: FUSED_OP}
