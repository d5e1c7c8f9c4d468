"""Start to live and to ready: unigate and `vllm serve`, same model and options, in turns.

python load/start.py [--model DIR] [--rounds N] [-- engine arguments …]
Prints one line a start, and medians as a ratio. Needs nothing but the environment of `make serve`.
"""

import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "deploy" / "demo" / "unigate-demo"
LONGEST_START_S = 600.0


def free_port() -> int:
    """A port nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def status(port: int, path: str) -> int:
    """The status of a GET, 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0


def measure(command: list[str], port: int, live: str, ready: str) -> tuple[float, float]:
    """Seconds from exec to the first 200 of `live` and of `ready`."""
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "UNIGATE_DRAIN_DELAY_S": "0", **os.environ}
    started_s = time.monotonic()
    with subprocess.Popen(  # noqa: S603  # the two servers under measurement
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as server:
        live_s = 0.0
        try:
            while time.monotonic() - started_s < LONGEST_START_S and server.poll() is None:
                if not live_s and status(port, live) == http.client.OK:
                    live_s = time.monotonic() - started_s
                if live_s and status(port, ready) == http.client.OK:
                    return live_s, time.monotonic() - started_s
                time.sleep(0.02)
        finally:
            server.terminate()
    raise SystemExit(f"{command[0]} did not become ready")


def main() -> None:
    """Measure in turns, so that a noisy machine is unfair to both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(DEMO))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("arguments", nargs="*", default=["--dtype", "float32", "--enforce-eager"])
    options = parser.parse_args()
    ready_s: dict[str, list[float]] = {"unigate": [], "vllm serve": []}
    live_s: dict[str, list[float]] = {"unigate": [], "vllm serve": []}
    for _ in range(options.rounds):
        for name, values in ready_s.items():
            port = free_port()
            words = [*options.arguments, "--port", str(port), "--host", "127.0.0.1"]
            if name == "unigate":
                unigate = str(Path(sys.executable).with_name("unigate"))
                command = [unigate, "serve", options.model, *words]
                paths = ("/v1/health/live", "/v1/health/ready")
            else:
                module = "vllm.entrypoints.openai.api_server"
                command = [sys.executable, "-m", module, "--model", options.model, *words]
                paths = ("/health", "/health")
            live, ready = measure(command, port, *paths)
            live_s[name].append(live)
            values.append(ready)
            sys.stdout.write(f"{name:<10}  live {live:6.2f} s  ready {ready:6.2f} s\n")
            sys.stdout.flush()
    medians = {name: statistics.median(values) for name, values in ready_s.items()}
    result = {
        "ready_s": medians,
        "live_s": {name: statistics.median(values) for name, values in live_s.items()},
        "ready_ratio": round(medians["unigate"] / medians["vllm serve"], 3),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
