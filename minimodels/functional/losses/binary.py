"""Losses of yes-or-no questions: cross-entropy with two answers, each place a question of its own."""

import torch
from torch import Tensor

from minimodels.functional.losses.elementwise import Rule, elementwise_loss
from minimodels.functional.losses.reduction import chosen_reduction
from minimodels.functional.precision import autocast_to_float32
from minimodels.functional.transforms import plain_autograd


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Measure the surprise at yes-or-no answers: ℓ = −w·(t·log x + (1 − t)·log(1 − x)), logarithms at least −100.

    The bound keeps a sure and wrong answer from an infinite loss; the derivative w·(x − t)/(x·(1 − x)) is bounded
    likewise, its denominator at least 10⁻¹². Where scores are at hand, `binary_cross_entropy_with_logits` is exact.

    Args:
        input: x, probabilities of yes.
        target: t, the truths, between 0 and 1.
        weight: w, broadcast to the input.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".

    Shape:
        - input: [*]; target: [*]; weight: what broadcasts to [*]
        - Output: [*] for "none", else []

    Raises:
        ValueError: input and target differ in shape, or the reduction is unknown.
        RuntimeError: a number is not between 0 and 1 (seen on a CPU), dtypes differ, the weight does not broadcast,
            or autocast is on where it would run in float16 (CUDA).
        NotImplementedError: the numbers are integers or complex.

    Cost: two logarithms per element; keeps nothing beyond its operands.

    References: Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x (logarithmic score).

    See: `minimodels.nn.BCELoss`; tests/functional/losses/test_binary.py.

    Example:
        >>> binary_cross_entropy(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
        tensor(0.6931)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}) "
            "is deprecated. Please ensure they have the same size."
        )
    _refuse_unsafe_autocast(input)
    input, target = autocast_to_float32(input, input), autocast_to_float32(input, target)
    _check("binary_cross_entropy", input, target)
    _check_probabilities(input, target)
    weights = [] if weight is None else [_fitting(input, weight)]
    return elementwise_loss(_PROBABILITIES, reduction, input, target, *weights)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Measure the surprise at yes-or-no answers given as scores: ℓ = −w·(p·t·log σ(x) + (1 − t)·log(1 − σ(x))).

    −log σ(x) = max(−x, 0) + log(1 + exp(−|x|)), in which nothing overflows and nothing cancels; the derivative is
    w·(σ(x)·(1 + (p − 1)·t) − p·t), without weights σ(x) − t.

    Args:
        input: x, scores (logits) of yes.
        target: t, the truths, between 0 and 1.
        weight: w, broadcast to the input.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        pos_weight: p, how much a yes weighs, against a no's 1; broadcast to the input.

    Shape:
        - input: [*]; target: [*]; weight, pos_weight: what broadcasts to [*]
        - Output: [*] for "none", else []; of the target's type

    Raises:
        ValueError: input and target differ in shape, or the reduction is unknown.
        RuntimeError: a weight does not broadcast, or the target is of integers.
        NotImplementedError: the scores are integers or complex.

    Cost: one exponential and one logarithm per element; keeps nothing beyond its operands.

    References: Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x (logistic regression).

    See: `minimodels.nn.BCEWithLogitsLoss`; tests/functional/losses/test_binary.py.

    Example:
        >>> binary_cross_entropy_with_logits(torch.tensor([0.0, 1000.0]), torch.tensor([1.0, 1.0]), reduction="none")
        tensor([0.6931, 0.0000])
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if target.size() != input.size():
        raise ValueError(f"Target size ({target.size()}) must be the same as input size ({input.size()})")
    if not input.is_floating_point():
        raise NotImplementedError(f'"binary_cross_entropy_with_logits" not implemented for {input.dtype}')
    if not target.is_floating_point():
        raise RuntimeError(f"a target of {target.dtype} cannot hold the loss: cast it to {input.dtype}")
    input, target = autocast_to_float32(input, input), autocast_to_float32(input, target)
    dtype = target.dtype
    target = target.to(input.dtype)
    weights = [_fitting(input, w) for w in (pos_weight, weight) if w is not None]
    rule = _rule_of_scores(pos_weight is not None, weight is not None)
    return elementwise_loss(rule, reduction, input, target, *weights).to(dtype)


