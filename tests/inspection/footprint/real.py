"""Real runs of small GPT-2s, watched from outside: what they keep, how much memory they take, what they send."""

import weakref
from collections import Counter
from contextlib import nullcontext

import torch
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import init_device_mesh
from torch.nn.parallel import DistributedDataParallel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

from minimodels.inspection.footprint import Setup
from minimodels.models import GPT2Config, GPT2LMHeadModel
from minimodels.recipes.gpt_model import Guessing


class Objective(torch.nn.Module):
    """A model and its loss, as a GPT is trained here."""

    def __init__(self, setup):
        super().__init__()
        self.guessing = Guessing(GPT2LMHeadModel(setup.config))
        for block in self.blocks if setup.recompute else ():
            block.forward = recomputing(block.forward)

    @property
    def blocks(self):
        return self.guessing.model.transformer.h

    def forward(self, tokens, targets):
        guess = self.guessing(tokens)
        return guess, guess.surprise(targets)


def recomputing(forward):
    return lambda *inputs: checkpoint(forward, *inputs, use_reentrant=False, preserve_rng_state=False)


def config(dropout=0.0, **sizes):
    return GPT2Config(resid_pdrop=dropout, embd_pdrop=dropout, attn_pdrop=dropout, **sizes)


def batch(setup):
    """Tokens and, in memory of their own, targets."""
    return torch.randint(setup.config.vocab_size, (2, setup.batch, setup.tokens)).clone().unbind()


def autocast(setup):
    return nullcontext() if setup.precision == "float32" else torch.autocast("cpu", getattr(torch, setup.precision))


def is_parameter(tensor):
    return isinstance(tensor, torch.nn.Parameter) or isinstance(tensor._base, torch.nn.Parameter)


def kept(setup, objective=None):
    """Bytes of all memory that a forward pass keeps for the backward pass, parameters aside."""
    objective = objective or Objective(setup)
    storages = {}

    def pack(tensor):
        if not is_parameter(tensor):
            storage = tensor.untyped_storage()
            storages[id(storage)] = storage
        return tensor

    tokens, targets = (part.clone() for part in batch(setup))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast(setup):
        _, loss = objective(tokens, targets)
    total = sum(storage.nbytes() for storage in storages.values())
    loss.backward()
    return total


class Watch(TorchDispatchMode):
    """Counts the bytes of all memory that operations give out, for as long as somebody holds it."""

    def __init__(self):
        super().__init__()
        self.now = self.most = self.total = 0
        self.alive = {}

    def see(self, tensor):
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self.alive:
            return

        def gone(_):
            self.now -= size
            self.alive.pop(key, None)

        self.alive[key] = weakref.ref(storage, gone)
        self.now += size
        self.most = max(self.most, self.now)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self.see(tensor)
        return result


class WatchChanging(Watch):
    """The same where memory is let go and taken again under a tensor that stays, as FSDP2 does: sums up every time."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = super().__torch_dispatch__(function, types, args, kwargs)
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor):
                self.see(tensor)
        held = [reference() for reference in list(self.alive.values())]  # a copy: the collector may come in between
        self.total = max(self.total, sum(storage.nbytes() for storage in held if storage is not None))
        return result


def peak(setup):
    """The most bytes that are there during the passes of a step."""
    objective = Objective(setup)
    with Watch() as watch:
        for parameter in objective.parameters():
            watch.see(parameter)
        passes(setup, objective)
    return watch.most


def passes(setup, objective):
    """The passes of a step; like the loop, it holds what comes out of the model until the pass is over."""
    for passed in range(1, setup.passes + 1):
        if setup.sharded:
            objective.set_requires_gradient_sync(passed == setup.passes)
        with autocast(setup):
            guess, loss = objective(*batch(setup))
        loss.backward()
        del guess, loss


class Exchanged(TorchDispatchMode):
    """Counts collective operations, and the bytes that they sum or gather, as each process sees them whole."""

    def __init__(self):
        super().__init__()
        self.calls, self.bytes = Counter(), Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.namespace == "c10d":
            whole = max(t.nbytes for t in tree_leaves(args) if isinstance(t, torch.Tensor))
            self.calls[function._opname] += 1
            self.bytes[function._opname] += whole
        return function(*args, **(kwargs or {}))


def sharded(setup):
    """In each process: bytes kept, numbers of its shards, bytes of their gradients, what a step sends, and its peak."""
    objective = Objective(setup)
    options = {"mesh": init_device_mesh("cpu", (setup.devices,))}
    if setup.precision == "bfloat16":
        options["mp_policy"] = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    for block in objective.blocks:
        fully_shard(block, reshard_after_forward=setup.reshard, **options)
    fully_shard(objective, **options)
    bytes_kept = kept(setup, objective)
    with Exchanged() as exchanged:
        passes(setup, objective)
    numbers = [parameter.to_local().numel() for parameter in objective.parameters()]
    gradients = [parameter.grad.to_local().nbytes for parameter in objective.parameters()]
    objective.zero_grad()
    with WatchChanging() as watch:
        for parameter in objective.parameters():
            watch.see(parameter.to_local())
        passes(setup, objective)
    return bytes_kept, numbers, gradients, dict(exchanged.calls), dict(exchanged.bytes), watch.total


def averaged(config, most):
    """In each process: bytes of the buckets that DistributedDataParallel averages in its third step."""
    setup = Setup(config=config, precision="float32", devices=2, context=2)
    objective = DistributedDataParallel(Objective(setup), bucket_cap_mb=most and most / (1 << 20))
    seen = []

    def hook(_, bucket):
        seen.append(bucket.buffer().nbytes)
        done = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    objective.register_comm_hook(None, hook)
    for _ in range(3):
        seen.clear()
        objective(*batch(setup))[1].backward()
    return seen


def together(setups, configs):
    """Everything of two processes, in one spawn."""
    return [sharded(setup) for setup in setups], [averaged(*which) for which in configs]
