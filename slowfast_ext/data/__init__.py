"""Videos -> clips: annotations, decoding, sampling, augmentation, loading."""
