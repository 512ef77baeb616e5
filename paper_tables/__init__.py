"""Published numbers, and what is made from them: docs/paper_tables.md and exp/README.md, the index of the experiments."""
