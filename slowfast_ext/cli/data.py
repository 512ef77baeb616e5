"""Check, copy and look at a data set: slowfast-ext data {check,stats,transcode,pack,browse,label-maps} --cfg FILE... [KEY VALUE ...].

check      open and decode every video; writes OUTPUT_DIR/data/report_<split>.tsv and clean lists
stats      classes, lengths, frame rates, sizes; writes OUTPUT_DIR/data/stats_<split>.png
transcode  smaller copies of all videos below --out, with the same names
pack       all videos or frame folders in a few tar files below --out, for training from a disk or a bucket
browse     what training feeds to the model, as OUTPUT_DIR/data/browse_<epoch>.png
label-maps a teacher's classes for each part of every image, for TASK token_labelling (docs/token_labelling.md)
"""

import argparse
import os
from collections.abc import Sequence

from slowfast_ext.cli import reported
from slowfast_ext.cli.data_copies import add_pack, add_recipe, pack, transcode
from slowfast_ext.cli.data_label_maps import add_teacher, label_maps
from slowfast_ext.cli.data_looks import browse, check, stats
from slowfast_ext.cli.signals import stop_on_signals
from slowfast_ext.config.command import add_config_arguments, config_of, refuse_mistakes
from slowfast_ext.data.records import SPLITS


@reported
def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done and sound, 1 something is wrong with the videos, 2 bad configuration or list, 74 a file cannot be
    written, 75 interrupted: the same command goes on where it stopped."""
    args = _parse(argv)
    refuse_mistakes(args)
    with stop_on_signals(polled=False):
        return int(args.run(config_of(args), args))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    jobs = parser.add_subparsers(metavar="JOB", required=True)
    for run in (check, stats, transcode, pack, browse, label_maps):
        job = jobs.add_parser(
            run.__name__.replace("_", "-"), help=(run.__doc__ or "").splitlines()[0]
        )
        job.set_defaults(run=run)
        add_config_arguments(job)
        if run is not browse:
            splits = ["train"] if run is label_maps else ["train", "val"]
            job.add_argument("--split", nargs="+", default=splits, choices=SPLITS)
            job.add_argument(
                "--workers",
                type=int,
                default=os.cpu_count(),
                help="processes; default: one per core",
            )
        if run is transcode:
            add_recipe(job)
        if run is pack:
            add_pack(job)
        if run is browse:
            job.add_argument(
                "--clips", type=int, default=12, help="clips, one per row; default: %(default)s"
            )
            job.add_argument(
                "--epoch", type=int, default=0, help="epoch whose draws are shown; default: 0"
            )
        if run is label_maps:
            add_teacher(job)
    return parser.parse_args(argv)
