"""Golden cases: how each kind is read, built with our parts, and compared. See data/README.md."""
