"""How many bytes of weights a run reads a token, from where, and how fast it reads them at the speed that it prints.

Weights that page in from disk show in the rate: host memory gives tens of GB/s, a disk a few at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from doctor.memory.bandwidth import GB, bandwidth_of
from doctor.memory.places import Plan
from doctor.memory.speed import (
    active_bytes,
    active_share_by_name,
    expert_share,
    expert_share_by_name,
    tokens_per_second_bound,
)
from doctor.memory.values import Values
from doctor.memory.weights import embedding_bytes

_EXPERTS_ON_CPU = re.compile(r"exps[^=,]{0,40}=CPU")
_DATA_PARALLEL = re.compile(r"DP\d+")


@dataclass(frozen=True, slots=True)
class Rates:
    """Attributes:
    resident: bytes of weights that host memory holds: all that no device holds.
    token: bytes of weights that a token reads, from wherever they lie.
    host_token: of these, bytes that it reads from host memory.
    host_batch: bytes that a physical batch of a prompt reads from host memory.
    batch: tokens of that batch.
    """

    resident: int | None = None
    token: int | None = None
    host_token: int | None = None
    host_batch: int | None = None
    batch: int | None = None


def rates(plan: Plan) -> Rates:
    """What is known of them; None where a figure is missing."""
    if plan.weights is None:
        return Rates()
    weights, model = plan.weights.bytes, plan.model
    on_devices = sum(device.part("weights") for device in plan.devices)
    in_host = plan.host.part("weights") + plan.host.part("mapped weights")
    resident = min(max(weights - on_devices, 0), in_host)
    token = _token_bytes(plan)
    if token is None or not resident:
        return Rates(resident, token)
    if _only_experts(plan, resident):
        routed = max(resident - embedding_bytes(model), 0)
        named = expert_share_by_name(*_names(plan.values))
        share = expert_share(model) if model.experts_used else named or token / weights
        batch = plan.shape.ubatch if plan.shape else plan.values.integer("setting.ubatch")
        touched = round(routed * expert_share(model, batch)) if batch and model.experts_used else None
        return Rates(resident, token, round(routed * share), touched, batch)
    # Beside devices the token embedding stays in host memory, of which a token reads one row.
    read = max(resident - embedding_bytes(model), 0) if on_devices else resident
    return Rates(resident, token, round(token * read / weights) or None)


def experts_on_host(values: Values) -> bool:
    """Whether a setting keeps the experts of all layers in host memory."""
    return bool(_EXPERTS_ON_CPU.search(values.text("setting.override_tensor") or ""))


def _only_experts(plan: Plan, resident: int) -> bool:
    """Whether the weights in host memory are experts: told so, or all layers are offloaded and most weights are not."""
    if experts_on_host(plan.values):
        return True
    offloaded, total = (plan.values.integer(f"setting.layers_{name}") for name in ("offloaded", "total"))
    everything = offloaded is not None and offloaded == total
    return bool(everything and plan.model.experts and plan.weights and resident * 2 > plan.weights.bytes)


def bound(plan: Plan, token: int | None) -> tuple[float, float] | None:
    """Bandwidth in bytes a second and the tokens a second that it allows; for Apple's shared memory only."""
    if token is None or any(device.name.startswith("RPC") for device in plan.devices):
        return None
    names = [str(record.get("description") or "") for record in plan.values.all("device")]
    for name in (*names, plan.values.text("host.cpu_model")):
        bandwidth = bandwidth_of(name)
        speed = tokens_per_second_bound(token, bandwidth) if bandwidth else None
        if bandwidth and speed:
            return bandwidth, speed
    return None


def read_rate(plan: Plan, host_token: int | None) -> float | None:
    """GB/s of weights that the run got out of host memory at the speed it printed."""
    speed = plan.values.number("speed.generation")
    return round(speed * host_token / GB, 2) if speed and host_token else None


def _token_bytes(plan: Plan) -> int | None:
    if plan.weights is None:
        return None
    values, weights = plan.values, plan.weights.bytes // _replicas(plan)
    if plan.model.experts_used:
        found = active_bytes(plan.model, weights)
        if found is not None:
            return found
    named = active_share_by_name(*_names(values))
    if named is not None:
        return round(weights * named)
    # A mixture whose numbers nothing gave: what it reads a token can't be told.
    mixture = experts_on_host(values) or values.number("setting.n_cpu_moe") or plan.model.experts
    return None if mixture else weights


def _replicas(plan: Plan) -> int:
    """How often the weights are there: vLLM's data-parallel ranks (DP0_TP1) hold a copy each, a token reads one."""
    return len({found[0] for device in plan.devices if (found := _DATA_PARALLEL.match(device.name))}) or 1


def _names(values: Values) -> list[str | None]:
    """What may hold the model's name."""
    paths = [str(record.get("path") or "") for record in values.all("file")[:50]]
    return [values.text("model.name"), values.text("setting.model_path"), *paths]
