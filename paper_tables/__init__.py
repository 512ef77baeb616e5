"""Published numbers, and what is made from them: docs/paper_tables.md and the headers of exp/*/config.yaml."""
