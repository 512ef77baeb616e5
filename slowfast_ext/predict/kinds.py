"""The kinds of files that predictions and features are written as, by their suffix without the dot."""

FEATURES = ("safetensors", "npz")
TIMELINES = ("csv", "srt", "png")
