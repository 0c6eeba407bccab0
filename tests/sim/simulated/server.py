"""The one Redis: up, hung, gone or failing over; and the client that production code is given for it."""

from types import SimpleNamespace

import redis
from simulated.data import Data
from simulated.twins import twin_of
from simulated.world import BEGAN_S

from workers.contract.broker import names

NOT_ALL = object()
"""A blocking read found nothing yet."""


class Server:
    """`offset_s`: its clock less true time. `life`: its run id. `hung`: calls wait in its socket."""

    def __init__(self, world):
        self.world = world
        self.offset_s = 0.0
        self.life, self.began_s = 1, -1.0  # what is submitted came later
        self.up, self.hung = True, False
        self.waiting = []
        self.blocked = []
        self.watchers = []
        self.caller, self.leaders = None, {}
        self.data = Data(self.now_s, self._added, self._replaced)

    def now_s(self):
        """Redis TIME in seconds: the common clock."""
        return BEGAN_S + self.world.now_s + self.offset_s

    @staticmethod
    def twin(text):
        """The Python twin of a script."""
        return twin_of(text)

    def info(self):
        """What INFO says, as far as production looks."""
        return {
            "run_id": f"life-{self.life}",
            "server_time_usec": int(self.now_s() * 1e6),
            "uptime_in_seconds": int(self.now_s()) - int(self.now_s() - self.world.now_s + self.began_s),
            "role": "master",
            "connected_slaves": 1,
            "slave0": {"state": "online"},
        }

    def execute(self, do, answer, waits_s=0.0):
        """Do what a call asks for, once it is here."""
        if not self.up:
            answer.fail(redis.ConnectionError("Connection refused"))
            return
        if self.hung:
            self.waiting.append((do, answer, waits_s))
            answer.may_be_late()
            return
        self.caller = answer.thread.process
        try:
            value = do(self.data)
        except redis.RedisError as error:
            value = error
        leader = self.data.keys.get(names.LEADER)
        if leader:
            self.leaders.setdefault(leader.get(b"nonce"), self.caller)
        self.caller = None
        if value is NOT_ALL and waits_s > 0:
            self.blocked.append((do, answer))
            self.world.after(waits_s, self._give_up, do, answer)
        else:
            answer.give(None if value is NOT_ALL else value)

    def _give_up(self, do, answer):
        if (do, answer) in self.blocked:
            self.blocked.remove((do, answer))
            answer.give([])

    def _added(self, key, body):
        if self.blocked and key == names.INBOX:
            self.world.after(0.0, self._look_again)
        for watcher in self.watchers:
            watcher(key, body)

    def _replaced(self, key, field, before):
        if key.endswith(":claims"):
            self.world.breaks(f"attempt {field.decode()} was {before.decode()}'s and is claimed by another")

    def is_leaders(self):
        """Whether who calls now holds the lead, or is no coordinator."""
        leader = self.data.keys.get(names.LEADER) or {}
        return self.caller is None or self.leaders.get(leader.get(b"nonce"), self.caller) is self.caller

    def _look_again(self):
        for do, answer in list(self.blocked):
            value = do(self.data)
            if value is not NOT_ALL:
                self.blocked.remove((do, answer))
                answer.give(value)

    # what befalls it

    def go_down(self):
        """It is gone: connections break, and what waited for it was not done."""
        self.up, self.hung = False, False
        for _, answer, *_ in [*self.waiting, *self.blocked]:
            answer.fail(redis.ConnectionError("Connection closed by server"))
        self.waiting.clear()
        self.blocked.clear()

    def come_back(self, *, forgets_s=0.0, steps_s=0.0):
        """Another life: a failover forgets the last moments but for what WAIT covered; how many writes.

        `steps_s`: how much its clock differs from that of the life before.
        """
        gone = self.data.forget(self.now_s() - forgets_s) if forgets_s else self.data.forget(float("inf"))
        self.life += 1
        self.began_s = self.world.now_s
        self.offset_s += steps_s
        self.up = True
        return gone

    def hang(self):
        """It answers nobody."""
        self.hung = self.up

    def unhang(self):
        """It does all that has come meanwhile, though many who asked have given up."""
        if self.hung:
            self.hung = False
            waiting, self.waiting = self.waiting, []
            for do, answer, waits_s in waiting:
                self.execute(do, answer, waits_s)


class Client:
    """What production code is given for redis-py's client: one connection, made again after it broke.

    `connecting`: called before each new connection, may refuse it.
    """

    def __init__(self, network, connecting=None):
        self.network, self.connecting = network, connecting
        self.life = None
        self.connection_pool = SimpleNamespace(disconnect=self._disconnect)

    def _disconnect(self):
        self.life = None

    def call(self, do, *, waits_s=0.0):
        """Have something done over the connection. Raises redis errors, after which it is a new one."""
        server, life = self.network.server, self.life
        if life is None and self.connecting is not None:
            self.connecting()

        def checked(data):
            if life not in (None, server.life):
                raise redis.ConnectionError("Connection closed by server.")
            self.life = server.life
            return do(data)

        try:
            return self.network.call(checked, waits_s=waits_s)
        except (redis.ConnectionError, redis.TimeoutError):
            self.life = None
            raise

    def register_script(self, text):
        """As redis-py: a callable with `keys` and `args`."""
        twin = twin_of(text)
        return lambda keys=(), args=(): self.call(lambda data: twin(data, keys, args))

    def eval(self, text, count, *words):
        """As redis-py."""
        twin = twin_of(text)
        return self.call(lambda data: twin(data, words[:count], words[count:]))

    def info(self, section=None):
        """Only what production looks at."""
        return self.call(lambda _: self.network.server.info())

    def xread(self, streams, count=None, block=None):
        """As redis-py; `block` in ms."""
        if not block:
            return self.call(lambda data: data.xread(streams, count))

        def look(data):
            for key, after in streams.items():
                if after == "$":
                    newest = data.xrevrange(key, count=1)
                    streams[key] = newest[0][0] if newest else b"0-0"
            return data.xread(streams, count) or NOT_ALL

        return self.call(look, waits_s=block / 1000)

    def pipeline(self, transaction=False):  # noqa: FBT002  # as redis-py
        """As redis-py: all at once at `execute`."""
        return Pipeline(self)

    def __getattr__(self, name):
        return lambda *given, **named: self.call(lambda data: getattr(data, name)(*given, **named))


class Pipeline:
    """Commands that go together and are answered together."""

    def __init__(self, client):
        self.client, self.commands = client, []

    def eval(self, text, count, *words):
        """Queue a script."""
        twin = twin_of(text)
        self.commands.append(lambda data: twin(data, words[:count], words[count:]))
        return self

    def info(self, section=None):
        """Queue INFO."""
        self.commands.append(lambda _: self.client.network.server.info())
        return self

    def execute(self):
        """Carry them out."""
        commands, self.commands = self.commands, []
        if not commands:
            return []
        return self.client.call(lambda data: [do(data) for do in commands])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __getattr__(self, name):
        def queue(*given, **named):
            self.commands.append(lambda data: getattr(data, name)(*given, **named))
            return self

        return queue
