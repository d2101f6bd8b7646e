"""The progress line counts what the workers note, and leaves nothing behind."""

import io
import os

from beam_pipeline import progress


def test_the_line_counts_clips_rejections_and_failures():
    with progress.Display(True, io.StringIO()) as display:
        for kind in ("Candidate", "Candidate", "Rejection", "Failure"):
            progress.note(display.journal, kind)
        assert display.line().startswith("4 photos: 2 clips, 1 rejected, 1 failed; ")
        assert display.line().endswith("photos a minute")


def test_before_the_first_photo_it_says_what_is_going_on():
    with progress.Display(True, io.StringIO()) as display:
        assert "starting" in display.line()


def test_the_last_count_is_shown_and_the_journal_removed():
    stream = io.StringIO()
    with progress.Display(True, stream) as display:
        progress.note(display.journal, "Candidate")
    assert "1 photos: 1 clips" in stream.getvalue()
    assert not os.path.exists(display.journal)


def test_nothing_is_shown_where_it_is_not_wanted():
    stream = io.StringIO()
    with progress.Display(False, stream) as display:
        assert display.journal is None
    assert stream.getvalue() == ""
