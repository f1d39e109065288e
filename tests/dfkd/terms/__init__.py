import torch

from dfkd.models.forward_pass import LayerStatistics


def draw(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.double)


def layer(inputs, stored_mean, stored_variance):
    means = inputs.mean((2, 3))
    variances = inputs.var((2, 3), unbiased=False)
    return LayerStatistics(means, variances, stored_mean, stored_variance)
