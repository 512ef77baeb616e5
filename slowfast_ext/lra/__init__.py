"""Long Range Arena: what attention kernels do on long sequences (Tay et al., 2021; Motionformer, Table 5)."""
