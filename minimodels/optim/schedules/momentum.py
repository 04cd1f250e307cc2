"""Momentum that goes against the rate: where steps are large, the gradients of many steps ago must not act any more."""

from typing import Any

from minimodels.optim.schedules.scheduler import LRScheduler, Rate, for_groups


class MomentumLR(LRScheduler):
    """Knows where an optimiser keeps its momentum: SGD under that name, an Adam as β₁."""

    use_beta1: bool

    def _begin_momentum(
        self, base: float | list[float], largest: float | list[float], *, anew: bool
    ) -> tuple[list[Rate], list[Rate]]:
        """Find the least and the greatest momentum of each group; a run that begins anew begins with the greatest."""
        defaults = self.optimizer.defaults
        if "momentum" not in defaults and "betas" not in defaults:
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        self.use_beta1 = "betas" in defaults
        tops = for_groups("max_momentum", self.optimizer, largest)
        bottoms = for_groups("base_momentum", self.optimizer, base)
        if anew:
            for group, top, bottom in zip(self.optimizer.param_groups, tops, bottoms, strict=True):
                self._set_momentum(group, top)
                group["max_momentum"] = top
                group["base_momentum"] = bottom
        return bottoms, tops

    def _set_momentum(self, group: dict[str, Any], momentum: Rate) -> None:
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum
