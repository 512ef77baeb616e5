"""Media where they lie: loose files, or in the shards of a pack, on disk or behind an address."""
