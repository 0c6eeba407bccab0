import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contract.data import FileData, Fixed, Histogram, LogNormal, Normal, SyntheticData, Uniform
from workers.contract.errors import DataError, ProtocolError
from workers.engine.data import FIRST_ROWS, SPREAD_ROWS, open_rows
from workers.engine.row_files import SCAN_BYTES
from workers.engine.words import WORDS


def made(**lengths):
    return open_rows(
        SyntheticData(**{"input_tokens": Fixed(32), "output_tokens": Fixed(24), **lengths}), seed=7
    )


def lines(tmp_path, *rows, **spec):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in rows))
    return open_rows(FileData(str(path), name="rows.jsonl", **spec), seed=7)


def prompts(rows, count):
    return [rows.row(index).request["prompt"] for index in range(count)]


# Files.


def test_arrival_k_takes_row_k_modulo_n(tmp_path):
    rows = lines(tmp_path, {"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"})
    assert prompts(rows, 7) == list("abcabca")
    assert rows.row(5).number == 3
    rows.close()
    rows.close()


def test_data_that_stops_has_no_row_past_its_end(tmp_path):
    rows = lines(tmp_path, {"prompt": "a"}, {"prompt": "b"}, at_end="stop")
    assert rows.row(1).request == {"prompt": "b"}
    assert rows.row(2) is None


def test_a_shuffle_is_one_order_of_all_rows_by_the_seed_and_the_activity(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"prompt": "{n}"}}\n' for n in range(50)))
    spec = FileData(str(path), order="shuffle")
    first = prompts(open_rows(spec, seed=1, stream="peak"), 100)
    assert sorted(first[:50], key=int) == [str(n) for n in range(50)]
    assert first[:50] == first[50:] != [str(n) for n in range(50)]
    assert prompts(open_rows(spec, seed=1, stream="peak"), 100) == first
    assert prompts(open_rows(spec, seed=2, stream="peak"), 100) != first
    assert prompts(open_rows(spec, seed=1, stream="soak"), 100) != first


def test_blank_lines_a_byte_order_mark_crlf_and_a_missing_last_line_end_do_no_harm(tmp_path):
    rows = lines(tmp_path, b'\xef\xbb\xbf{"prompt": "a"}\r\n\r\n\n{"prompt": "b"}')
    assert prompts(rows, 3) == ["a", "b", "a"]


def test_lines_are_found_across_the_blocks_of_the_scan(tmp_path):
    long = "x" * (SCAN_BYTES // 2 - 7)
    rows = lines(tmp_path, *[{"prompt": long + str(n)} for n in range(5)])
    assert [text[-1] for text in prompts(rows, 5)] == list("01234")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"{broken\n", "rows.jsonl:3: not JSON"),
        (b'{"prompt": 5\n', "rows.jsonl:3: not JSON: Expecting ',' delimiter at column 13"),
        (b"[1]\n", "rows.jsonl:3: a row is a JSON object"),
        (b"\xff\xff\n", "UTF-8"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line_before_a_load_is_ready(tmp_path, bad, words):
    with pytest.raises(DataError, match=words):
        lines(tmp_path, {"prompt": "a"}, b"\n", bad)


def test_a_broken_row_that_no_sample_showed_is_named_when_its_turn_comes(tmp_path):
    good = [b'{"prompt": "a"}\n'] * (FIRST_ROWS + 5 * SPREAD_ROWS)
    place = FIRST_ROWS + 1
    good[place] = b"{broken\n"
    rows = lines(tmp_path, *good)
    assert rows.row(place - 1).request == {"prompt": "a"}
    with pytest.raises(DataError, match=rf"rows.jsonl:{place + 1}: not JSON"):
        rows.row(place)


def test_a_row_that_the_protocol_cannot_send_is_named_before_a_load_is_ready(tmp_path):
    def build(request):
        if "prompt" not in request:
            raise ProtocolError("a prompt is needed")

    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a"}\n\n{"prom": "b"}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:3: a prompt is needed"):
        open_rows(FileData(str(path), name="rows.jsonl"), seed=1, build=build)


def test_a_broken_first_row_an_empty_and_a_missing_file_are_found_at_opening(tmp_path):
    with pytest.raises(DataError, match=r"rows.jsonl:1: not JSON"):
        lines(tmp_path, b"{\n")
    with pytest.raises(DataError, match="has no rows"):
        lines(tmp_path, b"\n\n")
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        open_rows(FileData(str(tmp_path / "none.jsonl")), seed=1)
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        open_rows(FileData(str(tmp_path)), seed=1)


def test_a_row_of_endless_length_is_refused_at_opening(tmp_path):
    with pytest.raises(DataError, match="are line ends missing"):
        lines(tmp_path, {"prompt": "a"}, b'"' + b"x" * (16 * 1024 * 1024 + 1))


def test_a_file_that_shrinks_in_use_is_an_error_not_half_a_row(tmp_path):
    rows = lines(tmp_path, {"prompt": "a"}, {"prompt": "b"})
    (tmp_path / "rows.jsonl").write_bytes(b'{"prompt": "a"}\n{"pro')
    with pytest.raises(DataError, match="became shorter"):
        rows.row(1)


