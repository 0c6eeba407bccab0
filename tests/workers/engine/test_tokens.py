"""Prompts of so many tokens, and answers counted by a tokenizer; all of them are trained here."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.contract.data import Fixed, SyntheticData, Uniform
from workers.contract.errors import DataError
from workers.contract.files.trace_formats import BLOCK_TOKENS, Lengths
from workers.contract.spec import FileRef, TargetSpec
from workers.engine.data import open_rows
from workers.engine.synthetic import Prompts
from workers.engine.tokens import AT_ONCE_CHARACTERS, MOST_CHARACTERS, Tokens, counting, tokens_of
from workers.engine.words import WORDS
from workers.protocols.contract import Answer
from workers.protocols.select import make_protocol

tokenizers = pytest.importorskip("tokenizers", reason="needs the package tokenizers (extra `text`)")
TEXT = [" ".join(WORDS[at:] + WORDS[:at]) + ". It is 10 o'clock!" for at in range(0, 200, 5)]


def trained(kind, vocabulary):
    """A tokenizer of a kind that models use."""
    models, cut, trainers = tokenizers.models, tokenizers.pre_tokenizers, tokenizers.trainers
    if kind == "bytes":
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = cut.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary, initial_alphabet=cut.ByteLevel.alphabet(), show_progress=False
        )
    elif kind == "pieces":
        made = tokenizers.Tokenizer(models.Unigram())
        made.pre_tokenizer = cut.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=vocabulary, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
        )
    else:
        made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.pre_tokenizer = cut.Whitespace()
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary, special_tokens=["[UNK]"], show_progress=False
        )
    made.train_from_iterator(TEXT, trainer)
    return made


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """Tokenizers by kind and size, each trained once."""
    folder = tmp_path_factory.mktemp("tokenizers")
    known: dict[str, Tokens] = {}

    def get(kind="bytes", vocabulary=600):
        name = f"{kind}-{vocabulary}.json"
        if name not in known:
            trained(kind, vocabulary).save(str(folder / name))
            known[name] = Tokens(folder / name, name=name)
        return known[name]

    return get


@pytest.mark.parametrize(
    ("kind", "vocabulary"), [("bytes", 260), ("bytes", 600), ("pieces", 400), ("words", 700)]
)
def test_a_prompt_has_so_many_tokens_by_the_tokenizer(tokens, kind, vocabulary):
    counter = tokens(kind, vocabulary)
    prompts = Prompts(seed=3, stream="a", counter=counter)
    for index, length in enumerate([8, 9, 31, 32, 100, 511, 2000, 70_000]):
        assert counter.count(prompts.text(index, length)) == length
        assert counter.count(prompts.text(index, length, shared=7)) == length


def test_lengths_of_made_up_rows_are_tokens_where_there_is_a_tokenizer(tokens):
    spec = SyntheticData(Uniform(20, 90), Fixed(5), Fixed(10))
    rows = open_rows(spec, seed=1, counter=tokens())
    words = open_rows(spec, seed=1)
    counts = [tokens().count(rows.row(index).request["prompt"]) for index in range(50)]
    assert counts == [len(words.row(index).request["prompt"].split()) for index in range(50)]
    assert len({rows.row(index).request["prompt"] for index in range(500)}) == 500
    assert len({rows.row(index).request["prompt"].split()[0] for index in range(50)}) == 1


class Joins:
    """A counter for which words together are fewer tokens than one by one."""

    def count(self, text):
        return max(1, len(text) // 4) if len(text) > 40 else len(text)


def test_a_tokenizer_that_joins_words_is_refused():
    with pytest.raises(DataError, match="leave it out, and lengths are words"):
        Prompts(seed=1, counter=Joins())


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(1, BLOCK_TOKENS), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_recorded_prompts_have_in_common_the_blocks_that_they_had_in_common(ids, last, index):
    prompts = Prompts(seed=3, stream="a")
    length = BLOCK_TOKENS * (len(ids) - 1) + last
    row = prompts.recorded(Lengths(length, 9, tuple(ids)), index)
    words = row["prompt"].split()
    assert (len(words), row["max_tokens"]) == (length, 9)
    for place, id_ in enumerate(ids[:-1]):
        alone = prompts.recorded(Lengths(BLOCK_TOKENS, 1, (id_,)), index + 1)["prompt"].split()
        assert words[place * BLOCK_TOKENS : (place + 1) * BLOCK_TOKENS] == alone
    assert Prompts(seed=3, stream="a").recorded(Lengths(length, 9, tuple(ids)), index) == row


def test_blocks_of_other_ids_differ_and_what_no_id_covers_is_the_requests_own():
    prompts = Prompts(seed=3)
    texts = {prompts.recorded(Lengths(BLOCK_TOKENS, 1, (id_,)), 0)["prompt"] for id_ in range(300)}
    assert len(texts) == 300
    first, second = (
        prompts.recorded(Lengths(BLOCK_TOKENS + 20, 1, (7,)), index)["prompt"].split() for index in (1, 2)
    )
    assert len(first) == len(second) == BLOCK_TOKENS + 20
    assert first[:BLOCK_TOKENS] == second[:BLOCK_TOKENS]
    assert first[BLOCK_TOKENS:] != second[BLOCK_TOKENS:]


def test_a_request_that_recorded_nothing_still_asks_for_something():
    assert Prompts(seed=3).recorded(Lengths(0, 0), 5) == {
        "prompt": Prompts(seed=3).text(5, 1), "max_tokens": 1,
    }  # fmt: skip


# Answers.


class Fixedly:
    """A protocol whose answer is given."""

    def __init__(self, answer):
        self.answer = answer

    def parse(self, status, headers, body):
        return self.answer


def answer(*, output=None, ok=True, **fields):
    return Answer(fields=fields, output_tokens=output, input_tokens=3, ok=ok, kind="ok" if ok else "invalid")


@pytest.mark.parametrize(
    ("given_", "counted"),
    [
        (answer(content="time year people"), 3),
        (answer(content="time year", reasoning="people way day"), 5),
        (answer(content="time year", text="data: the body as it came"), 2),
        (answer(content="time year people", output=44), 44),
        (answer(content=""), None),
        (answer(content=None), None),
        (answer(vectors=[1.0]), None),
        (answer(content="time year", ok=False), None),
        (answer(content="x" * (MOST_CHARACTERS + 1)), None),
    ],
)
def test_output_is_counted_only_where_the_target_does_not_say(tokens, given_, counted):
    counter = tokens("words", 700)
    found = counting(Fixedly(given_), counter).parse(200, (), b"")
    assert (found.output_tokens, found.input_tokens, found.ok) == (counted, 3, given_.ok)


def test_a_long_answer_is_counted_beside_the_load_and_to_the_same_number(tokens):
    counter = tokens("words", 700)
    words = [WORDS[at % 256] for at in range(AT_ONCE_CHARACTERS)]
    found = counting(Fixedly(answer(content=" ".join(words))), counter).parse(200, (), b"")
    assert found.output_tokens == counter.count(" ".join(words))


def test_a_stream_without_usage_is_counted_and_everything_else_stays_the_protocols(tokens):
    protocol = make_protocol("openai-chat", {"model": "m"}, seed=1, for_regression=False)
    counted = counting(protocol, tokens("words", 700))
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"%b"}%b}]}\n\n'
    pieces = [
        (5, chunk % (b"time ", b"")),
        (9, chunk % (b"year", b',"finish_reason":"stop"')),
        (9, b"data: [DONE]\n\n"),
    ]
    found, timing = counted.parse_stream(200, (), pieces)
    assert (found.output_tokens, timing.output_times_ns) == (2, (5, 9))
    assert protocol.parse_stream(200, (), pieces)[0].output_tokens is None
    assert counted.build({"prompt": "x"}) == protocol.build({"prompt": "x"})


def test_a_targets_tokenizer_is_found_by_its_content(tokens, tmp_path):
    trained("words", 300).save(str(tmp_path / "blob"))
    ref = FileRef("00", 1, "tokenizer.json")
    target = TargetSpec("t", "openai-chat", "http://h", {}, 5.0, tokenizer=ref)
    assert tokens_of(target, {"00": str(tmp_path / "blob")}).count("time") >= 1
    assert tokens_of(TargetSpec("t", "openai-chat", "http://h", {}, 5.0), {}) is None
    Path(tmp_path / "blob").write_text("{}")
    with pytest.raises(DataError, match=r"tokenizer.json is no tokenizer.json"):
        tokens_of(target, {"00": str(tmp_path / "blob")})
