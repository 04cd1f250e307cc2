"""What activations share as layers: most can write over their input, and say so."""

from torch.nn import Module


class InPlace(Module):
    """An activation that can write the result over its input.

    Args:
        inplace: write the result over the input.
    """

    __constants__ = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class ShownInPlace(InPlace):
    """One that also shows whether it does."""

    def extra_repr(self) -> str:
        """Show the setting if it is not the default."""
        return "inplace=True" if self.inplace else ""

    def _shown(self, settings: str) -> str:
        """Show other settings before it."""
        return settings + (", inplace=True" if self.inplace else "")
