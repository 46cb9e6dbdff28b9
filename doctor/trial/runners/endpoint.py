"""A server that is already up: it is only asked, never started, stopped or changed."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from doctor.errors import UsageProblem
from doctor.trial.runners import Clocks, Stage, Trial, write_beside
from doctor.trial.setup import Setup
from doctor.trial.workload import Client, Workload, put


def client_of(url: str, clocks: Clocks, api_key: str | None = None) -> Client:
    """A client for ``http://host:port``; what follows the port is left out, as every path is known.

    Raises:
        UsageProblem: not such an address.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme != "http" or not parts.hostname or port == -1:
        hint = "for example http://127.0.0.1:8080; for https, a tunnel or the server's own port"
        raise UsageProblem(f"not an address that can be asked: {url[:200]!r}", subject="--endpoint", hint=hint)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
    return Client(parts.hostname, port or 80, stall=clocks.stall, headers=headers)


def run(url: str, workload: Workload, folder: Path, clocks: Clocks, stage: Stage, api_key: str | None = None) -> Trial:
    """Puts a workload to it.

    Raises:
        UsageProblem: the address can't be asked.
    """
    client = client_of(url, clocks, api_key)
    folder.mkdir(parents=True, exist_ok=True)
    trial = Trial(Setup(()), workload, folder, address=f"{client.host}:{client.port}")
    state = client.state()
    if state != "ready":
        trial.not_run = f"{trial.address} {'is still loading' if state == 'loading' else 'does not answer'}"
        return trial
    trial.ready = 0.0
    trial.outcome = put(workload, client, lambda: True, stage)
    trial.hung = trial.outcome.stalled
    trial.stopped = True
    write_beside(trial)
    return trial
