"""Keras networks, and the graphs that tf2onnx makes of them."""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.teacher_files.file import CLASSES

OPSET = 17

# Read when TensorFlow and Keras are imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


class KerasNetwork(nn.Module):
    """A Keras network that takes images (N, C, H, W)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        array = images.permute(0, 2, 3, 1).contiguous().numpy()
        return torch.from_numpy(self.model(array, training=self.training).numpy())


def small(*, rescales: bool = False) -> KerasNetwork:
    """Return a network of two convolutions for images of 32x32 pixels.

    Args:
        rescales: Whether it takes values up to 255 and normalizes them itself.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    images = keras.Input((32, 32, 3))
    found = layers.Rescaling(1 / 127.5, -1)(images) if rescales else images
    found = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(found)
    found = layers.ReLU(6.0)(layers.BatchNormalization()(found))
    found = layers.ZeroPadding2D(((0, 1), (0, 1)))(found)
    found = layers.DepthwiseConv2D(3, strides=2, use_bias=False)(found)
    found = layers.Activation("swish")(layers.BatchNormalization()(found))
    found = layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(found))
    return KerasNetwork(keras.Model(images, found))


def of_applications(name: str, **arguments: Any) -> KerasNetwork:
    """Return a network of keras.applications for images of 64x64 pixels."""
    import keras

    keras.utils.set_random_seed(0)
    given = {"weights": None, "classes": CLASSES, "classifier_activation": None, **arguments}
    return KerasNetwork(getattr(keras.applications, name)(input_shape=(64, 64, 3), **given))


def from_keras(
    network: nn.Module, images: Tensor, *, opset: int = OPSET, channels_first: bool = False
) -> bytes:
    """Return what tf2onnx.convert.from_keras returns.

    Args:
        network: A `KerasNetwork`.
        images: Example images.
        opset: Version of the operator set.
        channels_first: Whether the graph should take images (N, C, H, W).
    """
    import tf2onnx

    return _content(
        tf2onnx.convert.from_keras(
            network.model,
            input_signature=_signature(images, "float32"),
            opset=opset,
            inputs_as_nchw=["images"] if channels_first else None,
        )
    )


def from_function(
    network: nn.Module, images: Tensor, *, dtype: str = "float32", with_class: bool = False
) -> bytes:
    """Return what tf2onnx.convert.from_function returns for a function with a softmax.

    Args:
        network: A `KerasNetwork`.
        images: Example images.
        dtype: Type of the images: float32 or uint8.
        with_class: Whether the function also returns the predicted class.
    """
    import tensorflow as tf
    import tf2onnx

    model: Any = network.model
    signature = _signature(images, dtype)

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def serve(images: Any) -> dict[str, Any]:
        logits = model(tf.cast(images, tf.float32), training=False)
        found = {"probabilities": tf.nn.softmax(logits)}
        return {"best": tf.argmax(logits, 1), **found} if with_class else found

    made = tf2onnx.convert.from_function(serve, input_signature=signature, opset=OPSET)
    return _content(made)


def keras_export(network: nn.Module, images: Tensor) -> bytes:
    """Return what the method `export` of a Keras network writes."""
    model: Any = network.model
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(str(path), format="onnx", verbose=False)
        return path.read_bytes()


def _signature(images: Tensor, dtype: str) -> tuple[Any, ...]:
    import tensorflow as tf

    _, channels, height, width = images.shape
    return (tf.TensorSpec((None, height, width, channels), dtype, name="images"),)


def _content(made: Any) -> bytes:
    content: bytes = made[0].SerializeToString()
    return content
