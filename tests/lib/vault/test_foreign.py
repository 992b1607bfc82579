"""What others put into a recording's folder is named and left alone, and stops nothing."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomwitness.vault import Recording
from roomwitness.vault.records import file_name, segment_id, segment_of, start_of
from roomwitness.vault.recovery import Recovery
from roomwitness.vault.store import Vault

from .conftest import Place, T, begin, write

GENUINE = "001793610000000-0123abcd"
FOREIGN = [
    f"._{GENUINE}.mp4.age",  # macOS, on a share.
    f"{GENUINE} - Kopia.mp4.age",
    f"{GENUINE.upper()}.mp4.age",
    f"{GENUINE}.ndjson.age",
    f"{GENUINE}-metadata.mp4.age",
    f"._{GENUINE}.mp4.age.part",
    "999999999999999-0123abcd.mp4.age",
    "foo.mp4.age",
    "foo.mp4.age.tail",
    "foo.new",
    "-.mp4.age",
    "٠01793610000000-0123abcd.mp4.age",
    ".DS_Store",
]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    start=st.integers(0, 250_000_000_000_000).map(lambda ms: EPOCH + timedelta(milliseconds=ms)),
    mark=st.binary(min_size=4, max_size=4).map(bytes.hex),
    metadata=st.booleans(),
)
def test_our_own_names_are_known(start: datetime, mark: str, metadata: bool) -> None:
    identifier = segment_id(start, mark, metadata=metadata)
    assert segment_of(file_name(identifier)) == identifier
    assert abs(start_of(identifier) - start) <= timedelta(milliseconds=1)


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"\d{1,16}-\w{1,9}(-metadata)?( 2)?\.(mp4|ndjson)\.age", fullmatch=True),
    )
)
def test_a_name_is_ours_in_one_form_only(name: str) -> None:
    identifier = segment_of(name)
    if identifier is not None:
        assert file_name(identifier) == name
        mark = identifier.split("-")[1]
        metadata = identifier.endswith("-metadata")
        assert segment_id(start_of(identifier), mark, metadata=metadata) == identifier


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_names(name: str) -> None:
    assert segment_of(name) is None


def left_open(vault: Vault, meeting_id: str) -> Recording:
    """A recording as a kill leaves it."""
    recording = begin(vault, meeting_id)
    writer = vault.segment_writer(recording.id, T)
    writer.write(b"seen " * 9000)
    writer.flush()
    return recording


def test_foreign_files_are_named_and_left_alone(place: Place) -> None:
    vault = place.open()
    recording = left_open(vault, "m1")
    vault.close()
    folder = place.folder / "segments" / recording.id
    for name in FOREIGN:
        (folder / name).write_bytes(b"age-encryption.org/v1")
    vault = place.open()
    assert len(vault.recover()) == 1
    (segment,) = vault.segments(recording.id)
    assert b"".join(vault.read_segment(segment)) == b"seen " * 9000
    vault.end_recording(recording.id, T + timedelta(minutes=1))
    assert sorted(vault.check()) == sorted(f"file-has-row {recording.id}/{n}" for n in FOREIGN)
    assert {path.name for path in folder.iterdir()} == {segment.path.name, *FOREIGN}
    vault.close()


def test_a_foreign_file_of_a_sealed_recording_is_no_segment_that_a_kill_left(place: Place) -> None:
    vault = place.open()
    recording = left_open(vault, "m1")
    vault.recover()
    wraps = vault._ephemeral.get(recording.id)
    assert wraps is not None
    vault._ephemeral.destroy([recording.id])
    vault._ephemeral.put(recording.id, wraps.for_backups)
    vault.end_recording(recording.id, T + timedelta(minutes=1))
    (place.folder / "segments" / recording.id / "foo.mp4.age.part").write_bytes(b"")
    assert vault.check() == [f"file-has-row {recording.id}/foo.mp4.age.part"]
    vault.close()


def test_a_segment_copied_into_another_recordings_folder_stops_nothing(place: Place) -> None:
    vault = place.open()
    first, second = begin(vault, "m1"), left_open(vault, "m2")
    copied = write(vault, first, b"seen " * 9000)
    third = left_open(vault, "m3")
    vault.close()
    shutil.copy(copied.path, place.folder / "segments" / second.id)
    vault = place.open()
    assert {one.recording_id for one in vault.recover()} == {second.id, third.id}
    assert len(vault.segments(first.id)) == len(vault.segments(second.id)) == 1
    vault.close()


def test_one_recordings_trouble_is_none_of_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    vault = place.open()
    first, second = left_open(vault, "m1"), left_open(vault, "m2")
    vault.close()
    real = Recovery.recording

    def recording(self: Recovery, of: Recording) -> object:
        if of.id == first.id:
            raise ValueError("Anna")
        return real(self, of)

    monkeypatch.setattr(Recovery, "recording", recording)
    vault = place.open()
    assert [one.recording_id for one in vault.recover()] == [second.id]
    assert "ValueError" in caplog.text
    assert "Anna" not in caplog.text
    vault.close()
