"""Commands that people put into experiments, and what each is here."""

import pytest

from orchestrator.chaostoolkit.commands import meaning_of_command
from orchestrator.chaostoolkit.experiment import Command
from orchestrator.chaostoolkit.meanings import Pause, Undo, Unmapped


def _meaning(text):
    program, _, words = text.partition(" ")
    return meaning_of_command(Command(program, (), words))


@pytest.mark.parametrize(
    ("text", "fault", "options", "match"),
    [
        ("pkill -9 -f 'python serve.py'", "kill-process", {"signal": "KILL"}, {"cmdline": "python serve.py"}),
        ("pkill --signal SIGTERM nginx", "kill-process", {"signal": "TERM"}, {"name": "nginx"}),
        ("pkill nginx", "kill-process", {"signal": "TERM"}, {"name": "nginx"}),
        ("pkill -HUP -F /run/x.pid", "kill-process", {"signal": "HUP"}, {"pidfile": "/run/x.pid"}),
        ("killall -s 9 worker", "kill-process", {"signal": "KILL"}, {"name": "worker", "processes": "all"}),
        ("kill -9 $(cat /run/x.pid)", "kill-process", {"signal": "KILL"}, {"pidfile": "/run/x.pid"}),
        ("sudo kill -STOP `cat /run/x.pid`", "pause-process", {}, {"pidfile": "/run/x.pid"}),
        ("stress-ng -c 4 -l 50 -t 1m", "cpu", {"cores": 4, "load": "50%"}, None),
        ("stress --cpu 0", "cpu", {"load": "100%"}, None),
        ("stress-ng --vm 2 --vm-bytes 1g", "memory", {"size": "2GiB"}, None),
        ("stress-ng --vm 1 --vm-bytes 80%", "memory", {"share": "80%"}, None),
        (
            "stress-ng --hdd 2 --temp-path /data",
            "disk-io",
            {"path": "/data", "mode": "write", "jobs": 2},
            None,
        ),
        (
            "tc qdisc add dev eth1 root netem delay 10ms 2ms rate 8mbit",
            "netem",
            {"device": "eth1", "delay": "10ms", "jitter": "2ms", "rate": "1000000B/s"},
            None,
        ),
        (
            "iptables -I INPUT -s 10.0.0.9 -j DROP",
            "packet-drop",
            {"direction": "in", "hosts": ["10.0.0.9"]},
            None,
        ),
        ("fallocate -l 500M /tmp/full", "disk-fill", {"path": "/tmp", "size": "500MiB"}, None),
        (
            "iptables -A OUTPUT -p tcp -m multiport --dports 80,443 -d 10.0.0.8,10.0.0.9 -j DROP",
            "packet-drop",
            {
                "direction": "out",
                "ports": [80, 443],
                "hosts": ["10.0.0.8", "10.0.0.9"],
                "transport": "tcp",
            },
            None,
        ),
        ("/opt/break --now", "command", {"inject": ["break", "--now"]}, None),
        (
            "sudo -n -u root env LANG=C A=b timeout -s KILL 5 pkill nginx",
            "kill-process",
            {"signal": "TERM"},
            {"name": "nginx"},
        ),
        ("bash -c 'pkill -9 nginx'", "kill-process", {"signal": "KILL"}, {"name": "nginx"}),
        ("sh ./break.sh now", "command", {"inject": ["break.sh", "now"]}, None),
    ],
)
def test_a_command_is_the_fault_that_it_is(text, fault, options, match):
    wanted = _meaning(text)
    assert (wanted.fault, wanted.options, wanted.match) == (fault, options, match)


@pytest.mark.parametrize(
    "text",
    [
        "kill -9 4711",
        "pkill -9",
        "tc qdisc show",
        "bash -c 'a; b'",
        "sh -x",
        "iptables -L",
        "iptables -A INPUT ! -s 10.0.0.1 -j DROP",
        "iptables -A INPUT -p tcp --dport 8000:8010 -j DROP",
        "echo hello",
        "vegeta attack -rate=10",
    ],
)
def test_what_cannot_be_read_from_its_words_says_why(text):
    meaning = _meaning(text)
    assert isinstance(meaning, Unmapped)
    assert meaning.why


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("pkill -STOP -f api", "pkill -CONT -f api"),
        ("tc qdisc add dev lo root netem loss 5%", "tc qdisc del dev lo root netem"),
        ("iptables -A OUTPUT -d 10.0.0.9 -j DROP", "iptables -D OUTPUT -d 10.0.0.9 -j DROP"),
        ("fallocate -l 1G /tmp/full", "rm -f /tmp/full"),
    ],
)
def test_a_command_that_takes_another_back_is_its_end(begins, ends):
    assert _meaning(ends) == Undo(_meaning(begins).undo)


def test_a_sleep_is_a_pause():
    assert _meaning("sleep 2m") == Pause(120.0)
    assert _meaning("stress-ng --cpu 1 --timeout 90s").for_s == 90.0


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("stress-ng --cpu 2 --vm 1 --vm-bytes 1g", "--vm: only --cpu is done"),
        ("tc qdisc add dev eth0 root netem delay 1s 1ms distribution normal", "netem's distribution"),
        ("iptables -A INPUT -i eth1 -p tcp --dport 80 -j DROP", "-i eth1: the fault reaches further"),
        ("iptables -A INPUT -p tcp --dport 80 -j REJECT", "REJECT: packets are dropped here"),
    ],
)
def test_what_a_fault_does_not_do_of_a_command_is_told(text, lost):
    (told,) = _meaning(text).lost
    assert told.startswith(lost)


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("systemctl stop redis", "systemctl start redis"),
        ("docker pause web", "docker unpause web"),
        ("ip link set eth1 down", "ip link set eth1 up"),
    ],
)
def test_an_opposite_of_a_command_is_for_the_same_fault(begins, ends):
    assert _meaning(begins).undo == _meaning(ends).undo
    assert _meaning(begins).undo != _meaning(f"{ends} more").undo
