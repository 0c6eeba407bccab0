"""What each key of the campaign file is for, in a sentence or two: the words of docs/campaign.md.

Keyed by `Part` and `Part.key`; a part is a model's name, `Activity` for keys of the kinds of activity. A key
without words, or words without a key, stop the reference from being written.
"""

from collections.abc import Mapping
from typing import Final

CAMPAIGN: Final[Mapping[str, str]] = {
    "Campaign.campaign": "Its name. A run is called by it, its start time and four random characters.",
    "Campaign.description": "Text for people, shown in the report.",
    "Campaign.seed": "Seed of every random choice; without one it is drawn, printed and kept in the report.",
    "Campaign.targets": "The services that are tested, by name. At most one of them is a monitor.",
    "Campaign.phases": "What is done, one phase after another.",
    "Campaign.slos": "Objectives of every load and soak, besides their own.",
    "Campaign.abort_if": (
        "Checked every second over all running loads and soaks together, on a trailing window (`over`, 1m). "
        "Where one is true the campaign stops, faults are reverted and the verdict is fail."
    ),
    "Campaign.on_lost_coordinator": (
        "How long traffic and faults go on when no coordinator can be reached. Also the longest gap that "
        "a lost worker leaves in the schedule."
    ),
    "Campaign.place_within": "A phase whose shards are not all ready by then makes the campaign invalid.",
    "Campaign.validity": "Beyond these limits the test is to blame, not the target.",
    "Campaign.samples": "Share of the requests whose details are kept, for each load, soak and search.",
    "Campaign.prices": "What the target costs; needed by `cost_per_1k_requests` and `cost_per_1k_tokens`.",
    "Campaign.gameday": "Windows, blackouts, roles and approvals.",
    "Campaign.priority": (
        "Which of two waiting campaigns begins first: the higher one, then the older. One that has begun is "
        "never interrupted."
    ),
    "Campaign.share_target": (
        "Whether it may load its targets beside other campaigns that say so too, while all of them together "
        "stay under the lowest `rate_limit` there. Else a target is one campaign's from its first phase to "
        "its end."
    ),
    "Campaign.protect": "Labels of workers whose hosts never get a fault, whatever `where` says.",
    "Campaign.comparison": "How much worse than an earlier run a number may be.",
    "Validity.achieved": "Least share of the scheduled arrivals that the generator managed to send.",
    "Validity.coverage": "Least share of the scheduled arrivals that was both sent and observed.",
    "Validity.lag_p99": (
        "Beyond it a pass on `itl`, `tpot`, `ttft_sent`, `service_time` or a success rate is inconclusive."
    ),
    "Validity.start_skew": "Most time between the first arrivals of a phase's shards.",
    "Prices.machine_hour": "Price of one machine for an hour.",
    "Prices.machines": "How many machines serve the target.",
    "Prices.kwh": "Price of a kilowatt-hour.",
    "Prices.currency": "Three letters; bounds in any other currency than USD name it: `0.02 EUR`.",
    "GameDay.window": "When phases with faults may run.",
    "GameDay.blackout": "Days on which nothing runs: one, or FIRST..LAST with both included.",
    "GameDay.roles": (
        "Role to address. A key speaks for a role if a coordinator knows it by the role's name, or by the "
        "address's before the @."
    ),
    "GameDay.approvals": "Phase to who must approve it.",
    "GameDay.runbook": "What people do: a list of steps, each a text or a mapping.",
    "GameDay.announce": (
        'Webhook that is told of start, approvals, faults, abort and end, as `{"text": ...}`. Secrets in it '
        "are those of the coordinator, which lets only hosts of its `--announce-to` be told."
    ),
    "GameDay.silence": (
        "What Alertmanager keeps quiet from the first fault of a phase to the phase's end: names of alerts, "
        "or mappings. What is quiet still fires in Prometheus, and is judged."
    ),
    "Silence.alert": "Name of an alert.",
    "Silence.matchers": (
        'Labels that it must have too, as Alertmanager writes them: `severity="page"`, `team=~"a|b"`.'
    ),
    "GameDay.tabletop": "Rehearse: nothing is sent or injected, each fault is told at its time.",
    "RunbookStep.name": "By which `shakeout done` ticks it; without one it is step-1, step-2, ...",
    "RunbookStep.text": "What to do. A step has a text, a command, or both.",
    "RunbookStep.command": "A command for a person to run; Shakeout shows it and runs nothing.",
    "RunbookStep.by": "The role whose step it is.",
    "RunbookStep.phase": "The phase that it belongs to.",
    "Window.days": "Days of the week.",
    "Window.from": "From this time of day, HH:MM in quotes.",
    "Window.to": "Until this time of day.",
    "Window.timezone": "IANA name, for example Europe/Berlin.",
    "Approval.by": "A role.",
    "Approval.within": "How long the phase waits for it; then the campaign is aborted.",
}

