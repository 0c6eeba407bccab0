"""What is kept, sent again and forgotten."""

from workers.fleet.outbox import Item, Outbox, Settled


def item(seq: int, *, attempt: str = "a", campaign: str = "c", size: int = 10) -> Item:
    return Item(campaign, attempt, "stream", f"1-{seq}", seq, b"x" * size)


def drain(outbox: Outbox) -> list[int]:
    seqs = []
    while (next_one := outbox.wait(0)) is not None:
        seqs.append(next_one.seq)
        outbox.sent(next_one)
    return seqs


def test_items_leave_in_order_and_stay_until_they_are_said_to_be_sent():
    outbox = Outbox()
    for seq in (1, 2):
        outbox.put(item(seq))
    assert outbox.wait(0) is outbox.wait(0)
    assert drain(outbox) == [1, 2]
    assert outbox.wait_empty(0)


def test_after_a_failover_everything_not_yet_durable_goes_first_again():
    outbox = Outbox()
    for seq in (1, 2, 3):
        outbox.put(item(seq))
    drain(outbox)
    outbox.put(item(4))
    outbox.forget("a", campaign="c", up_to_seq=2)
    outbox.send_again()
    assert drain(outbox) == [3, 4]


def test_an_item_in_the_act_of_being_sent_survives_a_failover():
    outbox = Outbox()
    outbox.put(item(1))
    drain(outbox)
    outbox.put(item(2))
    going = outbox.wait(0)
    outbox.send_again()
    outbox.sent(going)
    assert drain(outbox) == [1, 2]


def test_a_checkpoint_lets_go_of_snapshots_only():
    outbox = Outbox()
    for each in (item(0), item(1), item(1, attempt="b")):
        outbox.put(each)
    drain(outbox)
    outbox.forget("a", campaign="c", up_to_seq=9)
    assert outbox.attempts() == {"c": ("a", "b")}
    outbox.forget_campaign("c")
    assert outbox.attempts() == {}


def test_room_is_made_of_what_was_sent_and_then_of_the_oldest_unsent():
    one = item(1).size_bytes
    outbox = Outbox(most_bytes=3 * one)
    for seq in (1, 2):
        outbox.put(item(seq))
    drain(outbox)
    for seq in (3, 4, 5):
        outbox.put(item(seq))
    assert outbox.given_up == 0
    outbox.put(item(6))
    assert outbox.given_up == 1
    assert drain(outbox) == [4, 5, 6]


def test_facts_are_never_given_up_and_what_is_stands_in_the_log(caplog):
    one = item(1).size_bytes
    outbox = Outbox(most_bytes=3 * one)
    for seq in (0, 1, 0, 2, 0, 3, 0):
        outbox.put(item(seq))
    assert drain(outbox) == [0, 0, 0, 0]
    assert outbox.given_up == 3
    assert [message.partition(",")[0] for message in caplog.messages] == [
        f"Redis has been away for so long that {count} snapshots were given up" for count in (1, 2)
    ]


def test_what_a_checkpoint_holds_is_forgotten_only_when_it_has_for_long(monkeypatch):
    outbox, settled = Outbox(), Settled()
    for each in (item(1), item(2)):
        outbox.put(each)
    drain(outbox)
    settled.forget(outbox, {"c": {"a": 2}})
    outbox.send_again()
    assert drain(outbox) == [1, 2], "another server may lack the checkpoint"
    settled = Settled()
    settled.forget(outbox, {"c": {"a": 1}})
    monkeypatch.setattr("workers.fleet.outbox.KEPT_FOR_S", 0.0)
    settled.forget(outbox, {"c": {"a": 1}})
    outbox.send_again()
    assert drain(outbox) == [2]
    settled.forget(outbox, {"c": None})
    assert outbox.attempts() == {}
