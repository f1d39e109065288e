"""Teachers whose file holds the network: ONNX graphs, exported programs and TorchScript.

Every such file becomes an ONNX graph, and the graph a torch network with gradients.
"""

from base.lazy_names import lazy_names

__all__ = ["describe_graph", "load_graph"]

__getattr__ = lazy_names(__name__, {"describe_graph": "description", "load_graph": "loading"})
