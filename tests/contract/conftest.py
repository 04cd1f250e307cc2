"""What the contracts share: the reference by the kernel that promises all derivatives."""

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def plain_attention():
    """PyTorch's attention by its formula: its fast kernel has no second derivative, no vmap and no forward mode."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield
