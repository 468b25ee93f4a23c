"""The convolution of the passes compared with PyTorch's own gradients."""

import pytest
import torch

from caffe.layers import _fast_convolution
from caffe.layers._convolution import Window

ONE = (1, 1)


@pytest.mark.parametrize(
    "shape, outputs, window",
    [
        ((2, 5, 6, 7), 3, Window(ONE, ONE, (0, 0), ONE)),
        ((2, 16, 7, 9), 3, Window(ONE, (2, 3), (0, 0), ONE)),
        ((3, 4, 6, 7), 64, Window((3, 3), ONE, ONE, ONE)),
        ((3, 4, 9, 8), 66, Window((3, 2), (2, 1), (1, 0), (2, 3))),
        ((2, 1, 9, 8), 64, Window((5, 4), ONE, (2, 1), ONE)),
        ((1, 2, 2, 2), 65, Window((1, 2), ONE, (0, 1), ONE)),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1 << 26])
@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_gradients(shape, outputs, window, chunk, native, layout, monkeypatch):
    monkeypatch.setattr(_fast_convolution, "CHUNK_BYTES", chunk)
    if not native:
        without_kernels(monkeypatch)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn((outputs, shape[1], *window.kernel), generator=generator).requires_grad_()
    bias = torch.randn(outputs, generator=generator).requires_grad_()
    leaves = [tensor.detach().double().requires_grad_() for tensor in (x, weight, bias)]
    expected = torch.nn.functional.conv2d(*leaves, window.stride, window.pad, window.dilation)
    gradient = _fast_convolution.gradient(x.detach(), weight, window, expected.shape[2:], 1)
    assert gradient is not None
    top = _fast_convolution.apply(x, weight, bias, window, False, gradient)
    dy = torch.randn(top.shape, generator=generator).contiguous(memory_format=layout)
    torch.testing.assert_close(top.double(), expected, rtol=1e-5, atol=1e-5)
    found = torch.autograd.grad(top, (x, weight, bias), dy)
    for gradient, reference in zip(found, torch.autograd.grad(expected, leaves, dy.double())):
        torch.testing.assert_close(gradient.double(), reference, rtol=1e-5, atol=1e-4)
    assert found[1].is_contiguous()


def without_kernels(monkeypatch):
    monkeypatch.setattr(_fast_convolution.kernels, "is_supported", lambda x: False)


def test_few_outputs_of_a_large_kernel_are_left_to_onednn(monkeypatch):
    without_kernels(monkeypatch)
    x, out = torch.zeros(2, 8, 9, 9).contiguous(memory_format=torch.channels_last), (9, 9)
    window = Window((5, 5), ONE, (2, 2), ONE)
    assert not _fast_convolution.gradient(x, torch.zeros(32, 8, 5, 5), window, out, 1)
    assert not _fast_convolution.gradient(x, torch.zeros(64, 4, 5, 5), window, out, 2)
    assert not _fast_convolution.gradient(x.contiguous(), torch.zeros(64, 8, 5, 5), window, out, 1)
    assert _fast_convolution.gradient(x, torch.zeros(64, 8, 5, 5), window, out, 1)


def test_kernel_is_for_few_weights_and_no_dilation():
    x, out = torch.zeros(2, 8, 9, 9).contiguous(memory_format=torch.channels_last), (9, 9)
    if not _fast_convolution.kernels.is_supported(x):
        pytest.skip("the kernels are not compiled")
    plain, dilated = Window((3, 3), ONE, ONE, ONE), Window((3, 3), ONE, (2, 2), (2, 2))
    by_kernel, by_gemm = _fast_convolution._by_kernel, _fast_convolution._by_gemm
    assert _fast_convolution.gradient(x, torch.zeros(4, 8, 3, 3), plain, out, 1) is by_kernel
    assert _fast_convolution.gradient(x, torch.zeros(1 << 14, 8, 3, 3), plain, out, 1) is by_gemm
    assert _fast_convolution.gradient(x, torch.zeros(64, 8, 3, 3), dilated, out, 1) is by_gemm
    assert _fast_convolution.gradient(x, torch.zeros(4, 8, 3, 3), dilated, out, 1) is None
    assert _fast_convolution.gradient(x, torch.zeros(4, 8, 1, 1), Window(ONE, ONE, (0, 0), ONE), out, 1) is by_gemm
