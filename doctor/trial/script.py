"""A plan for another machine, as one Python file that needs nothing but Python; and its results, judged.

The plan holds the trials' own HTTP client, so that the same requests are put there as here. What it brings back is text
from a stranger's machine: every size, type and name of it is checked.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor import __version__
from doctor.errors import UsageProblem
from doctor.trial import script_driver, workload
from doctor.trial.compare import Claim, Judged, confirmation, not_reproduced
from doctor.trial.confirm import GIVEN, GIVEN_TITLE, Confirming, no
from doctor.trial.effect import effect_of, effect_of_difference
from doctor.trial.launch import Ending, Usage
from doctor.trial.runners import ENGINE_LOG, Trial, write_beside
from doctor.trial.runners.command import serves_at
from doctor.trial.seen import look, no_finding, spoken_of, standing, without_folder
from doctor.trial.setup import Setup, change
from doctor.trial.setup_yaml import as_data, setup_of
from doctor.trial.wanted import Wanted
from doctor.trial.workload import Answer, Outcome, Workload
from doctor.vocabulary.document import Diagnosis, Finding, RemedyEntry
from doctor.vocabulary.terms import WORKLOADS

if TYPE_CHECKING:
    from doctor.remedy.deployment import Deployment

SCHEMA = "llmdoctor/results/1"
MOST_BYTES = 256 << 20
_MOST_LOG = 32 << 20
_MOST_TRIALS = 40
_MOST_ANSWERS = 200
_WHY = {"exited", "killed", "out_of_memory", "deadline", "stalled", "stopped", "lost"}


# --- the plan ------------------------------------------------------------------------------------------------------


def plan(wanted: Wanted) -> str:
    """The plan as a Python program: reproduce, change, compare; it writes ``llmdoctor-results.json``.

    A change that a person must make (an upgrade, another file) is asked for between the trials.

    Raises:
        UsageProblem: neither the case nor the user tells the command line.
    """
    # Nothing is run here, so nobody has to be asked.
    doing = Confirming(wanted, _yes, lambda _text: None, Path())
    case, finding, deployment = doing.case()
    setup = doing.setup(case, finding, deployment)
    work = doing.workload(finding, case.book if case is not None else None)
    claim = doing.claim(finding, case.book) if case is not None else Claim(measures=wanted.measures)
    remedy, after, manual = _what_to_try(wanted, setup, finding, deployment)
    made: dict[str, Any] = {
        "schema": "llmdoctor/plan/1",
        "llmdoctor": __version__,
        "rule": claim.rule_id,
        "remedy": remedy,
        "measures": list(claim.measures),
        "workload": {"name": work.name, "tokens": work.tokens, "answer": work.answer},
        "repeats": doing.repeats(claim),
        "deadline": wanted.clocks.deadline,
        "stall": wanted.clocks.stall,
        "manual": manual,
        "before": _entry(setup),
        "after": _entry(after),
    }
    for part in ("before", "after"):
        if made[part]["setup"].get("embedded"):
            raise UsageProblem("a plan starts programs: --embedded can't be one", hint="leave --embedded out")
    return _program(made)


def _yes(_what: str, _details: str) -> bool:
    return True


def _what_to_try(
    wanted: Wanted, setup: Setup, finding: Finding | None, deployment: Deployment | None
) -> tuple[str | None, Setup, str]:
    """The remedy's id, the setup after it, and what a person has to do in between (empty: nothing)."""
    if wanted.fixed is not None:
        return wanted.remedy, wanted.fixed, ""
    remedies = finding.remedies if finding is not None else []
    if wanted.remedy is not None:
        remedies = [remedy for remedy in remedies if remedy.id == wanted.remedy]
        if not remedies:
            raise UsageProblem("there is no such remedy", subject=f"--remedy {wanted.remedy}")
    for remedy in remedies:
        changed = change(setup, deployment, remedy.actions) if deployment is not None else None
        if changed is not None and not changed.obstacle:
            return remedy.id, changed.setup, ""
        by_hand = [str(a["text"]) for a in remedy.actions if a["kind"] != "explain" and not a.get("unfilled")]
        if by_hand:
            return remedy.id, setup, "; ".join(by_hand)
    if not remedies:
        hint = "give the command line after the fix with --fixed"
        raise UsageProblem("there is no change to plan a trial of", hint=hint)
    return remedies[0].id, setup, remedies[0].title


def _entry(setup: Setup) -> dict[str, Any]:
    address = serves_at(setup)
    return {"setup": as_data(setup), "address": list(address) if address else None}