def _log_bounded(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.log().clamp(min=-100), torch.log1p(-x).clamp(min=-100)


def _value_of_probability(x: Tensor, t: Tensor, w: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    yes, no = _log_bounded(x)
    loss = torch.sub(no * (t - 1), yes * t, out=out)
    return loss if w is None else torch.mul(loss, w, out=out)


def _slope_of_probability(x: Tensor, t: Tensor, w: Tensor | None = None, *, out: Tensor | None) -> Tensor:
    slope = torch.div(x - t, ((1 - x) * x).clamp(min=1e-12), out=out)
    return slope if w is None else torch.mul(slope, w, out=out)


def _slope_by_truth(x: Tensor, t: Tensor, w: Tensor | None = None, *, out: Tensor | None) -> Tensor:
    slope = torch.sub(torch.log1p(-x), x.log(), out=out)
    return slope if w is None else torch.mul(slope, w, out=out)


_PROBABILITIES = Rule(_value_of_probability, _value_of_probability, _slope_of_probability, _slope_by_truth)


def _rule_of_scores(has_p: bool, has_w: bool) -> Rule:
    """Build the rule for scores; weights follow the operands in the order p, w, as many of them as there are."""

    def split(weights: tuple[Tensor, ...]) -> tuple[Tensor | float, Tensor | float]:
        return weights[0] if has_p else 1.0, weights[-1] if has_w else 1.0

    def definition(x: Tensor, t: Tensor, *weights: Tensor) -> Tensor:
        p, w = split(weights)
        zero = x.new_zeros(())
        return w * (p * t * torch.logaddexp(zero, -x) + (1 - t) * torch.logaddexp(zero, x))

    def value(x: Tensor, t: Tensor, *weights: Tensor, out: Tensor | None) -> Tensor:
        p, w = split(weights)
        rest = torch.abs(x, out=out).neg_().exp_().log1p_()  # log(1 + exp(−|x|))
        if not has_p:
            loss = rest.add_((1 - t).mul_(x).sub_(x.clamp(max=0)))
        else:
            loss = (1 - t) * x + (1 + (p - 1) * t) * ((-x).clamp(min=0) + rest)
        return loss * w if has_w else loss

    def slope(x: Tensor, t: Tensor, *weights: Tensor, out: Tensor | None) -> Tensor:
        p, w = split(weights)
        sure = x.sigmoid()
        found = torch.sub(sure * (1 + (p - 1) * t), p * t, out=out) if has_p else torch.sub(sure, t, out=out)
        return torch.mul(found, w, out=out) if has_w else found

    def slope_by_target(x: Tensor, t: Tensor, *weights: Tensor, out: Tensor | None) -> Tensor:
        p, w = split(weights)
        found = torch.neg(x, out=out)
        if has_p:
            found = torch.add(found, (p - 1) * torch.logaddexp(x.new_zeros(()), -x), out=out)
        return torch.mul(found, w, out=out) if has_w else found

    return Rule(definition, value, slope, slope_by_target)


def _fitting(input: Tensor, weight: Tensor) -> Tensor:
    """Bring a weight to the input's type and see that it broadcasts to the input, not the input to it."""
    if torch.broadcast_shapes(input.shape, weight.shape) != input.shape:
        raise RuntimeError(f"a weight of shape {list(weight.shape)} does not broadcast to {list(input.shape)}")
    return weight.to(input.dtype).expand_as(input)


def _check(name: str, input: Tensor, target: Tensor) -> None:
    if target.dtype != input.dtype:
        raise RuntimeError(f"Found dtype {target.dtype} but expected {input.dtype}")
    if not input.is_floating_point():
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')


def _check_probabilities(input: Tensor, target: Tensor) -> None:
    """Look at the numbers as PyTorch does: on a CPU, where it costs no round trip, and outside of every transform."""
    if input.device.type != "cpu" or input.numel() == 0 or torch.compiler.is_compiling() or not plain_autograd():
        return
    if type(input) not in _PLAIN or type(target) not in _PLAIN:
        return
    for name, numbers in (("input", input.detach()), ("target", target.detach())):
        if not (numbers.amin().item() >= 0 and numbers.amax().item() <= 1):
            raise RuntimeError(f"all elements of {name} should be between 0 and 1")


_PLAIN = (Tensor, torch.nn.Parameter)  # a subclass (meta, fake, wrapped) may have no numbers to look at


def _refuse_unsafe_autocast(input: Tensor) -> None:
    device = input.device.type
    if device in ("cuda", "xpu") and torch.is_autocast_enabled(device):
        raise RuntimeError(
            "binary_cross_entropy and BCELoss are unsafe to autocast: probabilities of 16 bits are 0 or 1 too soon. "
            "Use binary_cross_entropy_with_logits or BCEWithLogitsLoss, which take scores."
        )
