"""The loop refuses a teacher in training mode."""

import pytest

from dfkd.models import build
from tests.support.tiny import SPEC, make_loop


@pytest.mark.parametrize(("module", "named"), [("", "it is"), ("bn1", "its module bn1 is")])
def test_teacher_in_training_mode_is_refused(module, named):
    teacher = build("resnet20", SPEC, 10).eval()
    teacher.get_submodule(module).training = True
    with pytest.raises(ValueError, match=f"^teacher CifarResNet: {named} in training mode"):
        make_loop(teacher=teacher)


def test_teacher_in_eval_mode_is_accepted():
    make_loop(teacher=build("resnet20", SPEC, 10).eval())
