"""Every test draws the same random numbers whenever and wherever it runs."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)
