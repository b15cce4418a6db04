"""Logs never stop what they describe, whatever happens to their files."""

from pathlib import Path

from reelay.standalone.logfile import LogFile


def test_full_file_that_cannot_be_put_aside_stops_nobody_and_is_tried_again(
    tmp_path: Path,
) -> None:
    log = LogFile(tmp_path / "x.log", max_bytes=10)
    (tmp_path / "x.log.1").write_text("older\n")
    obstacle = tmp_path / "x.log.2" / "not empty"
    obstacle.mkdir(parents=True)
    for line in ("a first long line", "one that comes while it is in the way", "another"):
        log.write(line)
    obstacle.rmdir()
    obstacle.parent.rmdir()
    log.write("after it is gone")
    log.write("the end")
    log.close()
    kept = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "after it is gone" in kept
    assert (tmp_path / "x.log").read_text() == "the end\n"
