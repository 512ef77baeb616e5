"""Reading frames: an index of each file, readers, and the process that survives their failures."""
