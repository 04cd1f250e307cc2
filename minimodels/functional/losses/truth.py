"""What the right answers are: a distribution q over the classes of each place, scaled by what the place counts.

Cross-entropy is ℓ = −Σ_c q_c · log softmax(x)_c, so all its variants differ in q alone. A class index y gives one
peak; label smoothing ε adds a floor under all classes; class weights w scale both: q = (1 − ε)·w_y·onehot(y) + (ε/C)·w.
A distribution t as target gives q = w·((1 − ε)·t + ε/C). Neither is ever written out for more than a few rows.

Scores are seen as [N, C, D] here: rows, classes, and all further dimensions in one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from minimodels.functional.precision import accumulator


@dataclass(frozen=True, eq=False)
class Indices:
    """One right class a place.

    Args:
        index: y, the class; any class where it is ignored.
        counted: where it is not ignored.
        peak: (1 − ε)·w_y, zero where ignored.
        floor: (ε/C)·w; None without smoothing.

    Shape:
        - index, counted, peak: [N, D]; floor: [C, 1]
    """

    index: Tensor
    counted: Tensor
    peak: Tensor
    floor: Tensor | None

    def parts(self) -> tuple[Callable[..., "Indices"], tuple[Tensor | None, ...]]:
        """Take q apart for a backward pass: how it is put together again, and the tensors to be kept."""
        return Indices, (self.index, self.counted, self.peak, self.floor)

    def rows(self, start: int, stop: int) -> "Indices":
        """Take some of the rows.

        Args:
            start: the first.
            stop: the one after the last.
        """
        index, counted, peak = (t[start:stop] for t in (self.index, self.counted, self.peak))
        return replace(self, index=index, counted=counted, peak=peak)

    def mass(self) -> Tensor:
        """Add q up: Σ_c q_c, [N, D]."""
        return self.peak if self.floor is None else self.peak + self.floor.sum() * self.counted

    def expectation(self, values: Tensor) -> Tensor:
        """Weigh numbers by q: Σ_c q_c · v_c, [N, D]; 0 where ignored, whatever the numbers.

        Args:
            values: v, [N, C, D].

        Raises:
            IndexError: a class index is not below C (on a CPU; on a GPU the kernel's own assertion fails).
        """
        found = self.peak * picked(values, 1, self.index)
        if self.floor is not None:
            found = found + (values * self.floor).sum(1)
        return found.where(self.counted, 0)

    def subtract_from_(self, values: Tensor, factor: Tensor) -> Tensor:
        """Take f·q away from numbers, in place.

        Args:
            values: [N, C, D].
            factor: f, [N, D].
        """
        if self.floor is not None:
            values.addcmul_(self.floor, (factor * self.counted).unsqueeze(1), value=-1)
        return values.scatter_add_(1, self.index.unsqueeze(1), (-self.peak * factor).unsqueeze(1))

    def written_out(self, classes: int) -> Tensor:
        """Give q itself, [N, C, D].

        Args:
            classes: C.
        """
        zeros = self.peak.new_zeros(len(self.peak), classes, self.peak.shape[1])
        q = zeros.scatter_add(1, self.index.unsqueeze(1), self.peak.unsqueeze(1))
        return q if self.floor is None else q + self.floor * self.counted.unsqueeze(1)


@dataclass(frozen=True, eq=False)
class Distribution:
    """A distribution a place.

    Args:
        target: t.
        weight: w, or None for ones.
        smoothing: ε.

    Shape:
        - target: [N, C, D]; weight: [C, 1]
    """

    target: Tensor
    weight: Tensor | None
    smoothing: float

    def parts(self) -> tuple[Callable[..., "Distribution"], tuple[Tensor | None, ...]]:
        """Take q apart for a backward pass: how it is put together again, and the tensors to be kept."""
        return partial(Distribution, smoothing=self.smoothing), (self.target, self.weight)

    def rows(self, start: int, stop: int) -> "Distribution":
        """Take some of the rows.

        Args:
            start: the first.
            stop: the one after the last.
        """
        return replace(self, target=self.target[start:stop])

    def mass(self) -> Tensor:
        """Add q up: Σ_c q_c, [N, D]."""
        return self.written_out(self.target.shape[1]).sum(1)

    def expectation(self, values: Tensor) -> Tensor:
        """Weigh numbers by q: Σ_c q_c · v_c, [N, D].

        Args:
            values: v, [N, C, D].
        """
        return (values * self.written_out(values.shape[1])).sum(1)

    def subtract_from_(self, values: Tensor, factor: Tensor) -> Tensor:
        """Take f·q away from numbers, in place.

        Args:
            values: [N, C, D].
            factor: f, [N, D].
        """
        return values.addcmul_(self.written_out(values.shape[1]), factor.unsqueeze(1), value=-1)

    def written_out(self, classes: int) -> Tensor:
        """Give q itself, [N, C, D].

        Args:
            classes: C.
        """
        t = self.target
        if self.smoothing > 0:
            t = t * (1 - self.smoothing) + self.smoothing / classes
        return t if self.weight is None else t * self.weight


Truth = Indices | Distribution


def truth_of(
    target: Tensor,
    classes: int,
    weight: Tensor | None,
    ignore_index: int,
    smoothing: float,
    dtype: torch.dtype,
) -> Truth:
    """Say what q is.

    Args:
        target: indices, or a distribution: which of the two its number of dimensions says.
        classes: C.
        weight: w, or None.
        ignore_index: positions whose target is this index are ignored.
        smoothing: ε.
        dtype: the type to compute in.

    Shape:
        - target: [N, D] or [N, C, D]; weight: [C]
    """
    weight = None if weight is None else weight.to(dtype)
    if target.ndim == 3:
        return Distribution(target.to(dtype), None if weight is None else weight[:, None], smoothing)
    counted = target != ignore_index
    index = target.to(torch.int64).where(counted, 0)  # an ignored index may be out of range: read any class there
    peak = counted.to(dtype) if weight is None else weights_of(weight, index, counted)
    if smoothing == 0:
        return Indices(index, counted, peak, None)
    floor = torch.full((classes, 1), smoothing / classes, dtype=dtype, device=target.device)
    return Indices(index, counted, (1 - smoothing) * peak, floor if weight is None else floor * weight[:, None])


def total_weight(target: Tensor, weight: Tensor | None, ignore_index: int, places: tuple[int, ...]) -> Tensor:
    """Add up what the truths weigh, which a mean divides by; distributions weigh 1 each.

    Args:
        target: class indices, of the shape of the places, or distributions.
        weight: w, one number per class, or None.
        ignore_index: positions whose target is this index weigh nothing.
        places: the shape of the losses.

    Example:
        >>> total_weight(torch.tensor([1, 0, -100]), torch.tensor([1.0, 5.0]), -100, (3,))
        tensor(6.)
    """
    if target.shape != places:
        return torch.full((), float(math.prod(places)), device=target.device)
    counted = target != ignore_index
    if weight is None:
        return counted.sum()
    weight = weight.to(accumulator(weight.dtype))
    return weights_of(weight, target.to(torch.int64).where(counted, 0), counted).sum()


def weights_of(weight: Tensor, index: Tensor, counted: Tensor) -> Tensor:
    """Look the truths' weights up, 0 where they are ignored.

    Args:
        weight: w, one number per class.
        index: the true classes.
        counted: where they are not ignored.

    Example:
        >>> weights_of(torch.tensor([1.0, 5.0]), torch.tensor([1, 0]), torch.tensor([True, False]))
        tensor([5., 0.])
    """
    places = index.flatten()
    return picked(weight.expand(len(places), -1), 1, places).view_as(index).where(counted, 0)


def picked(values: Tensor, dim: int, index: Tensor) -> Tensor:
    """Read the number of the true class.

    Args:
        values: one number per class.
        dim: the dimension of the classes.
        index: the true classes, without that dimension.

    Raises:
        IndexError: a class index is not below C (on a CPU; on a GPU the kernel's own assertion fails).

    Example:
        >>> picked(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, torch.tensor([0, 1]))
        tensor([1., 4.])
    """
    try:
        return values.gather(dim, index.unsqueeze(dim)).squeeze(dim)
    except RuntimeError as error:  # shapes and types are checked, so an index is out of range
        classes = values.shape[dim]
        outside = index[(index < 0) | (index >= classes)].flatten()
        raise IndexError(f"Target {outside[0]} is out of bounds: there are {classes} classes.") from error
