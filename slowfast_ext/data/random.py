"""Old name of `seeds`, until all callers are switched."""

from slowfast_ext.data.seeds import order_rng, sample_rng, step_rng  # noqa: F401