def _program(made: dict[str, Any]) -> str:
    """One file: the plan, the client, the driver."""
    client = Path(workload.__file__).read_text(encoding="utf-8")
    driver = Path(script_driver.__file__).read_text(encoding="utf-8")
    head = (
        "#!/usr/bin/env python3\n"
        '"""A trial planned by llmdoctor: runs an engine before and after a change, writes llmdoctor-results.json.\n\n'
        "Needs Python 3.10 or newer and nothing else. Read it before you run it: it starts the command lines below.\n"
        '"""\n'
    )
    client = client.replace("from __future__ import annotations\n", "", 1)
    driver = driver.replace("from __future__ import annotations\n", "", 1)
    for own in ("from doctor.trial.workload import Client, Workload, is_open, put\n", "PLAN: dict[str, Any] = {}\n"):
        driver = driver.replace(own, "", 1)
    text = json.dumps(made, indent=1)
    return (
        f"{head}from __future__ import annotations\n\nimport json\n\nPLAN = json.loads(r'''\n{_raw(text)}\n''')\n\n"
        f"# The client that llmdoctor itself uses.\n{client}\n\n{driver}"
    )


def _raw(text: str) -> str:
    """JSON that can stand in a raw literal of three quotes."""
    return text.replace("'", "\\u0027")


# --- the results ---------------------------------------------------------------------------------------------------


def judge_results(path: str, wanted: Wanted) -> Diagnosis:
    """The diagnosis of what a plan has brought back, with the confirmation in it.

    Raises:
        UsageProblem: the file can't be read or is none; with the place in it and the reason.
    """
    data = _load(path)
    with ExitStack() as stack:
        folder = wanted.save or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmdoctor-results-")))
        made = _mapping(data.get("plan"), path, "plan")
        work = _work(made, path)
        sides: dict[str, list[Judged]] = {"before": [], "after": []}
        seen = None
        for number, entry in enumerate(_list(data.get("trials"), path, "trials", _MOST_TRIALS), 1):
            trial, which = _trial(entry, folder / f"{number:02}", work, path, f"trials.{number}")
            examined = look(trial, wanted.rule_folders, wanted.choice)
            seen = seen or examined
            sides[which].append(Judged(trial, examined.document))
        if seen is None or not sides["before"]:
            raise UsageProblem("holds no trial before the change", subject=path, hint="was the plan run to its end?")
        doing = Confirming(wanted, no, lambda _text: None, folder)
        case, finding, deployment = doing.case()
        named = _text(made.get("rule"), path, "plan.rule") if made.get("rule") is not None else None
        finding = finding or spoken_of(sides["before"][0].document, named)
        book = case.book if case is not None else seen.book
        claim = replace(doing.claim(finding, book), rule_id=finding.rule_id if finding is not None else named)
        document = case.document if case is not None else seen.document
        remedy = _remedy_of(finding, made, path)
        if deployment is None:
            deployment = next(iter(seen.deployments.values()), None)
        options = deployment.options if deployment is not None else ()
        actions = remedy.actions if remedy.id != GIVEN else []
        after = sides["after"]
        if actions:
            effect = effect_of(actions, sides["before"], after, options)
        else:
            effect = effect_of_difference(sides["before"], after)
        told = "\n".join(dict.fromkeys(
            [f"- {sides['before'][0].trial.setup.text}", *(f"+ {each.trial.setup.text}" for each in after[:1])]
        ))  # fmt: skip
        remedy.confirmation = confirmation(sides["before"], after, claim, effect, workload=work.words, change=told)
        if stray := not_reproduced(sides["before"], claim):
            remedy.confirmation.verdict, remedy.confirmation.reason = "inconclusive", stray
        host = data.get("host")
        if isinstance(host, str):
            remedy.confirmation.notes.append(f"run on {host[:200]}")
        finding = finding or no_finding(document, sides["before"][0])
        if remedy not in finding.remedies:
            finding.remedies.append(remedy)
        finding.remedies.sort(key=standing)
        made_document: Diagnosis = without_folder(document, folder)
        return made_document


def _remedy_of(finding: Finding | None, made: Mapping[str, Any], path: str) -> RemedyEntry:
    name = _text(made["remedy"], path, "plan.remedy") if made.get("remedy") is not None else None
    known = next((each for each in finding.remedies if each.id == name), None) if finding is not None else None
    title = _text(made["manual"], path, "plan.manual") if made.get("manual") else GIVEN_TITLE
    return known or RemedyEntry(id=GIVEN, title=title, removes="cause", safety="display_only")


