"""The count of launches at published sizes, for one row of its table."""

from benchmarks.launches import main


def test_a_row(capsys):
    assert main(["--only", "window", "--batch", "1"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "window" in line]
    kernels, copies, syncs, saved, share = (cell.strip(" %") for cell in row.split("│")[2:7])
    assert int(kernels) > int(copies) > 0
    assert int(saved) > 0
    assert (int(syncs), int(share)) == (0, 0)
