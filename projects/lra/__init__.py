"""Long Range Arena: what attention kernels do on long sequences (Tay et al., 2021; Motionformer, Table 5)."""

from projects.lra import options  # noqa: F401  (declares the sections LRA.*)
