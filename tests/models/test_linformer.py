"""Linformer: our reading as golden, and what happens to clips of another length."""

import pytest
import torch
from attention_cases import GRIDS, build_layer, check_golden, load_golden, to_sequence

from slowfast_ext.errors import ConfigError
from slowfast_ext.models.attention import Grid
from slowfast_ext.models.attention.linformer import LinformerOptions


def test_space_matches_golden(golden_dir):
    grid = Grid(4, 4, 4, prefix=4, framewise=True)
    layer = build_layer("space", grid, LinformerOptions(dim=6), kernel="linformer")
    names = {"E": "kernel.key_mix", "Fp": "kernel.value_mix"}
    check_golden(layer, load_golden(golden_dir, "spec_linformer_space"), grid, names, to_sequence)


def test_another_number_of_keys_is_refused_with_both_numbers():
    layer = build_layer("joint", GRIDS["cls"], kernel="linformer")
    longer = Grid(4, 3, 5, prefix=1)
    with pytest.raises(ConfigError, match=r"built for 46 keys a row and got 61"):
        layer(torch.randn(1, longer.tokens, 48), longer)


def test_windows_of_different_lengths_are_refused_before_training():
    with pytest.raises(ConfigError, match="windows are shorter at both ends"):
        build_layer("window", GRIDS["framewise"], kernel="linformer")
