"""One file per top-level section; each holds `SECTIONS`, a tuple of Section."""
