"""What the tests of arithmetic share."""

import pytest

from minimodels.functional.recurrence import running


@pytest.fixture(autouse=True, scope="package")
def sequences_of_any_length_are_fast():
    """Examples are short; how long a sequence has to be for the fast way is tested by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "SHORT", 0)
        yield
