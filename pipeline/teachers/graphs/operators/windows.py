"""The windows of convolutions and pools."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.node import Node


@dataclass(frozen=True)
class Window:
    """Sizes of a window, along each axis of the image.

    Attributes:
        kernel: Its sizes.
        strides: Distances between windows.
        dilations: Distances between the values in a window.
        before: Padding before the first value.
        after: Padding after the last value.
        output_padding: Sizes added to one side of the output, for transposed convolutions.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    output_padding: tuple[int, ...]

    @staticmethod
    def of(node: Node, kernel: Sequence[int], *, transposed: bool = False) -> "Window":
        """Return the window of a node.

        Args:
            node: A convolution or a pool.
            kernel: The window's sizes.
            transposed: Whether it is a transposed convolution.

        Raises:
            GraphError: If the image sizes depend on the batch size, or `auto_pad` is unknown.
        """
        axes = len(kernel)
        if not 1 <= axes <= 3:
            raise GraphError(f"it has {axes} axes; 1, 2 or 3 are supported")

        def each(name: str, default: int) -> tuple[int, ...]:
            return tuple(node.integers(name) or [default] * axes)

        strides, dilations = each("strides", 1), each("dilations", 1)
        automatic = node.attribute("auto_pad", "NOTSET")
        pads = node.integers("pads") or [0] * (2 * axes)
        if automatic in ("SAME_UPPER", "SAME_LOWER"):
            if transposed:
                raise GraphError(f"auto_pad {automatic} is not supported; export it with pads")
            pads = _same(node, kernel, strides, dilations, upper=automatic == "SAME_UPPER")
        elif automatic not in ("NOTSET", "VALID"):
            raise GraphError(f"auto_pad is {automatic}; use NOTSET, VALID or SAME_UPPER")
        return Window(
            tuple(map(int, kernel)),
            strides,
            dilations,
            tuple(pads[:axes]),
            tuple(pads[axes:]),
            each("output_padding", 0),
        )

    @property
    def symmetric_padding(self) -> tuple[int, ...] | None:
        """The padding of both sides, or None if they differ."""
        return self.before if self.before == self.after else None

    @property
    def torch_padding(self) -> tuple[int, ...]:
        """The padding as `torch.nn.functional.pad` takes it: the last axis first."""
        pairs = zip(reversed(self.before), reversed(self.after), strict=True)
        return tuple(size for pair in pairs for size in pair)

    def positions(self, sizes: Sequence[int], *, ceil_mode: bool) -> list[int]:
        """Return the number of windows along each axis of an image with these sizes."""
        found = []
        for axis, size in enumerate(sizes):
            padded = size + self.before[axis] + self.after[axis]
            free = padded - self.dilations[axis] * (self.kernel[axis] - 1) - 1
            stride = self.strides[axis]
            count = (-(-free // stride) if ceil_mode else free // stride) + 1
            # A window must not start behind the image and the padding before it.
            if ceil_mode and (count - 1) * stride >= size + self.before[axis]:
                count -= 1
            found.append(count)
        return found


def image_sizes(node: Node) -> list[int]:
    """Return the sizes of the first input along the axes of the image.

    Raises:
        GraphError: If one depends on the batch size.
    """
    return [*node.fixed_sizes_from(2)]


def _same(
    node: Node,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    upper: bool,
) -> list[int]:
    """Return the padding for ceil(size / stride) windows, as TensorFlow's SAME."""
    smaller, larger = [], []
    for size, width, stride, dilation in zip(
        image_sizes(node), kernel, strides, dilations, strict=True
    ):
        total = max(0, (-(-size // stride) - 1) * stride + dilation * (width - 1) + 1 - size)
        smaller.append(total // 2)
        larger.append(total - total // 2)
    return smaller + larger if upper else larger + smaller
