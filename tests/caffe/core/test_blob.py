"""Blob: arrays that stay live, results bound or copied in, shapes, memory shared and outlived."""

import gc

import numpy as np
import pytest
import torch

from caffe.core.blob import Blob
from caffe.errors import CaffeError


def test_a_fresh_blob_is_zero_and_float32():
    blob = Blob((2, 3))
    for array in (blob.data, blob.diff):
        assert array.shape == (2, 3) and array.dtype == np.float32 and (array == 0).all()
    assert Blob().shape == () and Blob().data.shape == () and Blob().count == 1


def test_numpy_and_torch_see_one_memory():
    blob = Blob((2, 3))
    blob.data[0, 1], blob.diff[1, 2] = 5, 7
    assert blob.tensor[0, 1] == 5 and blob.grad[1, 2] == 7
    blob.tensor[1, 0], blob.grad[0, 0] = 6, 8
    assert blob.data[1, 0] == 6 and blob.diff[0, 0] == 8


@pytest.mark.parametrize("half", ["data", "diff"])
def test_a_held_view_shows_the_next_result(half):
    blob = Blob((2, 2))
    put = blob.set if half == "data" else blob.set_grad
    view = getattr(blob, half)
    part = view[1]
    del view
    for value in (1.0, 2.0):
        result = torch.full((2, 2), value)
        put(result)
        assert (part == value).all() and np.shares_memory(part, getattr(blob, half))
        result.fill_(-1)  # the layer's own memory is not the blob's
        assert (part == value).all()


def test_without_a_view_the_result_is_bound_not_copied():
    blob = Blob((2, 2))
    assert (blob.data == 0).all()  # a look that nobody keeps
    gc.collect()
    result = torch.ones(2, 2)
    blob.set(result)
    assert not blob.has_live_view and blob.tensor.data_ptr() == result.data_ptr()


def test_a_result_of_another_shape_takes_new_memory():
    blob = Blob((2, 2))
    view = blob.data
    view[...] = 3
    blob.set(torch.ones(4, 1))
    assert blob.shape == (4, 1) and (blob.data == 1).all() and (view == 3).all()


def test_other_layouts_and_types_read_as_caffe_has_them():
    blob = Blob((1, 2, 3, 4))
    values = torch.arange(24, dtype=torch.float32).reshape(1, 2, 3, 4)
    blob.set(values.contiguous(memory_format=torch.channels_last))
    assert np.array_equal(blob.data, values.numpy()) and blob.data.flags.c_contiguous
    blob.set(values.to(torch.bfloat16))
    blob.data[0, 0, 0, 0] = 9
    assert blob.data.dtype == np.float32 and blob.tensor[0, 0, 0, 0] == 9


def test_reshape_keeps_what_fits():
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
def test_shapes_that_are_refused(shape):
    with pytest.raises(CaffeError, match="refused"):
        Blob(shape)
    with pytest.raises(CaffeError, match="refused"):
        Blob((1,)).reshape(*shape)


def test_a_view_of_another_shape_shares_data_and_diff_for_good():
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


def test_shared_data_has_diffs_of_its_own():
    owner, other = Blob((3,)), Blob((3,))
    other.share_data(owner)
    owner.data[...], owner.diff[...] = 4, 5
    assert (other.data == 4).all() and (other.diff == 0).all()
    owner.set(torch.ones(3))
    assert (other.data == 1).all()


def test_diffs_add_up_until_they_are_cleared():
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


def test_filling_waits_for_the_first_look_and_gives_way_to_an_assignment():
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


def test_deferred_work_is_done_at_the_first_look():
    blob = Blob((2,))
    blob.set(torch.tensor([-1.0, 2.0]))
    blob.set_pending(torch.relu)
    assert torch.equal(blob.pending_tensor, torch.tensor([-1.0, 2.0]))
    assert np.array_equal(blob.data, [0, 2]) and blob.pending_tensor is None
    blob.set_grad(torch.tensor([1.0, 1.0]))
    blob.defer_grad(lambda grad: grad * 3)
    blob.set_grad(torch.tensor([5.0, 5.0]))  # replaced before anybody looked
    assert np.array_equal(blob.diff, [5, 5])


def test_a_learnt_blob_is_written_like_any_other():
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
    np.ones(100000)  # something that might take the memory
    assert (view == 6).all()
