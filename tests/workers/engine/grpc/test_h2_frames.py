import pytest
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from workers.engine import h2_frames as h2
from workers.engine.h2_frames import BrokenFramesError, FrameReader

FRAMES = st.lists(
    st.tuples(
        st.integers(0, 255), st.integers(0, 255), st.integers(0, h2.MAX_STREAM), st.binary(max_size=200)
    ),
    max_size=8,
)


@given(FRAMES, st.lists(st.integers(0, 2000), max_size=6))
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(frames, cuts):
    data = b"".join(h2.frame(kind, flags, stream=at, payload=load) for kind, flags, at, load in frames)
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    reader = FrameReader()
    found = [
        one
        for begin, end in zip(places, [*places[1:], len(data)], strict=True)
        for one in reader.take(data[begin:end])
    ]
    assert found == frames


def parsed(data: bytes) -> Frame:
    """The frame as another implementation reads it."""
    one, length = Frame.parse_frame_header(memoryview(data[:9]))
    one.parse_body(memoryview(data[9 : 9 + length]))
    assert len(data) == 9 + length
    return one


def test_another_implementation_reads_our_frames():
    settings = parsed(h2.settings({h2.ENABLE_PUSH: 0, h2.INITIAL_WINDOW_SIZE: 7}))
    assert isinstance(settings, SettingsFrame)
    assert dict(settings.settings) == {2: 0, 4: 7}
    update = parsed(h2.window_update(3, 70_000))
    assert isinstance(update, WindowUpdateFrame)
    assert (update.stream_id, update.window_increment) == (3, 70_000)
    data = parsed(h2.frame(h2.DATA, h2.END_STREAM, stream=5, payload=b"abc"))
    assert isinstance(data, DataFrame)
    assert (data.data, set(data.flags)) == (b"abc", {"END_STREAM"})


@given(st.binary(max_size=50), st.integers(0, 20), st.booleans())
def test_padding_and_priority_are_taken_off_frames_of_another_implementation(content, padding, headers):
    if headers:
        theirs = HeadersFrame(1, content, flags=["PADDED", "PRIORITY"], pad_length=padding)
    else:
        theirs = DataFrame(1, content, flags=["PADDED"], pad_length=padding)
    (ours,) = FrameReader().take(theirs.serialize())
    assert h2.content(ours) == content


def test_a_frame_beyond_the_bound_is_refused_by_its_head_alone():
    with pytest.raises(BrokenFramesError, match="16385 bytes"):
        FrameReader().take(b"\0\x40\x01\0\0\0\0\0\1")


def test_numbers_and_settings_that_are_too_short_are_refused():
    with pytest.raises(BrokenFramesError, match="kind 8 with 3 bytes"):
        h2.read_number(h2.Frame(h2.WINDOW_UPDATE, 0, 0, b"abc"))
    with pytest.raises(BrokenFramesError, match="SETTINGS of 5 bytes"):
        h2.read_settings(b"abcde")


def test_an_error_code_has_its_name_or_its_number():
    assert [h2.error_name(code) for code in (0, 7, 13, 99)] == [
        "NO_ERROR", "REFUSED_STREAM", "HTTP_1_1_REQUIRED", "error 99",
    ]  # fmt: skip
