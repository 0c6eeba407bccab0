import pytest

from workers.contract.errors import ProtocolError
from workers.contract.files.conversation import is_script, messages_of, proving, said, script_of

USER = {"role": "user", "content": "u"}
SYSTEM = {"role": "system", "content": "s"}


def human(text):
    return {"from": "human", "value": text}


def test_a_script_is_a_list_of_texts_or_messages():
    assert is_script({"turns": ["a"]})
    assert not is_script({"turns": "a", "prompt": "b"})
    assert script_of({"turns": ["a", USER]}) == [[{"role": "user", "content": "a"}], [USER]]


def test_of_a_shared_conversation_users_and_system_speak():
    told = [{"from": "system", "value": "s"}, human("a"), {"from": "gpt", "value": "x"}, human("b")]
    assert is_script({"conversations": told})
    first, second = script_of({"conversations": told})
    assert first == [SYSTEM, {"role": "user", "content": "a"}]
    assert second == [{"role": "user", "content": "b"}]


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"turns": []}, "at least one turn"),
        ({"prompt": "a"}, "where one row holds a whole conversation all do"),
        ({"turns": [3]}, "a turn is text"),
        ({"turns": [{"role": "user"}]}, "a turn is text"),
        ({"conversations": ["a"]}, '{"from": "human"'),
        ({"conversations": [{"from": "gpt", "value": "x"}]}, "is from a human"),
    ],
)
def test_what_is_no_conversation_is_said(row, named):
    with pytest.raises(ProtocolError, match=named):
        script_of(row)


def test_a_plain_row_is_one_turn_and_system_messages_stand_at_the_beginning_alone():
    assert messages_of({"prompt": "u"}, first=True) == [USER]
    assert messages_of({"messages": [SYSTEM, USER]}, first=True) == [SYSTEM, USER]
    assert messages_of({"messages": [SYSTEM, USER]}, first=False) == [USER]
    with pytest.raises(ProtocolError, match='"messages" or "prompt"'):
        messages_of({"text": "u"}, first=True)


def test_a_rows_other_keys_stay_in_each_request():
    row = {"turns": ["a"], "max_tokens": 3}
    assert said(row, [USER]) == {"max_tokens": 3, "messages": [USER]}
    assert said({"prompt": "u", "seed": 1}, [USER]) == {"seed": 1, "messages": [USER]}


def test_each_turn_of_a_row_is_proved_and_all_rows_are_as_the_first():
    built = []
    prove = proving(built.append)
    prove({"turns": ["a", "b"], "max_tokens": 1})
    assert [one["messages"][0]["content"] for one in built] == ["a", "b"]
    with pytest.raises(ProtocolError, match="where one row"):
        prove({"prompt": "c"})
