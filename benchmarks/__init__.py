"""Measurements of this package: python -m benchmarks NAME, in the root of the checkout."""
