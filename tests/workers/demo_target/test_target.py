import asyncio

from workers.demo_target import routes
from workers.demo_target.answer import Reply
from workers.demo_target.http1 import Request
from workers.demo_target.settings import Settings
from workers.demo_target.target import Slots, Target

CHAT = Request(
    "POST",
    "/v1/chat/completions",
    {},
    b'{"messages":[{"role":"user","content":"a"}],"stream":true}',
    "HTTP/1.1",
)


def refusals(settings: Settings, count: int) -> list[int]:
    target = Target(settings, None)
    answers = [target.answer(routes.find(CHAT.path), CHAT) for _ in range(count)]
    return [number for number, answer in enumerate(answers) if isinstance(answer, Reply)]


def test_the_seed_says_which_requests_are_refused():
    chosen = refusals(Settings(error_share=0.1, seed=7), 2000)
    assert chosen == refusals(Settings(error_share=0.1, seed=7), 2000)
    assert chosen != refusals(Settings(error_share=0.1, seed=8), 2000)
    assert 140 < len(chosen) < 260
    assert refusals(Settings(), 100) == []


def test_what_is_no_inference_does_not_move_the_choice():
    target = Target(Settings(error_share=0.5, seed=3), None)
    health = Request("GET", "/health", {}, b"", "HTTP/1.1")
    broken = Request("POST", CHAT.path, {}, b"{", "HTTP/1.1")
    chosen = []
    for number in range(100):
        assert target.answer(routes.find("/health"), health).status == 200
        assert target.answer(routes.find(CHAT.path), broken).status == 400
        if isinstance(target.answer(routes.find(CHAT.path), CHAT), Reply):
            chosen.append(number)
    assert chosen == refusals(Settings(error_share=0.5, seed=3), 100)


def test_slots_let_the_next_in_line_start_when_one_leaves():
    async def play() -> list[str]:
        slots, started = Slots(1), []

        def first():
            started.append("first")

        def second():
            started.append("second")

        def third():
            started.append("third")

        for start in (first, second, third):
            slots.enter(start)
        assert (slots.running, slots.waiting) == (1, 2)
        slots.leave(second)
        slots.leave(first)
        await asyncio.sleep(0)
        assert (slots.running, slots.waiting) == (1, 0)
        slots.leave(third)
        assert slots.running == 0
        return started

    assert asyncio.run(play()) == ["first", "third"]
