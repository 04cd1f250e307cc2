"""The old names without an underscore, for scripts that still use them."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import ParamSpec

from torch import Tensor

from minimodels.nn.init.identity import dirac_, eye_
from minimodels.nn.init.plain import constant_, normal_, uniform_
from minimodels.nn.init.structured import orthogonal_, sparse_
from minimodels.nn.init.variance import kaiming_normal_, kaiming_uniform_, xavier_normal_, xavier_uniform_

P = ParamSpec("P")


def _old_name_of(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    new = function.__name__
    old = new.removesuffix("_")

    @functools.wraps(function)
    def deprecated(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    deprecated.__name__ = deprecated.__qualname__ = old
    deprecated.__doc__ = f"The deprecated name of `{new}`.\n\n{inspect.getdoc(function)}"
    return deprecated


uniform = _old_name_of(uniform_)
normal = _old_name_of(normal_)
constant = _old_name_of(constant_)
eye = _old_name_of(eye_)
dirac = _old_name_of(dirac_)
xavier_uniform = _old_name_of(xavier_uniform_)
xavier_normal = _old_name_of(xavier_normal_)
kaiming_uniform = _old_name_of(kaiming_uniform_)
kaiming_normal = _old_name_of(kaiming_normal_)
orthogonal = _old_name_of(orthogonal_)
sparse = _old_name_of(sparse_)
