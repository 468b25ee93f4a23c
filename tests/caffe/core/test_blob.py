"""Blob: live arrays, binding and copying of results, shapes, shared memory, lifetimes."""

import gc

import numpy as np
import pytest
import torch

from caffe.core.blob import Blob
from caffe.errors import CaffeError


def test_new_blob_is_zero_and_float32():
    blob = Blob((2, 3))
    for array in (blob.data, blob.diff):
        assert array.shape == (2, 3) and array.dtype == np.float32 and (array == 0).all()
    assert Blob().shape == () and Blob().data.shape == () and Blob().count == 1


def test_numpy_and_torch_share_memory():
    blob = Blob((2, 3))
    blob.data[0, 1], blob.diff[1, 2] = 5, 7
    assert blob.tensor[0, 1] == 5 and blob.grad[1, 2] == 7
    blob.tensor[1, 0], blob.grad[0, 0] = 6, 8
    assert blob.data[1, 0] == 6 and blob.diff[0, 0] == 8


@pytest.mark.parametrize("attribute", ["data", "diff"])
def test_live_view_shows_the_next_result(attribute):
    blob = Blob((2, 2))
    bind = blob.set if attribute == "data" else blob.set_grad
    view = getattr(blob, attribute)
    part = view[1]
    del view
    for value in (1.0, 2.0):
        result = torch.full((2, 2), value)
        bind(result)
        assert (part == value).all() and np.shares_memory(part, getattr(blob, attribute))
        result.fill_(-1)  # the layer's own memory is not the blob's
        assert (part == value).all()


def test_result_is_bound_without_copy_if_no_view_is_alive():
    blob = Blob((2, 2))
    assert (blob.data == 0).all()  # this view is not kept
    gc.collect()
    result = torch.ones(2, 2)
    blob.set(result)
    assert not blob.has_live_view and blob.tensor.data_ptr() == result.data_ptr()


def test_result_of_another_shape_uses_new_memory():
    blob = Blob((2, 2))
    view = blob.data
    view[...] = 3
    blob.set(torch.ones(4, 1))
    assert blob.shape == (4, 1) and (blob.data == 1).all() and (view == 3).all()


def test_channels_last_and_bfloat16_results_read_as_contiguous_float32():
    blob = Blob((1, 2, 3, 4))
    values = torch.arange(24, dtype=torch.float32).reshape(1, 2, 3, 4)
    blob.set(values.contiguous(memory_format=torch.channels_last))
    assert np.array_equal(blob.data, values.numpy()) and blob.data.flags.c_contiguous
    blob.set(values.to(torch.bfloat16))
    blob.data[0, 0, 0, 0] = 9
    assert blob.data.dtype == np.float32 and blob.tensor[0, 0, 0, 0] == 9


def test_reshape_keeps_values_of_equal_count():
    blob = Blob((2, 6))
    view = blob.data
    view[...] = np.arange(12).reshape(2, 6)
    blob.reshape(3, 4)
    assert blob.data.shape == (3, 4) and np.array_equal(blob.data.ravel(), np.arange(12))
    view[0, 0] = 100
    assert blob.data[0, 0] == 100  # still the same memory
    blob.reshape(5)
    assert blob.data.shape == blob.diff.shape == (5,) and (blob.data == 0).all()
    assert view[0, 0] == 100


def test_legacy_axes():
    assert [Blob((2, 3)).num, Blob((2, 3)).channels, Blob((2, 3)).height, Blob((2, 3)).width] == [2, 3, 1, 1]
    assert Blob((2, 3, 4, 5)).width == 5 and Blob().num == 1
    with pytest.raises(CaffeError, match="at most 4 axes"):
        _ = Blob((1, 2, 3, 4, 5)).num


@pytest.mark.parametrize("shape", [(-1, 3), (1,) * 33, (2**16, 2**16)])
def test_invalid_shapes_raise(shape):
    with pytest.raises(CaffeError, match="invalid blob shape"):
        Blob(shape)
    with pytest.raises(CaffeError, match="invalid blob shape"):
        Blob((1,)).reshape(*shape)


def test_view_of_another_shape_shares_data_and_diff():
    owner = Blob((2, 6))
    owner.data[...] = np.arange(12).reshape(2, 6)
    other = owner.view((3, 4))
    other.data[2, 3] = -1
    assert owner.data[1, 5] == -1
    other.add_grad(torch.ones(3, 4))
    owner.add_grad(torch.ones(2, 6))
    assert (owner.diff == 2).all() and (other.diff == 2).all()
    owner.clear_grad()
    assert (other.diff == 0).all()
    owner.assign(np.full((2, 6), 8))
    assert (other.data == 8).all()


def test_share_data_does_not_share_diffs():
    owner, other = Blob((3,)), Blob((3,))
    other.share_data(owner)
    owner.data[...], owner.diff[...] = 4, 5
    assert (other.data == 4).all() and (other.diff == 0).all()
    owner.set(torch.ones(3))
    assert (other.data == 1).all()


def test_diffs_accumulate_until_cleared():
    blob = Blob((2,))
    blob.add_grad(torch.tensor([1.0, 2.0]))
    view = blob.diff
    blob.add_grad(torch.tensor([1.0, 2.0]))
    assert np.array_equal(view, [2, 4])
    blob.clear_grad()
    assert np.array_equal(view, [0, 0]) and np.array_equal(blob.diff, [0, 0])
    del view
    gc.collect()
    blob.add_grad(torch.tensor([1.0, 2.0]))
    blob.clear_grad()
    assert np.array_equal(blob.diff, [0, 0])


def test_initializer_runs_on_first_access_unless_assigned():
    calls = []

    def fill(tensor):
        calls.append(tuple(tensor.shape))
        tensor.fill_(2)

    blob, assigned = Blob((2, 2)), Blob((3,))
    blob.set_initializer(fill)
    assigned.set_initializer(fill)
    assert calls == []
    assert (blob.data == 2).all() and (blob.tensor == 2).all() and calls == [(2, 2)]
    assigned.assign([1, 2, 3])
    assert np.array_equal(assigned.data, [1, 2, 3]) and calls == [(2, 2)]


def test_pending_functions_run_on_first_access():
    blob = Blob((2,))
    blob.set(torch.tensor([-1.0, 2.0]))
    blob.set_pending(torch.relu)
    assert torch.equal(blob.pending_tensor, torch.tensor([-1.0, 2.0]))
    assert np.array_equal(blob.data, [0, 2]) and blob.pending_tensor is None
    blob.set_grad(torch.tensor([1.0, 1.0]))
    blob.set_pending_grad(lambda grad: grad * 3)
    blob.set_grad(torch.tensor([5.0, 5.0]))  # replaced before the first access
    assert np.array_equal(blob.diff, [5, 5])


def test_blob_that_requires_grad_is_writable():
    blob = Blob((2,))
    blob.require_grad()
    blob.data[...] = 3
    blob.assign([1, 2])
    assert blob.tensor.requires_grad and np.array_equal(blob.data, [1, 2])


def test_arrays_outlive_their_blob():
    blob = Blob((1000,))
    blob.data[...] = 6
    view = blob.data[::2]
    del blob
    gc.collect()
    np.ones(100000)  # might reuse freed memory
    assert (view == 6).all()
