"""The table of faults: a name in the campaign file to the kind that does it; its room is its class."""

TABLE = {
    "noop": "noop:KIND",
    # done to processes
    "pause-process": "process.pause_process:KIND",
    "kill-process": "process.kill_process:KIND",
    "restart-process": "process.restart_process:KIND",
    # done to a host
    "cpu": "host.cpu:KIND",
    "memory": "host.memory:KIND",
    "disk-fill": "host.disk_fill:KIND",
    "disk-io": "host.disk_io:KIND",
    "descriptors": "host.descriptors:KIND",
    "limit-descriptors": "host.limit_descriptors:KIND",
    "throttle-process": "host.throttle_process:KIND",
    # done to the network
    "packet-drop": "network.packet_drop:KIND",
    "packet-loss": "network.packet_loss:KIND",
    "partition": "network.partition:KIND",
    "netem": "network.netem:KIND",
    "tcp-proxy": "network.tcp_proxy:KIND",
    "dependency": "network.dependency:KIND",
    # done to GPUs
    "gpu-memory": "gpu.gpu_memory:KIND",
    "gpu-compute": "gpu.gpu_compute:KIND",
    "gpu-loss": "gpu.gpu_loss:KIND",
    # done by clients
    "disconnect-mid-stream": "clients.disconnect_mid_stream:KIND",
    "slow-loris": "clients.slow_loris:KIND",
    "slow-reader": "clients.slow_reader:KIND",
    "malformed": "clients.malformed:KIND",
    "null-features": "clients.null_features:KIND",
    "oversize-prompt": "clients.oversize_prompt:KIND",
    "duplicate": "clients.duplicate:KIND",
    "burst": "clients.burst:KIND",
    "cancel-storm": "clients.cancel_storm:KIND",
    # done by something of the platform
    "command": "platform.command:KIND",
    "http": "platform.http:KIND",
}
