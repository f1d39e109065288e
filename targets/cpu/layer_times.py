"""Measure which share of a compiled graph's time each layer takes, with ONNX Runtime's profiler."""

import json
import re
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from targets.cpu.session import Images, open_session
from targets.graph.graph_file import read_graph

PROFILED_RUNS = 20
"""Runs of the graph with the profiler. The median of each node leaves out slow first runs."""

NODE_EVENT = re.compile(r"(?P<node>.*?)(_token_\d+)?_kernel_time")
"""Name of the profiler's event for a node. ONNX Runtime adds `_token_N` to nodes that it fuses."""


def layer_time_shares(graph: Path, images: Images, layers: list[str]) -> dict[str, float]:
    """Return the share of the run time that each layer takes, 0 to 1.

    The shares add up to less than 1: other nodes take the rest. A layer that ONNX Runtime merges
    with others when it loads the graph is left out.

    Args:
        graph: A compiled graph.
        images: The batch to run.
        layers: Names of nodes of the graph.
    """
    with tempfile.TemporaryDirectory() as folder:
        times = _node_times(graph, images, Path(folder) / "profile")
    total = sum(times.values())
    # In the layout NCHWc a convolution has the name of its output.
    outputs = {node.name: f"{node.output[0]}_nchwc" for node in read_graph(graph).graph.node}
    known = {layer: times.get(layer, times.get(outputs.get(layer, ""))) for layer in layers}
    return {layer: time / total for layer, time in known.items() if time is not None and total}


def _node_times(graph: Path, images: Images, prefix: Path) -> dict[str, float]:
    """Return the median time of each node in microseconds."""
    session = open_session(graph, profile=prefix)
    for _ in range(PROFILED_RUNS):
        session.run(["logits"], {"images": images})
    events = json.loads(Path(session.end_profiling()).read_text())
    times: defaultdict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and (name := NODE_EVENT.fullmatch(event["name"])):
            times[name["node"]].append(event["dur"])
    return {name: statistics.median(values) for name, values in times.items()}