TARGETS: Final[Mapping[str, str]] = {
    "Target.protocol": "How a row becomes a request and an answer is read; see the table of protocols.",
    "Target.url": "Address of the service. Exactly one of `url` and `demo`.",
    "Target.demo": "`run` starts one of this shape on loopback; its worker is labelled model-server.",
    "Target.model": "Name of the model in requests; optional for json-http.",
    "Target.headers": "Sent with each request. Values are masked everywhere and may hold `${env:NAME}`.",
    "Target.timeout": "From the first byte sent to the last byte received; also the longest wait to be sent.",
    "Target.tls": "How the target is trusted and what is shown to it.",
    "Target.metrics": "URL of its Prometheus text, for `target.*` and `metric(...)`; `demo` has its own.",
    "Target.rate_limit": (
        "Most that may be sent to its address, by all activities and campaigns together. A campaign that "
        "offers more is refused, one that would go over it beside others waits, and the engines keep it: "
        "closed loads, retries and golden cases share what the schedules leave."
    ),
    "Target.stream": "Ask for a stream. Only protocols that stream have this key.",
    "Target.extra_body": "Merged into each request's body; a row's own keys win.",
    "Target.tokenizer": (
        "A tokenizer.json: lengths of made-up prompts are its tokens, else words, and answers without usage "
        "are counted by it. A chat template's own tokens come on top."
    ),
    "Target.version": "Version of the model, in the URL.",
    "Target.path": "Path of json-http requests.",
    "Target.binary": "Tensors of kserve-v2 go and come as bytes (Binary Tensor Data Extension), not as JSON.",
    "Target.method": "HTTP method of json-http requests.",
    "Target.body": "Jinja2 template over the row, sandboxed; without it the row itself is the JSON body.",
    "Demo.ttft": "Time to the first token.",
    "Demo.gap": "Time between tokens.",
    "Demo.tokens": "Most tokens of an answer.",
    "Demo.service_time": "Time to the answer of an inference.",
    "Demo.error_rate": "Share of requests answered with status 503.",
    "Tls.ca": "PEM file of the authorities that are trusted.",
    "Tls.cert": "PEM file of the client's certificate.",
    "Tls.key": "PEM file of the client's key.",
    "Tls.verify": "Whether the server's certificate is checked.",
    "Tls.server_name": "Name to ask for, where it is not the URL's.",
    "Monitor.prometheus": "URL of Prometheus.",
    "Monitor.alertmanager": "URL of Alertmanager.",
    "Monitor.headers": "Sent with each question; values are masked everywhere.",
    "Monitor.tls": "As a target's.",
}

