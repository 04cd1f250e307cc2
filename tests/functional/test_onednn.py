"""oneDNN's products under internal names: what test_matmul.py does not see of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.functional import onednn


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(m=st.integers(1, 9), n=st.integers(1, 40), k=st.integers(1, 40), turned=st.booleans(), seed=st.integers(0, 99))
def test_a_factor_that_is_used_again_gives_the_same_product(fast, dtype, m, n, k, turned, seed):
    generator = torch.Generator().manual_seed(seed)
    b = torch.randn(k, n, generator=generator).t() if turned else torch.randn(n, k, generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "bfloat16_is_fast", lambda: fast)
        factor = onednn.Repeated(b.to(dtype), rows=4)
    assert factor.ahead == (fast and dtype is torch.bfloat16 and onednn._carries_packing())
    for rows in (m, 4):  # it need not be as many as was said
        a = torch.randn(rows, k, generator=generator).to(dtype)
        wanted = a.double() @ b.to(dtype).double().t()
        torch.testing.assert_close(factor.times(a).double(), wanted, rtol=8e-3, atol=1e-4)
