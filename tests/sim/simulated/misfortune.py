"""What goes wrong in one simulation: drawn beforehand from its seed, so that it can be read and replayed."""

from functools import partial

from simulated.network import Weather

THEMES = (
    ("_do_",),
    ("_do_",),
    ("worker", "engine", "cut"),
    ("stop_worker", "cut", "weather"),
    ("coordinator", "cut", "worker"),
    ("server", "replica", "fail_over"),
    ("empty", "kill", "cut"),
    ("fail_over", "replica", "cut", "kill_coordinator", "stop_worker"),
    ("drain", "kill", "cut", "slow"),
    ("drain", "slow", "stop_engine", "kill_coordinator"),
    ("lose_power", "kill", "cut", "stop_worker", "drain"),
)
"""Words of the kinds that a seed draws from: some things go wrong only together."""
BUSY_SHARE = 0.75
"""Of misfortunes that befall a worker at work, rather than anybody."""
FAR_S = 0.3
"""Between a part's loss and its supervisor's next try, at least."""


class Misfortune:
    """Everything that befalls a fleet until `until_s`; `events`: (time, words), as planned."""

    def __init__(self, fleet, *, until_s, most, theme=None):
        self.fleet, self.world, self.until_s = fleet, fleet.world, until_s
        self.dice = self.world.dice
        self.events = []
        drawn = self.dice.choice(THEMES)
        theme = drawn if theme is None else theme
        kinds = [
            getattr(self, name)
            for name in sorted(dir(self))
            if name.startswith("_do_") and any(word in name for word in theme)
        ]
        for _ in range(self.dice.randint(1, most) if most else 0):
            self._plan(self.dice.choice(kinds))

    def _plan(self, kind):
        at_s = self.dice.uniform(0.2, 1.0) + self.dice.random() * self.until_s
        words, begin, end, lasts_s = kind()
        self.events.append((at_s, words))
        self.world.at(at_s, self._happens, words, begin)
        if end is not None:
            self.world.at(at_s + lasts_s, self._happens, f"{words}: over", end)

    def _happens(self, words, do):
        self.world.tell("chance", words)
        do()

    def _worker(self):
        """A worker, drawn when it is first asked for: most often one that works at something."""
        drawn = []

        def name():
            if not drawn:
                everybody = sorted(self.fleet.workers)
                busy = [one for one in everybody if self.fleet.workers[one].held]
                drawn.append(
                    self.dice.choice(busy if busy and self.dice.random() < BUSY_SHARE else everybody)
                )
                self.world.tell("chance", "it is {}", drawn[0])
            return drawn[0]

        return name

    def _coordinator(self):
        return self.dice.choice(sorted(self.fleet.hosts.keys() - self.fleet.workers.keys()))

    # of workers

    def _do_kill_worker(self):
        name, pause_s = self._worker(), FAR_S + self.dice.expovariate(0.3)

        def kill():
            self.fleet.workers[name()].kill()

        return (
            f"kill -9 of a worker, started again after {pause_s:.1f} s",
            kill,
            lambda: self.fleet.start_worker(name()),
            pause_s,
        )

    def _do_stop_worker(self):
        name, lasts_s = self._worker(), self.dice.uniform(0.5, 12)
        return self._stopped(lambda: self.fleet.workers[name()], "SIGSTOP of a worker", lasts_s)

    def _do_kill_engine(self):
        name, pick = self._worker(), self.dice.random()

        def kill():
            engine = self._engine(name(), pick)
            if engine is not None:
                engine.kill()

        return "an engine dies", kill, None, 0

    def _do_stop_engine(self):
        name, pick, lasts_s = self._worker(), self.dice.random(), self.dice.uniform(0.5, 18)
        return self._stopped(lambda: self._engine(name(), pick), "SIGSTOP of an engine", lasts_s)

    def _do_drain_worker(self):
        name, pause_s = self._worker(), self.dice.uniform(3, 15)
        return (
            f"SIGTERM of a worker, started again after {pause_s:.1f} s",
            lambda: self._drain(name()),
            lambda: self._after_drain(name()),
            pause_s,
        )

    def _drain(self, name):
        worker = self.fleet.workers[name]
        worker.does(worker.drain)

    def _after_drain(self, name):
        if self.fleet.workers[name].alive and self.fleet.workers[name].draining:
            self.fleet.workers[name].kill()
        self.fleet.start_worker(name)

    def _engine(self, name, pick):
        found = [
            one.engine
            for one in self.fleet.workers[name].attempts.values()
            if one.engine is not None and one.engine.alive and not one.engine.over
        ]
        return found[int(pick * len(found))] if found else None

    # of coordinators

    def _do_kill_coordinator(self):
        name, pause_s = self._coordinator(), FAR_S + self.dice.expovariate(0.2)

        def kill():
            if name in self.fleet.coordinators:
                self.fleet.coordinators[name].kill()

        return (
            f"kill -9 {name}, started again after {pause_s:.1f} s",
            kill,
            partial(self.fleet.start_coordinator, name),
            pause_s,
        )

    def _do_stop_coordinator(self):
        name, lasts_s = self._coordinator(), self.dice.uniform(0.5, 15)
        return self._stopped(lambda: self.fleet.coordinators.get(name), f"SIGSTOP of {name}", lasts_s)

    def _do_stalls_of_coordinators(self):
        names = sorted(self.fleet.hosts.keys() - self.fleet.workers.keys())
        return self._stalls(lambda: names, "coordinators", self.dice.uniform(2, 10))

    def _do_stalls_of_a_worker(self):
        name = self._worker()
        return self._stalls(lambda: [name()], "a worker", self.dice.uniform(2, 10))

    def _stalls(self, who, words, lasts_s):
        share = self.dice.choice((0.01, 0.03, 0.1))

        def begin():
            self.fleet.network.stalls.update(dict.fromkeys(who(), share))

        def end():
            for name in who():
                self.fleet.network.stalls.pop(name, None)

        return f"{words}: stops in {share:.0%} of its calls for {lasts_s:.1f} s", begin, end, lasts_s

    def _stopped(self, who, words, lasts_s):
        held = []

        def stop():
            process = who()
            if process is not None and process.alive:
                held.append(process)
                process.stop()

        return f"{words} for {lasts_s:.1f} s", stop, lambda: [one.cont() for one in held], lasts_s

    # of the network

    def _host(self):
        """A host, most often a worker's, drawn when it is first asked for."""
        name, other = self._worker(), self._coordinator()
        is_worker = self.dice.random() < BUSY_SHARE
        return lambda: self.fleet.hosts[name() if is_worker else other]

    def _do_cut_host(self):
        host, lasts_s, how = (
            self._host(),
            self.dice.uniform(0.3, 12),
            self.dice.choice(("both", "both", "back")),
        )

        def cut():
            host().cut = how

        def heal():
            host().cut = ""

        words = "cut off" if how == "both" else "half cut off: it hears nothing"
        return f"a host is {words} for {lasts_s:.1f} s", cut, heal, lasts_s

    def _do_slow_host(self):
        host, lasts_s, slow_s = self._host(), self.dice.uniform(1, 12), self.dice.choice((0.2, 0.8, 1.2))

        def begin():
            host().slow_s = slow_s

        def end():
            host().slow_s = 0.0

        return f"a host's calls take up to {slow_s:g} s more for {lasts_s:.1f} s", begin, end, lasts_s

    def _do_weather(self):
        lasts_s = self.dice.uniform(1, 12)
        weather = Weather(
            lost=self.dice.choice((0.0, 0.05, 0.3)),
            slow=self.dice.choice((0.0, 0.1, 0.5)),
            slow_s=self.dice.choice((0.1, 0.6, 1.5)),
            late=self.dice.choice((0.0, 0.05, 0.2)),
        )

        def begin():
            self.fleet.network.weather = weather

        def end():
            self.fleet.network.weather = Weather()

        return f"{weather} for {lasts_s:.1f} s", begin, end, lasts_s

    # of Redis

    def _do_restart_server(self):
        lasts_s = self.dice.choice((0.1, 0.5, 2.0, 6.0, 20.0))
        server = self.fleet.server
        return f"Redis is gone for {lasts_s:.1f} s", server.go_down, self._come_back, lasts_s

    def _come_back(self, forgets_s=0.0, steps_s=0.0):
        server = self.fleet.server
        if not server.up:
            gone = server.come_back(forgets_s=forgets_s, steps_s=steps_s)
            self.fleet.watch.forgets(server.data)
            self.world.tell("redis", "is back, life {}; it forgot {} writes", server.life, gone)

    def _do_empty_server(self):
        lasts_s, server = self.dice.choice((0.1, 1.0, 5.0)), self.fleet.server

        def come_back():
            if not server.up:
                server.data.empty()
                self._come_back()

        return (
            f"Redis is gone for {lasts_s:.1f} s and comes back without its data",
            server.go_down,
            come_back,
            lasts_s,
        )

    def _do_lose_power(self):
        """The host of Redis and of all coordinators: what was not on its disk yet nobody remembers."""
        lasts_s, forgets_s = self.dice.choice((0.5, 2.0, 6.0, 20.0)), self.dice.choice((0.1, 0.5, 1.0, 2.0))
        everybody = sorted(self.fleet.hosts.keys() - self.fleet.workers.keys())

        def go_down():
            self.fleet.server.go_down()
            for name in everybody:
                if name in self.fleet.coordinators:
                    self.fleet.coordinators[name].kill()

        def come_back():
            self._come_back(forgets_s + lasts_s)
            for name in everybody:
                self.fleet.start_coordinator(name)

        words = f"the host of Redis loses its power for {lasts_s:.1f} s, and with it the last {forgets_s:g} s"
        return words, go_down, come_back, lasts_s

    def _do_hang_server(self):
        lasts_s = self.dice.uniform(0.5, 12)
        return f"Redis hangs for {lasts_s:.1f} s", self.fleet.server.hang, self.fleet.server.unhang, lasts_s

    def _do_stall_replica(self):
        lasts_s, data = self.dice.uniform(0.5, 5), self.fleet.server.data

        def stall():
            data.stalled = True

        def follow():
            data.stalled = False

        return f"no replica follows for {lasts_s:.1f} s", stall, follow, lasts_s

    def _do_fail_over(self):
        if not self.fleet.replicated:
            return self._do_restart_server()
        lasts_s, forgets_s = self.dice.uniform(0.5, 4), self.dice.choice((0.1, 0.5, 1.0, 8.0))
        steps_s = self.dice.uniform(-0.2, 0.2)
        words = f"failover in {lasts_s:.1f} s, without the last {forgets_s:g} s, its clock {steps_s:+.2f} s"
        return (
            words,
            self.fleet.server.go_down,
            lambda: self._come_back(forgets_s + lasts_s, steps_s),
            lasts_s,
        )

    # of people

    def _do_halt(self):
        lasts_s = self.dice.uniform(4, 12)
        return "the red button", self.fleet.halt, self.fleet.resume, lasts_s

    def _do_abort(self):
        id_ = self.dice.choice(sorted(self.fleet.plans.texts))
        return f"an abort of {id_}", partial(self.fleet.abort, id_), None, 0