ACTIVITIES: Final[Mapping[str, str]] = {
    "Phase.name": "Unique in the campaign.",
    "Phase.activities": "What runs at the same time. The phase starts when all of its shards are ready.",
    "Phase.requires": "Earlier phases. If one failed, was invalid or was skipped, this one is skipped.",
    "Activity.name": "Unique in its phase; the key of its results in report.json.",
    "Activity.kind": "What sort of activity this is. A key that its kind does not have is an error.",
    "Activity.where": "Which workers may run it; for chaos on whose host, for telemetry of which hosts.",
    "Activity.target": "Name of the target.",
    "Activity.slos": "What must hold. None at all: measured, not judged, counts as pass.",
    "Activity.shards": (
        "Into how many parts the load is split. `auto`: one a worker; more where its peak needs them, as "
        "`doctor --calibrate` measured the hosts; fewer so that none has under 10/s."
    ),
    "Activity.arrivals": "When requests are due.",
    "Activity.data": "What the requests hold: a file, or made-up prompts. Optional for a demo target.",
    "Activity.max_in_flight": (
        "Most requests open at once, divided over the shards. Without it rate times timeout, at most 10,000."
    ),
    "Activity.samples": "As at the top of the file, for this activity.",
    "Activity.split": "Shares of the traffic by target.",
    "Activity.shadow": "A second target that gets the same requests; only answers are compared.",
    "Activity.sessions": (
        "Each arrival begins a conversation: each turn waits for the answer before, and carries all that "
        "was said. Turn t of session k takes row k*turns+t; a row with `turns` (a list of texts), or "
        "`conversations` as ShareGPT writes it, serves a whole session. A failed turn ends its session, and "
        "none is begun after `duration`. `for turn=2` judges one turn. Protocol openai-chat only."
    ),
    "Activity.duration": (
        "Length of the schedule with ramp and warm-up. Forbidden where stages or a trace give it; for "
        "telemetry only in a phase that has nothing else."
    ),
    "Activity.warmup": "Requests due before it are sent and measured apart, and no objective sees them.",
    "Activity.locustfile": (
        "Users of one's own, in Locust's words, for process closed. Each worker reads it from a folder that "
        "it lists (`--user-code`; `run` lists the campaign's own) and refuses another content. Its requests "
        "are seen through Locust's request event; they are not held to a rate, and stop within 0.1 s of the "
        "fence. Of the target they get the address; headers and TLS are the code's own."
    ),
    "Activity.retries": "How failed requests are tried again by the client. Without it they are not.",
    "Activity.levels": "Several rates one after another.",
    "Activity.watch": "Series that are tested for a trend.",
    "Activity.trend": "What a trend means for the verdict.",
    "Activity.find": "What is searched for.",
    "Activity.between": "Lowest and highest level, rates or numbers of users.",
    "Activity.step": "How long each level is held.",
    "Activity.settle": "First part of each step, which is not judged.",
    "Activity.while": "What a good level keeps.",
    "Activity.tolerance": "Width of the interval at which the search ends.",
    "Activity.golden": "File of cases with known answers.",
    "Activity.baseline": "A target whose answers are the reference.",
    "Activity.batches": "Into how many parts the cases are split.",
    "Activity.concurrency": "Requests open at once, over all batches.",
    "Activity.compare": "Field to rule to options: `{scores: {close: {rtol: 1e-3}}}`. A case's own wins.",
    "Activity.features": "A contract of the features' types and ranges.",
    "Activity.mutate": "Ways to break each golden request.",
    "Activity.probes": "Requests with other credentials.",
    "Activity.repeats": "How often each case is asked.",
    "Activity.limit": "Most cases that are asked.",
    "Activity.fault": "What is done; see the table of faults.",
    "Activity.at": "When, from the start of the phase.",
    "Activity.for": (
        "How long a held fault lasts, at most 1h. A one-shot fault has none. With `order: random`: "
        "the time in which faults are drawn."
    ),
    "Activity.match": "To which processes. Without it to the demo target's on that host.",
    "Activity.with": "Options of the fault; see the table of faults.",
    "Activity.expect": "What must hold while the fault acts, on each activity it observes.",
    "Activity.observe": "Names of loads and soaks. Without it all of the phase, on `target` if there is one.",
    "Activity.faults": "Several faults in one activity, in place of `fault`, `match`, `with` and `for`.",
    "Activity.order": (
        "sequence: one after another, each once the one before it is over; the default. parallel: each at "
        "its own `at`. random: drawn by the seed within `for`, all in turn, in a new order each time round, "
        "until none fits into what is left of it."
    ),
    "Activity.pause": "Between two faults of a sequence, or of random ones. Without it 0s.",
    "Activity.intensity": (
        "Shares of strength that a fault goes through, e.g. `[25%, 50%, 100%]`; `for` is divided evenly "
        "among them. Which options it multiplies docs/faults.md says. With `faults`: of each of them."
    ),
    "Activity.on_generators": (
        "A fault that a whole host feels may be done where Redis, a coordinator or load of this campaign "
        "lives; without it such a host refuses it."
    ),
    "Activity.hidden": "Not shown to responders until it is revealed.",
    "Activity.sources": "What is read.",
    "Activity.every": "How often.",
    "Activity.submit": "How the job is started.",
    "Activity.done": "How its end is seen.",
    "Activity.output": "Where its output lies.",
    "Where.label": "Labels that the worker has, all of them.",
    "Where.host": "Host names, any of them.",
    "Where.gpus": 'At least so many GPUs: a number, or `">=1"`. One with MIG on counts as its instances.',
    "Where.at_most": "Most hosts: a number, or a share rounded down but at least 1. Chaos: 1, else no limit.",
    "Match.name": "Name of the process.",
    "Match.cmdline": "Regular expression, found in the command line.",
    "Match.port": "Port on which it listens.",
    "Match.pidfile": "File that holds its pid.",
    "Match.processes": "How many may match; without it exactly one.",
    "ComposedFault": "One of several `faults` of an activity.",
    "ComposedFault.fault": "What is done; see the table of faults.",
    "ComposedFault.with": "Options of the fault; see the table of faults.",
    "ComposedFault.match": "To which processes. Without it to the demo target's on that host.",
    "ComposedFault.for": "How long it is held, at most 1h. A one-shot fault has none.",
    "ComposedFault.at": "`order: parallel`: when, from the activity's `at` on. Without it 0s.",
    "ComposedFault.intensity": "Shares of strength that this fault alone goes through.",
    "Trend.gate": "Whether a flagged trend fails the soak; else it is only reported.",
    "Trend.limit": "Change over the whole soak, of the start level, from which on it is flagged.",
    "Trend.memory_limit": "The same for series that are like memory.",
    "Sessions.turns": "Turns of a conversation; one whose row has fewer is shorter.",
    "Sessions.think": "Pause between an answer and the next turn.",
    "Retries.on": (
        "Outcomes that are tried again, as in expressions: timeout, connect, http_429, http_5xx ..."
    ),
    "Retries.attempts": "Tries of one request at most, the first among them.",
    "Retries.backoff": "Pause after the first try; it doubles with each.",
    "Retries.max_backoff": "The pause grows no longer than this.",
    "Retries.jitter": (
        "What chance leaves of a pause: full, from none of it to all; equal, from half of it; none, all of "
        "it."
    ),
    "Retries.within": (
        "No try begins later than this after the first one; without it the target's `timeout`, or `attempts` "
        "times that where `on` has timeout. Each try has the whole `timeout` for its answer."
    ),
    "Retries.budget": (
        "Of the requests that an engine began in the last 10 s, the share that may be tried again. Without "
        "it all may: a storm."
    ),
    "Retries.breaker": "When the client gives the target up for a while. Without it never.",
    "Retries.retry_after": "Whether an answer's retry-after makes the pause longer, up to `max_backoff`.",
    "Breaker.failures": (
        "Share of the tries ended in `window`, 10 or more, that must have failed as `on` says."
    ),
    "Breaker.window": "How far back it looks.",
    "Breaker.open_for": (
        "How long nothing is sent; arrivals meanwhile fail at once, as unsent of the target's doing. Then "
        "one try decides."
    ),
    "PrometheusSource.prometheus": "Name of a target that has `metrics`.",
    "ProcessSource.process": "Which processes.",
}

