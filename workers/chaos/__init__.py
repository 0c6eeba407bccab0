"""The table of faults: a name in the campaign file to the kind that does it."""

TABLE = {
    "pause-process": "pause_process:PauseProcess",
    "kill-process": "kill_process:KillProcess",
    "tcp-proxy": "reserved:TcpProxy",
    "gpu-memory": "reserved:GpuMemory",
    "disconnect-mid-stream": "reserved:DisconnectMidStream",
    "noop": "noop:Noop",
}