def _load(path: str) -> dict[str, Any]:
    hint = "it has to be the llmdoctor-results.json that a plan of `llmdoctor confirm --script` writes"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageProblem(f"can't be read: {error.strerror}", subject=path) from None
    if len(content) > MOST_BYTES:
        raise UsageProblem(f"is larger than {MOST_BYTES >> 20} MiB", subject=path, hint=hint)
    try:
        data = json.loads(content.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        where = f"{path}:{error.lineno}" if isinstance(error, json.JSONDecodeError) else path
        raise UsageProblem("is not JSON: was it cut off?", subject=where, hint=hint) from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        told = data.get("schema") if isinstance(data, dict) else type(data).__name__
        raise UsageProblem(f"is a document of another kind: {str(told)[:60]!r}", subject=path, hint=hint)
    return data


def _work(made: Mapping[str, Any], path: str) -> Workload:
    told = _mapping(made.get("workload"), path, "plan.workload")
    name = told.get("name")
    if name not in WORKLOADS:
        raise UsageProblem(f"no such workload: {str(name)[:60]!r}", subject=f"{path}: plan.workload.name")
    tokens = _number(told.get("tokens"), path, "plan.workload.tokens")
    return Workload(name, int(tokens) if tokens else None)


def _trial(entry: Any, folder: Path, work: Workload, path: str, at: str) -> tuple[Trial, str]:
    data = _mapping(entry, path, at)
    which = data.get("which")
    if which not in {"before", "after"}:
        raise UsageProblem("must be before or after", subject=f"{path}: {at}.which")
    setup, _more = setup_of(data.get("setup"), f"{path}: {at}.setup")
    folder.mkdir(parents=True, exist_ok=True)
    address = serves_at(setup)
    told_at = f"{address[0]}:{address[1]}" if address else ""
    trial = Trial(replace(setup, folder=None), work, folder, address=told_at)
    trial.ready = _number(data.get("ready"), path, f"{at}.ready")
    trial.hung, trial.stopped = data.get("hung") is True, data.get("stopped") is True
    trial.not_run = _text(data["not_run"], path, f"{at}.not_run") if data.get("not_run") else ""
    log = data.get("log", "")
    if not isinstance(log, str):
        raise UsageProblem("a text is expected", subject=f"{path}: {at}.log")
    (folder / ENGINE_LOG).write_text(log[:_MOST_LOG], encoding="utf-8", errors="replace")
    for number, text in enumerate(_list(data.get("beside", []), path, f"{at}.beside", 16), 1):
        told = text if isinstance(text, str) else ""
        (folder / f"beside-{number}.log").write_text(told[:_MOST_LOG], encoding="utf-8", errors="replace")
    answers = _list(data.get("answers", []), path, f"{at}.answers", _MOST_ANSWERS)
    trial.outcome = Outcome([_answer(each, path, f"{at}.answers.{n}") for n, each in enumerate(answers, 1)])
    if data.get("stopped_by"):
        trial.outcome.stopped_by = _text(data["stopped_by"], path, f"{at}.stopped_by")
    if not trial.not_run:
        trial.ending = _ending(data, trial, path, at)
        write_beside(trial)
    return trial, which


def _answer(entry: Any, path: str, at: str) -> Answer:
    data = _mapping(entry, path, at)
    status = _number(data.get("status"), path, f"{at}.status")
    prompt = _number(data.get("prompt_tokens"), path, f"{at}.prompt_tokens")
    return Answer(
        _text(data.get("asked") or "a request", path, f"{at}.asked"),
        status=int(status) if status else None,
        error=_text(data["error"], path, f"{at}.error") if data.get("error") else "",
        prompt_tokens=int(prompt) if prompt else None,
        tokens=int(_number(data.get("tokens"), path, f"{at}.tokens") or 0),
        first=_number(data.get("first"), path, f"{at}.first"),
        rate=_number(data.get("rate"), path, f"{at}.rate"),
        prompt_rate=_number(data.get("prompt_rate"), path, f"{at}.prompt_rate"),
        stalled=data.get("stalled") is True,
    )


def _ending(data: Mapping[str, Any], trial: Trial, path: str, at: str) -> Ending:
    import signal

    status, named = _number(data.get("status"), path, f"{at}.status"), data.get("signal")
    if named is not None and named not in signal.Signals.__members__:
        raise UsageProblem(f"no such signal: {str(named)[:40]!r}", subject=f"{path}: {at}.signal")
    why = data.get("why", "stopped" if trial.stopped else "killed" if named else "exited")
    if why not in _WHY:
        raise UsageProblem(f"no such ending: {str(why)[:40]!r}", subject=f"{path}: {at}.why")
    kernel = [line for line in _list(data.get("kernel", []), path, f"{at}.kernel", 2000) if isinstance(line, str)]
    used = _mapping(data.get("usage", {}), path, f"{at}.usage")
    figures = {
        name: int(_number(used.get(name), path, f"{at}.usage.{name}") or 0) for name in ("anonymous", "mapped", "read")
    }
    seconds = _number(data.get("seconds"), path, f"{at}.seconds") or 0.0
    return Ending(
        int(status) if status is not None else None, named, why, seconds, Usage(**figures), kernel=tuple(kernel)
    )


def _mapping(data: Any, path: str, at: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise UsageProblem("a mapping is expected", subject=f"{path}: {at}")
    return data


def _list(data: Any, path: str, at: str, most: int) -> list[Any]:
    if not isinstance(data, list):
        raise UsageProblem("a list is expected", subject=f"{path}: {at}")
    if len(data) > most:
        raise UsageProblem(f"holds more than {most} entries", subject=f"{path}: {at}")
    return data


def _text(data: Any, path: str, at: str) -> str:
    if not isinstance(data, str):
        raise UsageProblem("a text is expected", subject=f"{path}: {at}")
    return data[:2000]


def _number(data: Any, path: str, at: str) -> float | None:
    if data is None:
        return None
    if isinstance(data, bool) or not isinstance(data, (int, float)) or not 0 <= data < 1e15:
        raise UsageProblem("a number that is not negative is expected", subject=f"{path}: {at}")
    return float(data)
