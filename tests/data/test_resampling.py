"""Resampling: the matrices against PyTorch's kernels, and what a frame must leave unchanged."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as reference

from minimodels.data.resampling import BOX, area, bilinear, frame, place, resize
from minimodels.errors import InputError

SIDES = st.integers(1, 40)


def noise(*shape: int, seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@given(height=SIDES, width=SIDES, rows=SIDES, columns=SIDES, seed=st.integers(0, 1000))
def test_bilinear_is_that_of_torch(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    picture = noise(height, width, seed=seed)
    ours = bilinear(height, rows) @ picture @ bilinear(width, columns).T
    theirs = reference.interpolate(picture[None, None], (rows, columns), mode="bilinear", align_corners=False)[0, 0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@given(rows=st.integers(1, 12), columns=st.integers(1, 12), factor=st.integers(1, 7), seed=st.integers(0, 1000))
def test_area_at_whole_factors_is_average_pooling(rows: int, columns: int, factor: int, seed: int) -> None:
    picture = noise(rows * factor, columns * factor, seed=seed)
    ours = area(rows * factor, rows) @ picture @ area(columns * factor, columns).T
    torch.testing.assert_close(ours, reference.avg_pool2d(picture[None], factor)[0], rtol=0, atol=1e-5)


@given(inputs=SIDES, outputs=SIDES)
def test_rows_sum_to_one_so_that_a_plain_picture_stays_plain(inputs: int, outputs: int) -> None:
    for matrix in (bilinear(inputs, outputs), area(inputs, outputs)):
        assert matrix.shape == (outputs, inputs)
        assert (matrix >= 0).all()
        torch.testing.assert_close(matrix.sum(dim=1), torch.ones(outputs), rtol=0, atol=1e-5)


@given(inputs=SIDES, outputs=SIDES)
def test_area_lets_every_pixel_count_for_the_same(inputs: int, outputs: int) -> None:
    torch.testing.assert_close(area(inputs, outputs).sum(dim=0), torch.full((inputs,), outputs / inputs))


@given(side=SIDES)
def test_the_same_size_is_the_same_picture(side: int) -> None:
    assert torch.equal(bilinear(side, side), torch.eye(side))
    assert torch.equal(area(side, side), torch.eye(side))


def test_resize_averages_where_it_shrinks_and_interpolates_where_it_grows() -> None:
    pictures = noise(3, 1, 12, 5, seed=0)
    assert torch.equal(resize(pictures, 4, 9), area(12, 4) @ pictures @ bilinear(5, 9).T)


inks = st.builds(
    lambda height, width, seed: noise(height, width, seed=seed) + 0.01, st.integers(1, 60), st.integers(1, 60), SIDES
)


@given(ink=inks)
def test_a_frame_holds_the_digit_in_a_box_of_twenty(ink: Tensor) -> None:
    framed = frame(ink)
    assert framed.shape == (28, 28)
    assert framed.max() == 1
    assert framed.min() >= 0
    height, width = (int(framed.any(dim=axis).sum()) for axis in (1, 0))
    assert max(height, width) == BOX
    assert abs(min(height, width) - BOX * min(ink.shape) / max(ink.shape)) <= 1


@given(ink=inks, box=st.integers(1, 28))
def test_a_box_of_another_size(ink: Tensor, box: int) -> None:
    framed = frame(ink, box)
    assert framed.shape == (28, 28)
    height, width = (int(framed.any(dim=axis).sum()) for axis in (1, 0))
    assert max(height, width) == box
    assert abs(min(height, width) - box * min(ink.shape) / max(ink.shape)) <= 1


@given(long=st.just(28), short=st.integers(1, 28), wide=st.booleans(), seed=SIDES)
def test_a_box_of_the_whole_paper_is_centred_whatever_its_mass(long: int, short: int, wide: bool, seed: int) -> None:
    ink = noise(long, short, seed=seed).pow(8) + 1e-3
    before = (28 - short) // 2
    paper = reference.pad(ink / ink.max(), (before, 28 - short - before))
    assert torch.equal(frame(ink.T if wide else ink, 28), paper.T if wide else paper)


@pytest.mark.parametrize("box", [0, 29])
def test_a_box_that_is_no_part_of_the_paper_is_refused(box: int) -> None:
    with pytest.raises(InputError, match=f"box {box}: "):
        frame(torch.ones(3, 3), box)


@given(ink=inks, top=SIDES, bottom=SIDES, left=SIDES, right=SIDES, strength=st.floats(0.1, 9))
def test_margins_and_strength_do_not_matter(
    ink: Tensor, top: int, bottom: int, left: int, right: int, strength: float
) -> None:
    wider = reference.pad(ink, (left, right, top, bottom)) * strength
    torch.testing.assert_close(frame(wider), frame(ink), rtol=0, atol=1e-5)


@given(height=st.integers(1, 28), width=st.integers(1, 28), seed=st.integers(0, 1000))
def test_place_moves_the_centre_of_mass_to_pixel_14_and_loses_nothing(height: int, width: int, seed: int) -> None:
    digit = noise(height, width, seed=seed).pow(8) + 1e-3
    placed = place(digit)
    torch.testing.assert_close(placed.sum(), digit.sum() / digit.max())
    for axis in (0, 1):
        ink = placed.any(dim=1 - axis).nonzero()
        centre = (placed.sum(dim=1 - axis) @ torch.arange(28.0) / placed.sum()).item()
        assert abs(centre - 14) <= 0.5 + 1e-4 or ink[0] == 0 or ink[-1] == 27


def test_a_rounding_error_does_not_move_a_symmetric_digit_by_a_pixel() -> None:
    even, heavier_left, heavier_right = (torch.tensor([pair]) for pair in ([1, 1.0], [1, 1 - 1e-5], [1 - 1e-5, 1]))
    assert torch.equal(place(even) > 0, place(heavier_left) > 0)
    assert torch.equal(place(even) > 0, place(heavier_right) > 0)