LOAD: Final[Mapping[str, str]] = {
    "Arrivals.process": (
        "constant: evenly spaced. poisson: independent. gamma: burstier or smoother by `burstiness`. trace: "
        "times from a file. closed: each user waits for its answer. All but closed are open loop."
    ),
    "Arrivals.rate": "Arrivals in a unit of time. One of `rate` and `stages`, but for trace and closed.",
    "Arrivals.stages": "Stretches of different rate.",
    "Arrivals.ramp": (
        "The rate, or for closed the number of users, grows linearly from 0 over this time. Not beside "
        "`stages`."
    ),
    "Arrivals.burstiness": "Shape of the gamma distribution: 1 is poisson, below it arrivals clump.",
    "Arrivals.trace": (
        "File of recorded arrivals: JSONL, CSV or Parquet; an Azure LLM inference, BurstGPT or Mooncake "
        "trace, or any with a `timestamp` (seconds, or ISO 8601). The first arrival is at 0."
    ),
    "Arrivals.speed": "How much faster than recorded a trace is played.",
    "Arrivals.users": "How many users a closed loop has.",
    "Arrivals.think": "Pause of a closed-loop user between answer and next request.",
    "Stage.rate": "Rate of the stage.",
    "Stage.for": "Its length, ramp included.",
    "Stage.ramp": "The rate moves linearly from the stage before (the first: from 0) over this time.",
    "Stage.name": "For `during NAME` in objectives.",
    "FileData.file": "JSONL, CSV or Parquet. `data: PATH` is short for `data: {file: PATH}`.",
    "FileData.order": "As in the file, or shuffled by the campaign's seed.",
    "FileData.at_end": "After the last row begin again, or end the load.",
    "FileData.tags": (
        "Columns that are tags: for `for TAG=VALUE` in objectives, and to be shown apart where they have at "
        "most 20 values."
    ),
    "SyntheticData.synthetic": "Made-up prompts; protocols openai-* only.",
    "Synthetic.input_tokens": "Length of the prompt.",
    "Synthetic.output_tokens": "`max_tokens` of the request.",
    "Synthetic.shared_prefix": "So many first tokens are the same in each prompt.",
    "Lengths.uniform": "[lowest, highest].",
    "Lengths.normal": "Normal distribution.",
    "Lengths.lognormal": "Log-normal distribution.",
    "Lengths.histogram": "File of `length[,weight]` rows: CSV, JSON lines or Parquet.",
    "Normal.mean": "Mean.",
    "Normal.sd": "Standard deviation.",
    "LogNormal.median": "Median.",
    "LogNormal.sigma": "Standard deviation of the logarithm.",
}

