"""The normalizations that most teachers are trained with."""

from dataclasses import replace

from dfkd.images import ImageSpec

RGB = {
    "ImageNet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (0.0, 1.0)),
    "CIFAR-10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), (0.0, 1.0)),
    "MNIST": ((0.1307,) * 3, (0.3081,) * 3, (0.0, 1.0)),
    "0.5/0.5": ((0.5,) * 3, (0.5,) * 3, (0.0, 1.0)),
    "0..1": ((0.0,) * 3, (1.0,) * 3, (0.0, 1.0)),
    "0..255": ((0.0,) * 3, (1.0,) * 3, (0.0, 255.0)),
}
"""Mean, standard deviation and value range for three channels."""


def customary_normalizations(spec: ImageSpec) -> dict[str, ImageSpec]:
    """Return the specification with each customary normalization, by name.

    Images that do not have three channels get the average of the three values.
    """
    channels = spec.shape[0]
    return {
        name: replace(
            spec, mean=_fitted(mean, channels), std=_fitted(std, channels), value_range=ends
        )
        for name, (mean, std, ends) in RGB.items()
    }


def _fitted(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values if channels == 3 else (round(sum(values) / 3, 4),) * channels