def test_tag_columns_become_tags_and_are_not_sent(tmp_path):
    rows = lines(tmp_path, {"prompt": "a", "country": "DE", "tier": 2}, tags=("country", "tier"))
    row = rows.row(0)
    assert row.request == {"prompt": "a"}
    assert row.tags == {"country": "DE", "tier": "2"}


def test_a_row_as_in_a_golden_set_sends_its_request_alone(tmp_path):
    golden = {"id": "x", "request": {"messages": []}, "expected": {"content": ""}, "tags": {"length": "long"}}
    rows = lines(
        tmp_path,
        {**golden, "country": "DE"},
        {"request": {"q": 1}, "other": 2, "country": "AT"},
        tags=("country",),
    )
    assert rows.row(0).request == {"messages": []}
    assert rows.row(0).tags == {"length": "long", "country": "DE"}
    assert rows.row(1).request == {"request": {"q": 1}, "other": 2}


def test_a_tag_column_that_a_row_lacks_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"rows.jsonl:1: column 'country' is missing"):
        lines(tmp_path, {"prompt": "a"}, tags=("country",))


def test_parquet_and_csv_rows_are_read_like_lines(tmp_path):
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    table = pa.table({"prompt": ["a", "b"], "country": ["DE", "AT"]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    pyarrow.csv.write_csv(table, tmp_path / "rows.csv")
    for name in ("rows.parquet", "rows.csv"):
        rows = open_rows(FileData(str(tmp_path / name), tags=("country",)), seed=1)
        assert prompts(rows, 3) == ["a", "b", "a"]
        assert rows.row(1).tags == {"country": "AT"}


# Made-up prompts.


@given(st.integers(0, 2**40), st.integers(0, 2**63 - 1))
def test_a_made_up_row_depends_on_seed_and_index_alone(index, seed):
    spec = SyntheticData(input_tokens=LogNormal(40, 0.7), output_tokens=Uniform(1, 9), shared_prefix=Fixed(3))
    first, second = open_rows(spec, seed=seed), open_rows(spec, seed=seed)
    second.row(index + 1)
    assert first.row(index) == second.row(index)


PINNED = ("side program case floor company lantern", "side program guy data name development")


def test_made_up_rows_stay_what_they_are():
    rows = made(input_tokens=Fixed(6), shared_prefix=Fixed(2))
    assert rows.row(0).request == {"prompt": PINNED[0], "max_tokens": 24}
    assert rows.row(123_456_789).request == {"prompt": PINNED[1], "max_tokens": 24}


def test_prompts_differ_between_rows_seeds_and_activities():
    spec = SyntheticData(input_tokens=Fixed(8), output_tokens=Fixed(1))
    assert len(set(prompts(open_rows(spec, seed=1), 5000))) == 5000
    starts = {" ".join(text.split()[:4]) for text in prompts(open_rows(spec, seed=1), 5000)}
    assert len(starts) == 5000
    assert prompts(open_rows(spec, seed=1), 5) != prompts(open_rows(spec, seed=2), 5)
    assert prompts(open_rows(spec, seed=1), 5) != prompts(open_rows(spec, seed=1, stream="b"), 5)


def test_the_shared_prefix_is_alike_in_all_rows_and_part_of_the_length():
    texts = [text.split() for text in prompts(made(shared_prefix=Fixed(20)), 200)]
    assert {len(words) for words in texts} == {32}
    assert len({tuple(words[:20]) for words in texts}) == 1
    assert len({tuple(words[:24]) for words in texts}) == 200


def test_a_prefix_longer_than_the_input_is_cut_to_it():
    assert {len(text.split()) for text in prompts(made(shared_prefix=Fixed(100)), 5)} == {32}


def test_prompts_longer_than_the_tape_have_their_length():
    text = made(input_tokens=Fixed(300_000)).row(3).request["prompt"]
    assert len(text.split()) == 300_000


@pytest.mark.parametrize(
    ("length", "low", "high", "mean"),
    [
        (Uniform(10, 20), 10, 20, 15),
        (Normal(50, 10), 1, 100, 50),
        (LogNormal(50, 0.5), 1, 2000, 50 * 1.1331),
        (Histogram((3, 9), (1.0, 3.0)), 3, 9, 7.5),
        (Normal(1, 5), 1, 30, None),
    ],
)
def test_lengths_follow_their_distribution(length, low, high, mean):
    rows = made(output_tokens=length)
    lengths = [rows.row(index).request["max_tokens"] for index in range(4000)]
    assert low <= min(lengths)
    assert max(lengths) <= high
    if mean is not None:
        assert abs(sum(lengths) / len(lengths) - mean) < 0.03 * mean


def test_a_uniform_length_takes_every_value_alike():
    rows = made(output_tokens=Uniform(1, 4))
    counts = [0] * 5
    for index in range(4000):
        counts[rows.row(index).request["max_tokens"]] += 1
    assert all(abs(count - 1000) < 150 for count in counts[1:])


def test_a_made_up_row_costs_less_than_thirty_microseconds():
    rows = made(input_tokens=LogNormal(32, 0.5))
    costs = []
    for _ in range(5):
        begun = time.process_time()
        for index in range(2000):
            rows.row(index)
        costs.append((time.process_time() - begun) / 2000)
    assert min(costs) < 30e-6


def test_there_are_256_different_words():
    assert len(WORDS) == len(set(WORDS)) == 256
