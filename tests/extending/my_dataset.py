"""A data set with an option of its own: every video of one folder, its class the first letter of the file's name."""

from dataclasses import dataclass
from pathlib import Path

from slowfast_ext.data.records import DATASETS, VideoRecord, VideoSet
from slowfast_ext.options import Options, option, section


@section("LETTERS", "The data set `letters`")
@dataclass(frozen=True)
class LetterOptions(Options):
    """Which files."""

    suffix: str = option(".mp4", "ending of the videos")


@DATASETS.register("letters", LetterOptions)
def read_letters(lists, split: str, options: LetterOptions) -> VideoSet:
    """The same videos for every split."""
    files = sorted(Path(lists.folder).glob(f"*{options.suffix}"))
    letters = tuple(sorted({file.name[0] for file in files}))
    records = [VideoRecord(str(f), (letters.index(f.name[0]),), str(f)) for f in files]
    return VideoSet("letters", split, records, (letters,))
