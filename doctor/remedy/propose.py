"""A rule's remedies, made concrete for one finding: numbers filled in, actions in words, the difference to what is
deployed, and what the change would itself raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from doctor.remedy.options import as_spelled
from doctor.units import format_size
from doctor.vocabulary.document import RemedyEntry
from doctor.vocabulary.facts import ABSENT, Fact, Layer, Origin, Unknown

if TYPE_CHECKING:
    from doctor.remedy.deployment import Deployment

Render = Callable[[str], str]
Fill = Callable[[str], str | None]
Evaluate = Callable[[str], Any]


def propose(
    remedies: Sequence[dict[str, Any]],
    render: Render,
    fill: Fill,
    evaluate: Evaluate,
    deployment: Deployment,
    raised_by: Callable[[list[Fact], set[str]], list[str]],
    every_diff: bool = True,
) -> list[RemedyEntry]:
    """The remedies that fit this case, in the rule's order.

    Args:
        remedies: as in the rule's card.
        render: fills a prose template for this finding.
        fill: fills the template of a value; None when something in it isn't known.
        evaluate: the value of an expression for this finding.
        deployment: what is deployed, as far as known.
        raised_by: the ids of graver findings that changed settings (and removed ones) would raise.
        every_diff: of all remedies, not of the first alone; each costs another reading of the changed files.
    """
    found: list[RemedyEntry] = []
    for remedy in remedies:
        if remedy["when"] is not None:
            wanted = evaluate(remedy["when"])
            if not isinstance(wanted, Unknown) and (wanted is ABSENT or not wanted):
                continue
        actions = [
            as_spelled(_concrete(action, fill, evaluate), deployment.options, deployment.printed)
            for action in remedy["actions"]
        ]
        wanted_diff = every_diff or not found
        changed = deployment.apply([each for each in actions if wanted_diff and not each.get("unfilled")])
        facts, removed = changed_settings(actions, deployment)
        found.append(
            RemedyEntry(
                id=remedy["id"],
                title=render(remedy["title"]),
                removes=remedy["removes"],
                safety=remedy["safety"],
                cost=render(remedy["cost"]) if remedy["cost"] else None,
                undo=render(remedy["undo"]) if remedy["undo"] else None,
                actions=[{**action, "text": describe(action)} for action in actions],
                diff=deployment.diff(changed),
                raises=raised_by(facts, removed) if facts or removed else [],
            )
        )
    return found


def _concrete(action: dict[str, Any], fill: Fill, evaluate: Evaluate) -> dict[str, Any]:
    """The action with templates filled and expressions evaluated; a number that isn't known is left out and said."""
    made = {key: value for key, value in action.items() if value is not None}
    for part in ("value", "text", "flag"):
        if part in made and (part != "flag" or "{{" in made["flag"]):
            text = fill(made.pop(part))
            if text is None:
                made["unfilled"] = True
            else:
                made[part] = text
    if made["kind"] in {"resize", "free_resource"}:
        for part in ("to", "amount"):
            if part in made:
                value = evaluate(made.pop(part))
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    made[part] = round(value)
    return made


def changed_settings(actions: Sequence[dict[str, Any]], deployment: Deployment) -> tuple[list[Fact], set[str]]:
    """The settings as they would be after the actions, and those that would be gone."""
    origin = Origin("the remedy", None, Layer.EFFECTIVE)
    facts: list[Fact] = []
    removed: set[str] = set()
    for action in actions:
        kind = action["kind"]
        if kind in {"set_flag", "remove_flag"}:
            for option in deployment.options:
                if action["flag"] in option.flags:
                    if kind == "remove_flag":
                        removed.add(option.setting)
                    elif option.type.startswith("switch"):
                        facts.append(Fact(option.setting, option.type == "switch_on", origin))
                    elif "value" in action:
                        facts.append(Fact(option.setting, action["value"], origin))
                    break
        elif kind == "set_env" and "value" in action:
            facts.append(Fact(f"env.{action['variable']}", action["value"], origin))
        elif kind == "unset_env":
            removed.add(f"env.{action['variable']}")
    return facts, removed


def describe(action: dict[str, Any]) -> str:
    """An action in words, for people and for the document."""
    kind = action["kind"]
    value = action.get("value")
    if action.get("unfilled") and kind in {"set_flag", "set_env", "host_setting", "edit_config"}:
        name = action.get("flag") or action.get("variable") or action.get("name") or action.get("key")
        return f"set {name} (the number can't be computed from this input)"
    if kind == "set_flag":
        return f"add {action['flag']} {value}" if value else f"add {action['flag']}"
    if kind == "remove_flag":
        return f"remove {action['flag']}"
    if kind == "set_env":
        return f"set {action['variable']}={value}" if value is not None else f"set {action['variable']}"
    if kind == "unset_env":
        return f"unset {action['variable']}"
    if kind == "edit_config":
        return f"in {action['file']}: " + (f"set {action['key']} to {value}" if value else f"remove {action['key']}")
    if kind in {"upgrade", "downgrade"}:
        where = " on every node" if action.get("scope") == "every_node" else ""
        return f"{kind} {action['product']} to {action['to']}{where}"
    if kind == "resize" and "quantisation" in action["resource"]:
        return "use another model file" + (f", of about {_amount(action['to'], action)}" if "to" in action else "")
    if kind == "resize":
        return f"resize {action['resource']}" + (f" to {_amount(action['to'], action)}" if "to" in action else "")
    if kind == "free_resource":
        return f"free {action['resource']}" + (f": {format_size(action['amount'])}" if "amount" in action else "")
    if kind == "host_setting":
        where = f" in {action['where']}" if action.get("where") else ""
        return f"set {action['name']} to {value}{where}"
    if kind == "restart":
        return f"restart {action['what']}"
    return str(action.get("text", kind))


def _amount(value: float, action: dict[str, Any]) -> str:
    return format_size(value) if action.get("unit", "bytes") == "bytes" else f"{value} {action['unit']}"
