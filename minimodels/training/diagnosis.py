"""Where a loss that is NaN or infinite comes from: the first datum, weight or layer to blame.

All that is given is a part of a sentence, to stand in "the loss is nan by step 12: ...; lower the learning rate".
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minimodels.checkpoint.tensors import plain
from minimodels.training.finiteness import INFINITY, NAN, Look, look, tensors_in


def blame_forward(model: nn.Module, inputs: Sequence[Any], inside: str = "") -> str:
    """Run a batch again that gave a loss which is not finite, and say where it first went wrong.

    To blame is the first of these that is found: the data, where they are not finite; the weights of the first module,
    in the order of execution, that turns finite inputs into something else; that module itself, the innermost one; or
    the loss, if all modules give finite numbers. Infinity often comes some layers before the first NaN, which is ∞ − ∞
    or 0·∞: then both are named. What goes wrong inside of a module whose output is finite does not count, and neither
    does a mask among the inputs, which is made of 0 and −∞.

    The pass is made without gradients, in the modes that the modules are in, on copies of the inputs and the buffers,
    without a compiler, and leaves the random numbers where they were. It never raises: if the model fails, that is
    what is said. Call it under the autocast of training, as 16 bits overflow where 32 do not.

    Args:
        model: takes the inputs; a module that gives (outputs, loss) is the best, as then the loss is watched too. In a
            process group all processes have to call, as a sharded model talks to the others.
        inputs: the batch, as it is given to the model.
        inside: the name of a part of the model, to be left out of the names of the layers that are in it.

    Cost: a forward pass, a copy of inputs and buffers, and two numbers read from the device for every tensor that goes
        into or comes out of a module.

    See: tests/training/test_diagnosis.py

    Example:
        >>> from minimodels import nn
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        >>> _ = model[0].weight.data.fill_(1e38)
        >>> blame_forward(model[:1], [torch.full((1, 2), 9.0)])
        'the first layer to give infinity is 0 (Linear), from finite inputs up to 9 and weights up to 1e+38'
        >>> blame_forward(model, [torch.tensor([[1.0, torch.nan]])])
        'the data hold NaN, tensor 1 of the batch first at [0, 1]'
        >>> _ = model[1].bias.data.fill_(torch.nan)
        >>> blame_forward(model, [torch.ones(1, 2)])
        'the first layer to give NaN is 1 (Linear), whose 1.bias holds NaN already'
    """
    data = _told(lambda: _of_data(inputs))
    layers = _told(lambda: _of_layers(plain(model), inputs, inside))  # whatever the data: others may wait for this pass
    return data or layers


def blame_backward(model: nn.Module, inside: str = "") -> str:
    """Name the first parameter, on the way back through the model, whose gradient is not finite.

    The way back is the reverse of the order in which the parameters are registered, as a rule that of the forward pass.

    Args:
        model: after a backward pass.
        inside: the name of a part of the model, to be left out of the names of its parameters.

    See: tests/training/test_diagnosis.py

    Example:
        >>> layer = nn.ParameterDict({"weight": torch.zeros(1)})
        >>> layer["weight"].sqrt().sum().backward()
        >>> blame_backward(layer)
        'the first gradient with infinity on the way back is that of weight'
    """
    return _told(lambda: _of_gradients(plain(model), inside))


class _Finding(NamedTuple):
    """A module that gave something that is not finite, from inputs that were."""

    name: str
    module: nn.Module
    inputs: Look
    flaw: str


def _told(find: Callable[[], str]) -> str:
    """What is found, or that looking for it failed: what failed in training may fail again, and in any way at all."""
    try:
        with torch.no_grad():
            return find()
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return f"where it began cannot be told, as looking for it failed ({reason})"


def _of_data(inputs: Sequence[Any]) -> str:
    """What is wrong with the batch."""
    for number, part in enumerate(inputs, start=1):
        for tensor in tensors_in(part):
            seen = look(tensor, masks=True)
            if seen.flaw:
                wrong = tensor.isnan() if seen.flaw == NAN else tensor.isinf()
                return f"the data hold {seen.flaw}, tensor {number} of the batch first at {wrong.nonzero()[0].tolist()}"
    return ""


def _of_gradients(model: nn.Module, inside: str) -> str:
    """What is wrong with the gradients."""
    largest = 0.0
    for name, parameter in reversed(list(model.named_parameters())):
        seen = look(parameter.grad)
        if seen.flaw:
            return f"the first gradient with {seen.flaw} on the way back is that of {name.removeprefix(f'{inside}.')}"
        largest = max(largest, seen.largest)
    return f"all gradients are finite, up to {largest:.3g}"


def _of_layers(model: nn.Module, inputs: Sequence[Any], inside: str) -> str:
    """What is wrong with the model or the loss."""
    findings: list[_Finding] = []
    with _untouched(model, inputs), _watched(model, inside, findings):
        copies = [part.clone() if isinstance(part, Tensor) else part for part in inputs]
        buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
        outputs = torch.func.functional_call(model, buffers, tuple(copies))
    if not findings:
        return _of_chance(outputs)
    source = next((finding for finding in findings if not finding.inputs.flaw), findings[-1])
    worse = next((finding for finding in findings if finding.flaw == NAN), source)
    if worse is not source:  # infinity came up in one place and became NaN in another
        also = f", and the first to give {NAN} is {_place(worse)}"
        return f"the first layer to give {INFINITY} is {_place(source)}, {_cause(source)}{also}"
    rest = look([tensor for tensor in tensors_in(outputs) if tensor.dim() > 0])
    if source.module is model and not rest.flaw and not _bad_weight(source):
        size = f", up to {rest.largest:.3g}" if rest.some else ""  # an object of one's own is not looked into
        return f"all layers give finite numbers{size}, and the loss itself is {source.flaw}"
    return f"the first layer to give {source.flaw} is {_place(source)}, {_cause(source)}"


def _of_chance(outputs: Any) -> str:
    """What is said when the second pass is finite: with a loss in it that was chance, otherwise the loss is left."""
    seen = f"finite numbers, up to {look(outputs).largest:.3g}"
    if any(tensor.dim() == 0 for tensor in tensors_in(outputs)):
        return f"the same batch gives {seen}, when it is run again, so that chance has a part in it, such as dropout"
    return f"all layers give {seen}, so that the loss itself is to blame"


def _place(finding: _Finding) -> str:
    """Which module it is, and whether it calls others, which are then not to blame."""
    kind = type(finding.module).__name__
    where = f"{finding.name} ({kind})" if finding.name else f"the model itself ({kind})"
    return f"{where} between its layers" if any(True for _ in finding.module.children()) else where


def _cause(finding: _Finding) -> str:
    """What it had to work with."""
    bad = _bad_weight(finding)
    if bad:
        return bad
    weights = look(list(finding.module.parameters(recurse=False)))
    parts = {"inputs": finding.inputs, "weights": weights}
    sizes = [f"{what} up to {seen.largest:.3g}" for what, seen in parts.items() if seen.some]
    return f"from finite {' and '.join(sizes)}" if sizes else "from nothing that could be"


def _bad_weight(finding: _Finding) -> str:
    """The first of its weights and running statistics that is not finite, those of the layers in it included."""
    for named in (finding.module.named_parameters, finding.module.named_buffers):
        for name, weight in named(prefix=finding.name):
            flaw = look(weight, masks=not isinstance(weight, nn.Parameter)).flaw
            if flaw:
                return f"whose {name} holds {flaw} already"
    return ""


@contextmanager
def _watched(model: nn.Module, inside: str, findings: list[_Finding]) -> Iterator[None]:
    """Note the modules of a model that give something that is not finite, the innermost first, while it runs."""
    running: list[tuple[int, Look]] = []

    def enter(module: nn.Module, inputs: Any, named: Any) -> None:
        running.append((len(findings), look((inputs, named), masks=True)))

    def leave(name: str, module: nn.Module, outputs: Any) -> None:
        start, inputs = running.pop()
        flaw = look(outputs).flaw
        if not flaw:
            del findings[start:]  # whatever went wrong inside was put right there
        elif not inputs.flaw or (flaw, inputs.flaw) == (NAN, INFINITY):
            findings.append(_Finding(name, module, inputs, flaw))

    with ExitStack() as hooks:
        for path, module in model.named_modules():
            name = path.removeprefix(f"{inside}.")
            before = module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True)
            after = module.register_forward_hook(
                lambda module, _, outputs, name=name: leave(name, module, outputs), always_call=True
            )
            hooks.callback(before.remove)
            hooks.callback(after.remove)
        yield


@contextmanager
def _untouched(model: nn.Module, inputs: Sequence[Any]) -> Iterator[None]:
    """No compiled code, which does not hear of hooks, and the random numbers of before afterwards."""
    tensors = [*model.parameters(), *model.buffers(), *(part for part in inputs if isinstance(part, Tensor))]
    cards = {tensor.device for tensor in tensors if tensor.device.type == "cuda"}
    compiling = "torch._dynamo" in sys.modules  # asking a compiler to stand back that nobody called would load it
    eager = torch.compiler.set_stance("force_eager") if compiling else nullcontext()
    with eager, torch.random.fork_rng(sorted(cards, key=str)):
        yield
