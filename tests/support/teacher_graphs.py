"""ONNX graphs of networks and of single operators, for several tests."""

import io
import warnings

import numpy as np
import onnxruntime as ort
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper

from dfkd.images import ImageSpec
from pipeline.teachers.graphs.conversion import convert
from pipeline.teachers.graphs.graph_file import read_graph_file
from pipeline.teachers.graphs.input_layout import GraphInput


def plain_spec(shape):
    """Return images in [0, 1] without normalization."""
    return ImageSpec(shape, (0.0,) * shape[0], (1.0,) * shape[0])


def exported(network, shape, *, dynamo, opset, free=True, keep_batch_norms=False):
    """Return the bytes that one of torch's two exporters writes."""
    images = torch.rand(2 if free else 1, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = ({0: torch.export.Dim("n")},) if free else None
            made = torch.onnx.export(
                network.eval(),
                (images,),
                dynamo=True,
                opset_version=opset,
                dynamic_shapes=shapes,
                optimize=not keep_batch_norms,
                verbose=False,
            )
            return made.model_proto.SerializeToString()
        mode = torch.onnx.TrainingMode
        file = io.BytesIO()
        torch.onnx.export(
            network.eval(),
            (images,),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=["images"],
            dynamic_axes={"images": {0: "n"}} if free else None,
            training=mode.PRESERVE if keep_batch_norms else mode.EVAL,
            do_constant_folding=not keep_batch_norms,
        )
        return file.getvalue()


def graph(nodes, shape, constants=(), *, opset=17, batch="n", kind=TensorProto.FLOAT):
    """Return a model from nodes that read `x` and write `y`."""
    return helper.make_model(
        helper.make_graph(
            nodes,
            "graph",
            [helper.make_tensor_value_info("x", kind, [batch, *shape])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=8,
    )


def converted(content, spec):
    """Return the network of a graph with one output, without a comparison."""
    content = content.SerializeToString() if isinstance(content, ModelProto) else content
    file = read_graph_file(content)
    return convert(file, GraphInput.of(file, spec), spec, file.outputs[0]).network


def run_graph(content, arrays):
    """Return the first output that ONNX Runtime computes."""
    content = content.SerializeToString() if isinstance(content, ModelProto) else content
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: arrays})[0]