PARTS: Final[Mapping[str, str]] = {
    "Campaign": "The whole file.",
    "Target": "A service that is tested.",
    "Demo": "A small target of exact timing, which `run` starts as a process of its own on loopback.",
    "Tls": "Trust and identity of an https target.",
    "Monitor": "Prometheus and Alertmanager: asked about alerts, never loaded, named by no activity.",
    "Phase": "Activities that run together, on one clock.",
    "LoadActivity": "Requests on a schedule.",
    "SoakActivity": "Requests on a schedule, for long; what is watched is tested for a trend.",
    "ChaosActivity": "One fault, put in and taken back, and what must hold meanwhile.",
    "RegressionActivity": "Cases with known answers.",
    "SearchActivity": "The highest load that still keeps its conditions. Kept for later.",
    "TelemetryActivity": "Readings of hosts, GPUs, processes and targets. Kept for later.",
    "BatchActivity": "A batch job that is submitted and waited for. Kept for later.",
    "Where": "Which workers. All that is said must hold.",
    "Arrivals": "When requests are due; which keys go together depends on `process`.",
    "Stage": "A stretch of the schedule.",
    "FileData": "Rows of a file: arrival k takes row k modulo their number.",
    "SyntheticData": "Prompts that are made up by the campaign's seed.",
    "Synthetic": "Their lengths in tokens: numbers or distributions.",
    "Lengths": "One distribution.",
    "Normal": "In tokens.",
    "LogNormal": "In tokens.",
    "Trend": "What a soak does about a trend.",
    "Match": "Processes of a host. Exactly one of `name`, `cmdline`, `port` and `pidfile`.",
    "PrometheusSource": "The metrics of a target.",
    "ProcessSource": "Processes of the selected hosts.",
    "Sessions": "Conversations of several turns.",
    "Retries": (
        "A client that tries again. One arrival stays one request: its latency runs from the intended time "
        "to the last byte of its last try, its outcome is the last try's, and its slot stays taken "
        "meanwhile. All its tries carry one x-shakeout-id."
    ),
    "Breaker": "A circuit breaker; each engine has its own.",
    "Validity": "Where the limits lie beyond which a run proves nothing about its target.",
    "Prices": "What the target costs.",
    "Silence": "Alerts that reach nobody while faults act.",
    "GameDay": "When, and by whose leave, faults may run.",
    "RunbookStep": "A step of the runbook; a text alone is a step as well.",
    "Window": "Local time of one time zone.",
    "Approval": "Leave for one phase.",
}

MEANINGS: Final[Mapping[str, str]] = {**PARTS, **CAMPAIGN, **TARGETS, **ACTIVITIES, **LOAD}
