"""Check that the teacher is in eval mode."""

from torch import nn


def require_eval_mode(teacher: nn.Module) -> None:
    """Check that no module of the teacher is in training mode.

    In training mode, an image's logits depend on the rest of the batch or on random numbers.

    Raises:
        ValueError: If a module is. The message names it.
    """
    training = next((name for name, module in teacher.named_modules() if module.training), None)
    if training is not None:
        where = f"its module {training}" if training else "it"
        raise ValueError(
            f"teacher {type(teacher).__name__}: {where} is in training mode, not in eval mode; "
            "call teacher.eval() first"
        )
