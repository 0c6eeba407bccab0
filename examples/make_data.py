"""Write the data that the example campaigns name: `python examples/make_data.py [FOLDER]`.

The same bytes each time (a fixed seed, no clock). The chat cases are answered by the demo target, which
repeats the words of the last user message up to 24 tokens (quickstart.yaml). The ranker's are those of a
made-up ranker that can be checked by eye: a candidate of relevance x scores x / (1 + x), and scores rank.
"""

import json
import random
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20261122
GOLDEN_QUERIES, TRAFFIC_QUERIES = (
    500,
    400,
)  # 500: from there on a drift's usual limits hold (METRICS.md section 7)
CANDIDATES = 12
COUNTRIES = ("DE", "FR", "US", "IN", "BR")
TRAFFIC_CHATS = 120
NIGHT_REQUESTS = 240

Case = Mapping[str, object]

CONTRACT = """\
# What the ranker's inputs look like in production; checked on every row of golden/ranker.parquet.
features:
  features: {type: float, min: 0, max: 10}              # relevance of each candidate
  country: {type: string, one_of: [DE, FR, US, IN, BR]}
  user_age: {type: int, min: 13, max: 120, null_rate: 1%}
  returning: {type: bool}
"""


def main(folder: Path) -> None:
    """Write all files below `folder`."""
    for name in ("golden", "contracts", "traffic"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    _write_lines(folder / "golden/chat.jsonl", chat_cases())
    _write_lines(folder / "traffic/chat.jsonl", chat_traffic(random.Random(SEED)))
    (folder / "contracts/ranker.yaml").write_text(CONTRACT, encoding="utf-8")
    night = "".join(f"{line}\n" for line in night_traffic(random.Random(SEED + 3)))
    (folder / "traffic/night.csv").write_text(night, encoding="utf-8")
    golden, monday = random.Random(SEED + 1), random.Random(SEED + 2)
    pq.write_table(ranker_cases(golden), folder / "golden/ranker.parquet", compression="zstd")
    pq.write_table(ranker_traffic(monday), folder / "traffic/monday.parquet", compression="zstd")


def chat_cases() -> Iterator[Case]:
    """The 24 golden chat cases: what is repeated, how it is cut, and one of each rule."""
    yield _chat("echo-1", "one two three", "one two three one two", limit=5)
    yield {
        **_chat("echo-2", "go", "go( go){23}"),
        "compare": {"content": {"regex": {}}},
        "tags": {"length": "long"},
    }
    yield _chat("one-word", "hello", "hello", limit=1, length="short")
    yield _chat("exact-fit", "red green blue", "red green blue", limit=3, length="short")
    yield _chat("cut-inside", "red green blue", "red green", limit=2, length="short")
    yield _chat("twice-over", "ping pong", "ping pong ping pong", limit=4, length="short")
    yield _chat("full-length", "a b c d e f", " ".join(["a b c d e f"] * 4), length="long")
    yield _chat("prompt-too-long", _numbers(1, 30), _numbers(1, 24), length="long")
    yield _chat("limit-too-high", _numbers(1, 24), _numbers(1, 24), limit=500, length="long")
    yield _chat("blanks", "  two\n\tlines  ", "two lines two", limit=3, length="short")
    yield _chat(
        "punctuation", "Wait, what?! (Really...)", "Wait, what?! (Really...)", limit=3, length="short"
    )
    yield _chat("quotes", 'say "yes" \\ no', 'say "yes" \\ no', limit=4, length="short")
    yield _chat("numbers", "3.14 -1 1e9", "3.14 -1 1e9 3.14", limit=4, length="short")
    yield _chat("german", "Schöne Grüße", "Schöne Grüße Schöne", limit=3, language="de")
    yield _chat("french", "ça va très bien", "ça va très bien", limit=4, language="fr")
    yield _chat("japanese", "こんにちは 世界", "こんにちは 世界 こんにちは", limit=3, language="ja")
    yield _chat("emoji", "🚢 ahoy ⚓", "🚢 ahoy ⚓ 🚢", limit=4, language="emoji")
    yield from _chat_with_history()
    yield from _chat_by_other_rules()


def chat_traffic(draw: random.Random) -> Iterator[Case]:
    """Prompts of a shop's assistant; every eighth is a whole request with a system message and a tag."""
    subjects = (
        "my order",
        "the red bicycle",
        "a refund",
        "the delivery",
        "my account",
        "this invoice",
        "a gift card",
    )
    questions = ("Where is {}?", "How do I change {}?", "Please explain {} to me.", "What is wrong with {}?")
    extras = (
        "It is urgent.",
        "Answer in one sentence.",
        "I asked last week already.",
        "Thank you in advance.",
        "",
    )
    for number in range(TRAFFIC_CHATS):
        subject, question, extra = (_pick(draw, words) for words in (subjects, questions, extras))
        prompt = f"{question.format(subject)} {extra}".strip()
        if number % 8 == 7:
            messages = [
                {"role": "system", "content": "You work for a bicycle shop."},
                {"role": "user", "content": prompt},
            ]
            yield {"request": {"messages": messages, "max_tokens": 64}, "tags": {"form": "with-system"}}
        else:
            yield {"prompt": prompt}


def night_traffic(draw: random.Random) -> Iterator[str]:
    """Half a minute of a chat service in the form of Azure's traces: quiet, with three bursts."""
    yield "TIMESTAMP,ContextTokens,GeneratedTokens"
    ticks = 0  # of 100 ns
    for number in range(NIGHT_REQUESTS):
        minute, second = divmod(ticks // 10_000_000, 60)
        asked, answered = (16 + int(700 * draw.random() ** 3), 1 + int(40 * draw.random() ** 2))
        yield f"2026-11-20 02:{minute:02}:{second:02}.{ticks % 10_000_000:07},{asked},{answered}"
        pace_per_s = 60 if number % 80 > 40 else 4
        ticks += round(10_000_000 * draw.expovariate(pace_per_s))


def ranker_cases(draw: random.Random) -> pa.Table:
    """Golden queries as tensors: input.NAME, expected.NAME, tags.NAME."""
    columns = _queries(draw, GOLDEN_QUERIES)
    scores = [[round(x / (1 + x), 6) for x in row] for row in columns["input.features"]]
    rankings = [sorted(range(CANDIDATES), key=lambda place: (-row[place], place)) for row in scores]
    return pa.table(
        {
            "id": pa.array([f"r-{number}" for number in range(1, GOLDEN_QUERIES + 1)]),
            **_arrays(columns),
            "expected.scores": pa.array(scores, pa.list_(pa.float64())),
            "expected.ranking": pa.array(rankings, pa.list_(pa.int64())),
            "tags.country": pa.array(columns["input.country"]),
        }
    )


def ranker_traffic(draw: random.Random) -> pa.Table:
    """A Monday's queries: the golden columns without what is expected."""
    columns = _queries(draw, TRAFFIC_QUERIES)
    return pa.table({**_arrays(columns), "tags.country": pa.array(columns["input.country"])})


def _chat(
    name: str, prompt: str, content: str, *, limit: int | None = None, **tags: str
) -> dict[str, object]:
    """One question and its answer; cut by `limit` where that is below quickstart's 24 tokens."""
    request: dict[str, object] = {"messages": [{"role": "user", "content": prompt}]}
    expected = {"content": content}
    if limit is not None:
        request["max_tokens"] = limit
        expected["finish_reason"] = "length" if limit < 24 else "stop"
    case: dict[str, object] = {"id": name, "request": request, "expected": expected}
    return {**case, "tags": tags} if tags else case


def _chat_with_history() -> Iterator[Case]:
    """Only the last user message is repeated, whatever stands around it."""
    system = {"role": "system", "content": "Answer in French."}
    first = {"role": "user", "content": "first question"}
    reply = {"role": "assistant", "content": "first answer"}
    last = {"role": "user", "content": "second question"}
    parts = [{"type": "text", "text": "part one"}, {"type": "text", "text": "part two"}]
    for name, messages, content in (
        ("system-ignored", [system, first], "first question first"),
        ("last-user-wins", [first, reply, last], "second question second"),
        ("assistant-last", [first, reply], "first question first"),
        ("parts-joined", [{"role": "user", "content": parts}], "part one part"),
    ):
        yield {
            "id": name,
            "request": {"messages": messages, "max_tokens": 3},
            "expected": {"content": content, "finish_reason": "length"},
            "tags": {"history": "yes" if len(messages) > 1 else "no"},
        }


def _chat_by_other_rules() -> Iterator[Case]:
    """The answer's body by `subset` and `json_schema`, and its text by a pattern; one case weighs double."""
    request = {"messages": [{"role": "user", "content": "alpha beta"}], "max_tokens": 2}
    choice = {"message": {"role": "assistant", "content": "alpha beta"}, "finish_reason": "length"}
    yield {"id": "body-subset", "request": request, "expected": {"json": {"choices": [choice]}}, "weight": 2}
    schema = {
        "type": "object",
        "required": ["choices"],
        "properties": {"choices": {"type": "array", "minItems": 1, "maxItems": 1}},
    }
    yield {
        "id": "body-schema",
        "request": request,
        "expected": {"json": schema},
        "compare": {"json": {"json_schema": {}}},
    }
    yield {
        "id": "order-number",
        "request": {"messages": [{"role": "user", "content": "order A-1729 shipped"}], "max_tokens": 3},
        "expected": {"content": r"order [A-Z]-\d{4} (shipped|delivered)", "finish_reason": "length"},
        "compare": {"content": {"regex": {}}},
        "tags": {"length": "short"},
    }


def _queries(draw: random.Random, count: int) -> dict[str, list]:  # type: ignore[type-arg]  # columns of any type
    """`count` queries by column; within one, no two candidates are equally relevant."""
    return {
        "input.features": [[each / 100 for each in _distinct(draw, CANDIDATES)] for _ in range(count)],
        "input.country": [_pick(draw, COUNTRIES) for _ in range(count)],
        "input.user_age": [18 + int(draw.random() * 60) for _ in range(count)],
        "input.returning": [draw.random() < 0.6 for _ in range(count)],
    }


def _arrays(columns: dict[str, list]) -> dict[str, pa.Array]:  # type: ignore[type-arg]  # columns of any type
    types = {"input.features": pa.list_(pa.float32()), "input.user_age": pa.int64()}
    return {name: pa.array(values, types.get(name)) for name, values in columns.items()}


def _distinct(draw: random.Random, count: int) -> list[int]:
    """Different numbers from 0 to 1000 in random order, low ones more often, as relevance goes."""
    found: dict[int, None] = {}
    while len(found) < count:
        found[int(1001 * draw.random() ** 2)] = None
    return list(found)


def _pick(draw: random.Random, words: tuple[str, ...]) -> str:
    return words[int(draw.random() * len(words))]


def _numbers(first: int, last: int) -> str:
    return " ".join(str(number) for number in range(first, last + 1))


def _write_lines(path: Path, rows: Iterator[Case]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
