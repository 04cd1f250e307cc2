"""Whether calling a module runs the `forward` of its class, and nothing else.

A road that takes a module's weights past its call asks this first: a hook has to run, an adapter in the module's place
has to be at work.
"""

from torch.nn import Module
from torch.nn.modules import module as calls


def untouched(module: Module, kind: type[Module]) -> bool:
    """Say whether a module is of this very class, and nobody has hung anything on its call.

    Args:
        module: the module.
        kind: the class; one that inherits from it does not count.

    Returns:
        False for another class, and where the module has hooks, a `forward` of its own or a compiled one.

    Cost: half a microsecond.

    See: tests/nn/test_untouched.py.

    Example:
        >>> from torch.nn import Identity, Module
        >>> layer = Identity()
        >>> untouched(layer, Identity), untouched(layer, Module)
        (True, False)
        >>> handle = layer.register_forward_hook(print)
        >>> untouched(layer, Identity)
        False
    """
    books = module.__dict__
    return type(module) is kind and not (
        books["_forward_hooks"]
        or books["_forward_pre_hooks"]
        or books["_backward_hooks"]
        or books["_backward_pre_hooks"]
        or "forward" in books
        or "_compiled_call_impl" in books
    )


def called_plainly() -> bool:
    """Say whether there is no hook that runs at the call of every module.

    Example:
        >>> called_plainly()
        True
    """
    return not (
        calls._global_forward_hooks
        or calls._global_forward_pre_hooks
        or calls._global_backward_hooks
        or calls._global_backward_pre_hooks
    )
