"""The two ways in which several processes share the training of one model.

DistributedDataParallel   every process holds the whole model; gradients are averaged
fully_shard (FSDP2)       every process holds 1/N of parameters, gradients and optimiser state, and fetches the
parameters of a block when it is their turn
"""

import sys
import warnings
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from minimodels.errors import InputError
from minimodels.training.distributed import World


def share(
    objective: nn.Module,
    optimizer: Optimizer | None,
    device: torch.device,
    precision: str,
    units: list[nn.Module],
    shard: bool,
) -> nn.Module:
    """The module by which the processes train together.

    Args:
        objective: (inputs, ..., targets) → (outputs, loss), on its device; sharded in place.
        optimizer: over its parameters; where they are sharded, it is given the shards instead.
        device: of this process.
        precision: in which a sharded block's parameters are fetched; gradients are summed in float32.
        units: the parts that are sharded, and fetched, one by one.
        shard: FSDP2 instead of DistributedDataParallel.

    Raises:
        InputError: float16 with `shard`.
    """
    if not shard:
        cards = [device] if device.type == "cuda" else None
        return DistributedDataParallel(objective, device_ids=cards, forward_sync_buffers=False)
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    if precision == "float16":
        raise InputError("precision float16 with shard: a sharded model needs the range of bfloat16; choose that.")
    policy = MixedPrecisionPolicy()
    if precision == "bfloat16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    # It warns of layers that give a view, which must not be written to; nobody writes to what a layer gives.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    before = dict(objective.named_parameters())
    for unit in [*units, objective]:
        fully_shard(unit, mesh=mesh, mp_policy=policy)
    if optimizer is not None:
        sharded = {id(before[name]): parameter for name, parameter in objective.named_parameters()}
        for group in optimizer.param_groups:
            group["params"] = [sharded.get(id(parameter), parameter) for parameter in group["params"]]
    return objective


def rearranges(objective: nn.Module) -> bool:
    """Whether the first backward pass sums gradients in another order than all later ones.

    DistributedDataParallel then learns in which order they come, and packs them anew. Three or more numbers have a sum
    that depends on their order in the last bit, so a run that goes on would differ there from one that never stopped.

    Args:
        objective: what `share` gave, or a module of a single process.

    Example:
        >>> rearranges(nn.Identity())
        False
    """
    return isinstance(objective, DistributedDataParallel)


def synchronizing(objective: nn.Module, wanted: bool) -> AbstractContextManager[object]:
    """The context of a backward pass, in which gradients are summed over the processes, or only gathered for later.

    Args:
        objective: what `share` gave, or a module of a single process.
        wanted: whether they are summed now: in the last of several passes.
    """
    if isinstance(objective, DistributedDataParallel):
        return nullcontext() if wanted else objective.no_sync()
    sharded = sys.modules.get("torch.distributed.fsdp")  # nothing is sharded where nobody has imported it
    if sharded is not None and isinstance(objective, sharded.FSDPModule):
        objective.set_requires_gradient_sync(wanted)
    return nullcontext()


def average_buffers(model: nn.Module, world: World) -> None:
    """Give all processes the mean of their floating-point buffers, such as the statistics of batch normalisation.

    Args:
        model: with buffers on its device.
        world: the processes.
    """
    if world.alone:  # asked first: it is called in every step, and the buffers are looked for all over the model
        return
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point() and buffer.numel()]
    if not buffers:
        return
    flat = torch.cat([buffer.detach().reshape(-1) for buffer in buffers])
    dist.all_reduce(flat)
    flat /= world.size
    for buffer, part in zip(buffers, flat.split([buffer.numel() for buffer in buffers]), strict=True):
        buffer.copy_(part.view_as(buffer))
