"""Weights kept turned over: the same products, whatever was written to the weights in between."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.functional import matmul
from minimodels.functional.matmul import product
from minimodels.functional.turned import TurnedWeights, turned
from minimodels.testing import tensors


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this build of PyTorch carries no MKL")
@given(m=st.integers(1, 19), n=st.integers(2, 9), k=st.integers(2, 9), biased=st.booleans(), data=st.data())
def test_products_are_the_same_before_and_after_the_weight_is_written_to(m, n, k, biased, data):
    a, weight, *bias = (data.draw(tensors(shape)).float() for shape in ((m, k), (k, n), *([(n,)] if biased else [])))
    weight, weights = weight.contiguous(), TurnedWeights(room=n * k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "onednn_is_faster", lambda: False)
        patch.setattr(matmul, "BEYOND_CACHE", 1)
        patch.setattr(matmul, "SLICE", 2)
        patch.setattr(matmul, "THIN", 3)
        for _ in range(2):
            expected = a @ weight + (bias[0] if biased else 0)
            for _ in range(2):
                with weights.in_use():
                    torch.testing.assert_close(product(a, weight.t(), *bias), expected)
            weight.mul_(2)
    assert len(weights._kept) == (2 <= m <= 16)


def test_a_copy_is_made_once_and_anew_when_the_weight_was_written_to():
    weights, weight = TurnedWeights(room=6), torch.randn(2, 3)
    copy = weights.of(weight.t())
    assert copy.is_contiguous()
    assert weights.of(weight.t()) is copy
    weight.zero_()
    assert not weights.of(weight.t()).any()


def test_beyond_its_room_a_weight_stays_as_it_is():
    weights, large, small = TurnedWeights(room=6), torch.randn(2, 4), torch.randn(2, 3)
    assert weights.of(large.t()).data_ptr() == large.data_ptr()
    assert weights.of(small.t()).is_contiguous()
    assert not weights.of(torch.randn(2, 3).t()).is_contiguous()


def test_they_serve_their_block_and_their_thread_alone():
    weight, seen = torch.randn(2, 3).t(), []
    with TurnedWeights(room=6).in_use():
        assert turned(weight).is_contiguous()
        thread = threading.Thread(target=lambda: seen.append(turned(weight)))
        thread.start()
        thread.join()
        with TurnedWeights(room=0).in_use():
            assert turned(weight) is weight
        assert turned(weight).is_contiguous()
    assert turned(weight) is weight
    assert seen[0] is weight


def test_a_weight_that_does_not_count_what_is_written_to_it_is_not_turned():
    with torch.inference_mode():
        weight = torch.randn(2, 3).t()
    assert TurnedWeights(room=6).of(weight) is weight
