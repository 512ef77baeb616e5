"""The configuration tree: defaults, YAML files, command line, checks."""

from slowfast_ext.config.load import load_config, load_text
from slowfast_ext.config.problems import Problem
from slowfast_ext.config.schema import get_cfg, options_of, tree_of

__all__ = ["Problem", "get_cfg", "load_config", "load_text", "options_of", "tree_of"]
