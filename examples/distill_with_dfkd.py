"""Distil a student from the MNIST teacher in `mnist_lenet5`, with `dfkd` as a library."""

from pathlib import Path

from safetensors.torch import load_file

import dfkd

spec = dfkd.ImageSpec(shape=(1, 32, 32), mean=(0.1307,), std=(0.3081,))
teacher = dfkd.build_network("lenet5", spec, classes=10)
teacher.load_state_dict(load_file(Path(__file__).parent / "mnist_lenet5" / "teacher.safetensors"))
student = dfkd.build_network("lenet5-half", spec, classes=10)
result = dfkd.distill(teacher, student, spec, classes=10, recipe="house", budget=800)
print(f"student loss {result.losses()[0]:.3f} -> {result.losses()[-1]:.3f}, {result.counts}")
