"""Compiled and reference kernels of the fake-quantizers."""

import nncf
import pytest
import torch
from nncf.torch.quantization import extensions, quantize_functions
from nncf.torch.quantization.reference import ReferenceQuantizedFunctions

from base.errors import InputError
from pipeline.quantization import quantizer_kernels
from pipeline.quantization.fake_quantizers import prepare
from pipeline.quantization.quantizer_kernels import use_kernels
from pipeline.quantization.scheme import Scheme
from tests.pipeline.quantization.test_fake_quantizers import network


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.server
def test_failed_kernel_build_is_an_error(monkeypatch, images):
    class NoCompiler:
        def get(self, name):
            return getattr(ReferenceQuantizedFunctions, name)

    monkeypatch.setattr(extensions, "QuantizedFunctionsCPU", NoCompiler())
    with pytest.raises(InputError, match=r"C\+\+ compiler"):
        prepare(network(), images, Scheme())


@pytest.mark.server
def test_reference_kernels_compute_the_same(images, monkeypatch):
    monkeypatch.setattr(quantize_functions, "QuantizedFunctionsCPU", None)
    slow = prepare(network(), images, Scheme(kernels="reference"))
    assert isinstance(quantize_functions.QuantizedFunctionsCPU, quantizer_kernels._ReferenceKernels)
    by_reference, gradients = slow(images), []
    for kernels in ("reference", "compiled"):
        use_kernels(torch.device("cpu"), kernels)
        slow.zero_grad()
        slow(images).square().sum().backward()
        gradients.append([p.grad.clone() for p in slow.parameters() if p.grad is not None])
    torch.testing.assert_close(slow(images), by_reference, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-2, rtol=1e-2)


def test_cuda_without_compiler_is_an_error_that_names_the_setting(monkeypatch):
    class NoNvcc:
        def get(self, name):
            raise nncf.InstallationError("no nvcc")

    monkeypatch.setattr(extensions, "QuantizedFunctionsCUDA", NoNvcc())
    monkeypatch.setattr(quantize_functions, "QuantizedFunctionsCUDA", NoNvcc())
    with pytest.raises(InputError, match=r"quantize\.kernels: reference"):
        use_kernels(torch.device("cuda"), "compiled")


def test_lock_of_an_interrupted_build_is_deleted_before_the_next_build(monkeypatch, tmp_path):
    """Torch waits for such a lock, however new it is."""
    (tmp_path / "lock").touch()

    class Built:
        def get(self, name):
            assert not (tmp_path / "lock").exists()
            return object()

    loader = extensions.QuantizedFunctionsCPULoader
    monkeypatch.setattr(loader, "get_build_dir", classmethod(lambda _: str(tmp_path)))
    monkeypatch.setattr(extensions, "QuantizedFunctionsCPU", Built())
    monkeypatch.setattr(quantize_functions, "QuantizedFunctionsCPU", None)
    use_kernels(torch.device("cpu"), "compiled")
    assert [path.name for path in tmp_path.parent.glob(f"{tmp_path.name}.building")] == []
