"""Reproduce, fix, compare: a proposed fix is tried, and the document says what came of it."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.api import Examined, Request, examine_request
from doctor.errors import UsageProblem
from doctor.trial import workload as workloads
from doctor.trial.compare import CLAIMS, LEAST_REPEATS, Claim, Effect, Judged, confirmation, not_reproduced
from doctor.trial.effect import effect_of, effect_of_difference
from doctor.trial.runners import Clocks, Trial, run_trial
from doctor.trial.setup import Changed, Setup, change, of_command, of_deployment, read_setup
from doctor.trial.workload import Workload
from doctor.vocabulary.document import Confirmation, Diagnosis, Finding, RemedyEntry
from doctor.vocabulary.terms import Phase

if TYPE_CHECKING:
    from doctor.remedy.deployment import Deployment
    from doctor.rulebook.book import RuleBook

Tell = Callable[[str], None]
Ask = Callable[[str, str], bool]
"""Puts a question to the user: what is to be done, in one line, and its details. Without a user the answer is no."""
MOST_REPEATS = 10
SPEED_REPEATS = 5
SOME_LOAD, MOST_LOAD = 0.2, 0.5
"""The share of the CPUs that other programs may use before it is said, and until speed is not judged any more: two busy
neighbours of two threads on two CPUs were measured to cost eleven twelfths."""
GIVEN = "given"
GIVEN_TITLE = "Start it as you have changed it"


@dataclass(slots=True)
class Wanted:
    """What the user asks for.

    Attributes:
        paths: the case; ``command``: the command line, as typed; ``setup``: all of it, from a YAML file.
        remedy: the id of the one to try; None: in their order, until one is confirmed.
        fixed: the setup after a fix that llmdoctor can't make itself (another engine, the right file).
        workload, tokens: in place of what the rule names.
        memory, address_space, locked_memory: limits of every trial, bytes; None: those that the case tells.
        save: where the trials' logs are kept.
        rule_id: the failure to look at; None: the case's root cause.
    """

    paths: Sequence[str] = ()
    command: str | None = None
    setup: Setup | None = None
    env_files: Sequence[str] = ()
    rule_folders: Sequence[str] = ()
    model: str | None = None
    remedy: str | None = None
    rule_id: str | None = None
    fixed: Setup | None = None
    apply: bool = False
    beside_live: bool = False
    repeats: int | None = None
    clocks: Clocks = field(default_factory=Clocks)
    workload: str | None = None
    tokens: int | None = None
    measures: tuple[str, ...] = ()
    memory: int | None = None
    address_space: int | None = None
    locked_memory: int | None = None
    save: Path | None = None
    embedded: bool = False


_BEFORE_SERVING = frozenset({Phase.BUILD, Phase.START, Phase.LOAD, Phase.CONTEXT})


def no(_what: str, _details: str) -> bool:
    """The answer where nobody can be asked."""
    return False


def confirm(wanted: Wanted, ask: Ask = no, tell: Tell = lambda _text: None) -> Diagnosis:
    """Runs the deployment as it is and with each remedy, and writes into the diagnosis what that proves.

    Raises:
        UsageProblem: nothing can be tried: no command line, no word of the user, a live service in the way.
    """
    with ExitStack() as stack:
        folder = wanted.save or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmdoctor-trials-")))
        return _Confirming(wanted, ask, tell, folder).run()


class _Confirming:
    def __init__(self, wanted: Wanted, ask: Ask, tell: Tell, folder: Path) -> None:
        self.wanted, self.ask, self.tell, self.folder = wanted, ask, tell, folder
        self.count = 0

    def run(self) -> Diagnosis:
        case, finding, deployment = self._case()
        setup = self._setup(case, finding, deployment)
        book = case.book if case is not None else None
        self._guard(setup)
        work = self._workload(finding, book)
        first, seen = self._try(setup, work, "before")
        book = book or seen.book
        if finding is None:
            finding = _spoken_of(seen.document, self.wanted.rule_id, certain=True)
            deployment = seen.deployments.get(finding.runs[0]) if finding is not None and finding.runs else None
            deployment = deployment or next(iter(seen.deployments.values()), None)
            again = self._workload(finding, book)
            if again != work and finding is None:
                work = again
        assert book is not None  # noqa: S101 - every examination has one
        document = case.document if case is not None else seen.document
        claim = self._claim(finding, book)
        before = [first, *self._more(setup, work, "before", claim)]
        stray = not_reproduced(before, claim) if not claim.measures else None
        for remedy, changed in self._changes(setup, finding, seen, deployment):
            made = self._confirmed(before, changed, work, claim, deployment, stray, remedy)
            remedy.confirmation = made
            if made.verdict == "confirmed" and self.wanted.apply and deployment is not None:
                self._apply(made, deployment, changed)
            if finding is None:
                finding = _no_finding(document, first)
            if remedy not in finding.remedies:
                finding.remedies.append(remedy)
            if made.verdict == "confirmed" or stray:
                break
        if finding is not None:
            finding.remedies.sort(key=_standing)
        made_document: Diagnosis = _without_folder(document, self.folder)
        return made_document

    # --- what is to be tried -------------------------------------------------------------------------------------

    def _case(self) -> tuple[Examined | None, Finding | None, Deployment | None]:
        wanted = self.wanted
        if not wanted.paths:
            return None, None, None
        self.tell("reading the case")
        case = examine_request(
            Request(
                paths=wanted.paths,
                command=wanted.command,
                env_files=wanted.env_files,
                rule_folders=wanted.rule_folders,
                model=wanted.model,
            )
        )
        finding = _spoken_of(case.document, wanted.rule_id)
        if finding is None:
            hint = "give --command, to see whether it fails when it runs" if not wanted.command else None
            if wanted.command is None and wanted.setup is None:
                raise UsageProblem("the case shows no failure whose cure could be confirmed", hint=hint)
            return case, None, next(iter(case.deployments.values()), None)
        return case, finding, case.deployments.get(finding.runs[0]) if finding.runs else None

    def _setup(self, case: Examined | None, finding: Finding | None, deployment: Deployment | None) -> Setup:
        wanted = self.wanted
        if wanted.setup is not None:
            setup = wanted.setup
        elif wanted.command is not None:
            setup = of_command(wanted.command)
        else:
            found = of_deployment(deployment) if deployment is not None else None
            if found is None:
                hint = 'give it: --command "llama-server -m ..."'
                raise UsageProblem("the case does not tell the command line that failed", hint=hint)
            setup = found
            question = "The case tells this command line. Run it on this machine?"
            if not self.ask(question, setup.text):
                hint = "say yes when asked, or give --yes; or give the command line with --command"
                raise UsageProblem(f"not run without your word: {setup.text[:400]}", hint=hint)
        limits: dict[str, Any] = {
            name: getattr(wanted, name) or getattr(setup, name) or _told(case, finding, name)
            for name in ("memory", "address_space", "locked_memory")
        }
        return replace(setup, python=setup.python or wanted.embedded, **limits)

    def _guard(self, setup: Setup) -> None:
        if found := self._disturbs(setup):
            hint = "stop it, or choose another port; --beside-live runs the trial all the same"
            raise UsageProblem(f"a trial here would disturb a live service: {found}", hint=hint)

    def _disturbs(self, setup: Setup) -> str:
        from doctor.trial.guard import conflicts

        return "" if self.wanted.beside_live else "; ".join(conflicts(setup))

    def _workload(self, finding: Finding | None, book: RuleBook | None) -> Workload:
        wanted = self.wanted
        rule = book.rules.get(finding.rule_id) if finding is not None and book is not None else None
        told = (rule.card["confirm"] or {}) if rule is not None else {}
        usual = "load_only" if rule is not None and rule.phase in _BEFORE_SERVING else "one_prompt"
        name = wanted.workload or told.get("workload") or usual
        tokens = wanted.tokens
        if tokens is None and told.get("tokens_at_least") and finding is not None:
            tokens = _figure(str(told["tokens_at_least"]), finding)
        return Workload(name, tokens)  # type: ignore[arg-type]

    def _claim(self, finding: Finding | None, book: RuleBook) -> Claim:
        rule = book.rules.get(finding.rule_id) if finding is not None else None
        told = (rule.card["confirm"] or {}) if rule is not None else {}
        measures = self.wanted.measures or tuple(
            CLAIMS[name] for name in told.get("measures", []) if name in CLAIMS and not told.get("gone")
        )
        return Claim(
            rule_id=finding.rule_id if finding is not None else self.wanted.rule_id,
            wrapper=rule is not None and rule.kind == "wrapper",
            measures=measures,
            kinds={rule_id: each.kind.value for rule_id, each in book.rules.items()},
        )

    def _changes(
        self, setup: Setup, finding: Finding | None, seen: Examined, deployment: Deployment | None
    ) -> list[tuple[RemedyEntry, Changed]]:
        """The changes to try, in their order."""
        wanted = self.wanted
        if wanted.fixed is not None:
            changed = _given(setup, wanted.fixed, deployment)
            entry = RemedyEntry(id=GIVEN, title=GIVEN_TITLE, removes="cause", safety="display_only", diff=changed.diff)
            if wanted.remedy and finding is not None:
                entry = _remedy(finding, wanted.remedy)
            return [(entry, changed)]
        remedies = list(finding.remedies) if finding is not None else []
        if wanted.remedy is not None and finding is not None:
            remedies = [_remedy(finding, wanted.remedy)]
        mine = _spoken_of(seen.document, finding.rule_id if finding is not None else None)
        known = {each.id: each for each in mine.remedies} if mine is not None else {}
        found = []
        for remedy in remedies:
            fuller = known.get(remedy.id)
            if fuller is not None and any(action.get("unfilled") for action in remedy.actions):
                remedy.actions, remedy.title = fuller.actions, fuller.title
            if deployment is None:
                continue
            found.append((remedy, change(setup, deployment, remedy.actions)))
        if not found:
            entry = RemedyEntry(id=GIVEN, title="No change to try", removes="cause", safety="display_only")
            obstacle = "no remedy is known that could be tried; give the command line after yours with --fixed"
            found = [(entry, Changed(setup, deployment, obstacle=obstacle))]  # type: ignore[arg-type]
        if wanted.remedy is None:
            # Of what can't be tried the user is told only where there is nothing else.
            found = [pair for pair in found if not pair[1].obstacle] or found[:1]
        return found

    # --- trials --------------------------------------------------------------------------------------------------

    def _try(self, setup: Setup, work: Workload, which: str) -> tuple[Judged, Examined]:
        self.count += 1
        folder = self.folder / f"{self.count:02}-{which}"
        label = f"trial {self.count}, {which} the change"
        trial = run_trial(setup, work, folder, self.wanted.clocks, lambda text: self.tell(f"{label}: {text}"))
        self.tell(f"{label}: judging")
        seen = look(trial, self.wanted.rule_folders)
        return Judged(trial, seen.document), seen

    def _more(self, setup: Setup, work: Workload, which: str, claim: Claim, others: int = 1) -> list[Judged]:
        return [self._try(setup, work, which)[0] for _ in range(self._repeats(claim) - others)]

    def _repeats(self, claim: Claim) -> int:
        asked = self.wanted.repeats or (SPEED_REPEATS if claim.measures else 1)
        return max(1, min(asked, MOST_REPEATS))

    def _confirmed(
        self,
        before: list[Judged],
        changed: Changed,
        work: Workload,
        claim: Claim,
        deployment: Deployment | None,
        stray: str | None,
        remedy: RemedyEntry,
    ) -> Confirmation:
        told = "\n".join([part for part in (changed.diff, *changed.words) if part])
        more: dict[str, Any] = {"workload": work.words, "change": told}
        if stray or changed.obstacle:
            made = confirmation(before, [], claim, Effect("not_seen"), **more)
            made.reason = stray or f"not tried: {changed.obstacle}"
            made.verdict = "inconclusive"
            return made
        if changed.setup == before[0].trial.setup:
            made = confirmation(before, [], claim, Effect("not_seen"), **more)
            made.verdict, made.reason = "inconclusive", "the change changes nothing: both setups are the same"
            return made
        if disturbs := self._disturbs(changed.setup):
            made = confirmation(before, [], claim, Effect("not_seen"), **more)
            made.verdict, made.reason = "inconclusive", f"not tried: it would disturb a live service: {disturbs}"
            return made
        self.tell(f"trying {remedy.id}")
        notes = []
        share = 0.0
        if claim.measures:
            from doctor.trial.guard import busy_share

            if (share := busy_share()) > SOME_LOAD:
                notes.append(
                    f"other programs used {share:.0%} of this machine's CPUs: figures vary more than they would"
                )
        setup = before[0].trial.setup
        after = [self._try(changed.setup, work, "after")[0]]
        if claim.measures and len(before) >= LEAST_REPEATS:
            # In turn from here on, so that what drifts (heat, neighbours, caches) is on both sides alike.
            before[:] = before[:1]
            while len(after) < self._repeats(claim):
                before.append(self._try(setup, work, "before")[0])
                after.append(self._try(changed.setup, work, "after")[0])
        else:
            after += self._more(changed.setup, work, "after", claim)
        options = deployment.options if deployment is not None else ()
        actions = remedy.actions if remedy.id != GIVEN and self.wanted.fixed is None else []
        effect = effect_of(actions, before, after, options) if actions else effect_of_difference(before, after)
        notes += [note for each in after for note in (each.trial.ending.troubles if each.trial.ending else ())]
        made = confirmation(before, after, claim, effect, notes=list(dict.fromkeys(notes)), **more)
        if share > MOST_LOAD and made.verdict != "inconclusive" and not self.wanted.beside_live:
            made.verdict = "inconclusive"
            made.reason = (
                f"other programs used {share:.0%} of this machine's CPUs, so its speed says nothing: {made.reason}"
            )
        return made

    def _apply(self, made: Confirmation, deployment: Deployment, changed: Changed) -> None:
        from doctor.trial.apply import changed_files, write

        if not changed_files(deployment, changed.deployment):
            made.notes.append("no file declares this deployment: change the command line where you start it")
            return
        if self.ask("Write this change to the files?", changed.diff or ""):
            made.applied = write(deployment, changed.deployment)
        else:
            made.notes.append("not written: you did not say yes")


def compare_setups(
    before: Setup, after: Setup, work: Workload, wanted: Wanted, tell: Tell = lambda _text: None
) -> Confirmation:
    """Measures two setups against each other; where the first one fails, whether the second one does not."""
    claimed = replace(wanted, setup=before, fixed=after)
    with ExitStack() as stack:
        folder = wanted.save or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmdoctor-trials-")))
        doing = _Confirming(claimed, no, tell, folder)
        doing._guard(before)
        doing._guard(after)
        first, seen = doing._try(before, work, "before")
        finding = _spoken_of(seen.document, wanted.rule_id, certain=True)
        claim = doing._claim(finding, seen.book)
        failed = not_reproduced([first], claim) is None
        if not failed and not claim.measures:
            claim = replace(claim, rule_id=None, measures=(CLAIMS["speed.generation"],))
        trials = [first, *doing._more(before, work, "before", claim)] if claim.measures else [first]
        change_ = _given(before, after, None)
        entry = RemedyEntry(id=GIVEN, title="The second setup", removes="cause", safety="display_only")
        made = doing._confirmed(trials, change_, work, claim, None, None, entry)
        without: Confirmation = _without_folder(made, folder)
        return without


def compare_files(one: str, other: str, wanted: Wanted, tell: Tell = lambda _text: None) -> Confirmation:
    """`compare_setups` of two YAML files.

    Raises:
        UsageProblem: one is not as it must be; nothing was started then.
    """
    before, wanted = wanted_of_yaml(one, wanted)
    after, wanted = wanted_of_yaml(other, wanted)
    work = Workload(wanted.workload or "one_prompt", wanted.tokens)  # type: ignore[arg-type]
    return compare_setups(before, after, work, wanted, tell)


def confirm_endpoint(url: str, wanted: Wanted, tell: Tell = lambda _text: None) -> Diagnosis:
    """Puts the workload to a server that is up: whether the case's failure comes back there. Nothing is changed.

    Raises:
        UsageProblem: the address can't be asked.
    """
    from doctor.trial.runners.endpoint import run

    with ExitStack() as stack:
        folder = wanted.save or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llmdoctor-trials-")))
        doing = _Confirming(wanted, no, tell, folder)
        case, finding, _deployment = doing._case()
        work = doing._workload(finding, case.book if case is not None else None)
        trial = run(url, work, folder / "01-endpoint", wanted.clocks, tell)
        seen = look(trial, wanted.rule_folders)
        judged = Judged(trial, seen.document)
        claim = doing._claim(finding, seen.book)
        made = confirmation([judged], [], claim, Effect("not_seen"), workload=work.words)
        made.trials[0].command = trial.address
        if trial.not_run:
            made.reason = trial.not_run
        elif finding is not None and judged.has(finding.rule_id) is None and trial.is_through:
            made.reason = f"{trial.address} worked the workload through: what failed in the case does not fail there"
        elif trial.is_through:
            made.reason = f"{trial.address} worked the workload through"
        else:
            made.verdict, made.reason = "refuted", f"{trial.address}: {judged.words}"
        document = case.document if case is not None else seen.document
        kept = finding or _no_finding(document, judged)
        entry = RemedyEntry(id=GIVEN, title=f"As it is at {trial.address}", removes="cause", safety="display_only")
        entry.confirmation = made
        kept.remedies.append(entry)
        told: Diagnosis = _without_folder(document, folder)
        return told


def look(trial: Trial, rule_folders: Sequence[str] = ()) -> Examined:
    """The diagnosis of what a trial wrote: as ``llmdoctor analyze`` would give it."""
    setup = trial.setup
    words = [f"{name}={value}" for name, value in setup.env.items() if value is not None]
    # A program that hides what its engine prints is no llama-server, whose flags only stand for its arguments here.
    named = bool(setup.words) and (setup.verbose or not setup.python)
    model = setup.model()
    request = Request(
        paths=trial.paths(),
        command=shlex.join([*words, *setup.words]) if named else None,
        rule_folders=rule_folders,
        model=str(model) if model is not None and model.is_file() else None,
    )
    try:
        return examine_request(request)
    except UsageProblem:  # a broken model file, or a command that only starts
        return examine_request(replace(request, model=None))


def _spoken_of(document: Diagnosis, rule_id: str | None, *, certain: bool = False) -> Finding | None:
    """The failure to look at: of that rule, or else the root cause (``certain``: no likely one, of a trial that we saw)."""
    if rule_id is not None:
        return next((finding for finding in document.findings if finding.rule_id == rule_id), None)
    for role in ("root_cause", "contributing"):
        for finding in document.findings:
            if finding.role == role and not (certain and finding.missing_facts):
                return finding
    return None


def _standing(remedy: RemedyEntry) -> int:
    """What was confirmed is the thing to do, what was refuted is not."""
    verdict = remedy.confirmation.verdict if remedy.confirmation is not None else ""
    return {"confirmed": 0, "refuted": 2}.get(verdict, 1)


def _remedy(finding: Finding, name: str) -> RemedyEntry:
    found = next((remedy for remedy in finding.remedies if remedy.id == name), None)
    if found is None:
        known = ", ".join(remedy.id for remedy in finding.remedies) or "none"
        raise UsageProblem(f"{finding.rule_id} has no such remedy", subject=f"--remedy {name}", hint=f"it has {known}")
    return found


def _given(before: Setup, after: Setup, deployment: Deployment | None) -> Changed:
    diff = f"- {before.text}\n+ {after.text}" if before != after else None
    return Changed(after, deployment, diff)  # type: ignore[arg-type]


def _figure(text: str, finding: Finding) -> int | None:
    """The value of a name that the finding computed or captured, or a number."""
    if text.isdecimal():
        return int(text)
    for item in finding.computed:
        if item.name == text and isinstance(item.value, (int, float)) and not isinstance(item.value, bool):
            return int(item.value)
    signature, _, capture = text.partition(".")
    for line in finding.evidence:
        value = line.captures.get(capture or signature)
        if (not capture or line.signature == signature) and isinstance(value, int):
            return value
    return None


_FACTS = {
    "memory": ("host.cgroup_limit", "cgroup_limit"),
    "address_space": ("host.address_space_limit", ""),
    "locked_memory": ("host.memlock_limit", ""),
}


def _told(case: Examined | None, finding: Finding | None, limit: str) -> int | None:
    """A limit under which the case ran: without it the failure would not come back."""
    if case is None or finding is None:
        return None
    fact, computed = _FACTS[limit]
    values = [run.facts.get(fact) for run in case.document.runs if run.id in finding.runs]
    values += [item.value for item in finding.computed if computed and item.name == computed]
    sizes = [value for value in values if isinstance(value, int) and not isinstance(value, bool) and value > 0]
    return sizes[0] if sizes else None


def _no_finding(document: Diagnosis, first: Judged) -> Finding:
    """Where no rule names the failure, its confirmation still has to stand somewhere."""
    from doctor.vocabulary.terms import Severity

    finding = Finding(
        id="trial",
        rule_id="trial",
        family="unknown",
        role="symptom",
        severity=Severity.INFO,
        confidence="high",
        title="A trial of this deployment",
        summary=f"Tried on this machine: {first.words}.",
        known_by="reproduced",
    )
    document.findings.append(finding)
    return finding


def _without_folder(value: Any, folder: Path) -> Any:
    """Paths of trials as they are named below their folder, which may be gone when they are read."""
    prefix = re.compile(re.escape(f"{folder}/"))
    if isinstance(value, str):
        return prefix.sub("", value) if type(value) is str else value
    if isinstance(value, list):
        return [_without_folder(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _without_folder(item, folder) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            setattr(value, part.name, _without_folder(getattr(value, part.name), folder))
    return value


def wanted_of_yaml(path: str, wanted: Wanted) -> tuple[Setup, Wanted]:
    """A setup from a YAML file, with what it says of the workload put into ``wanted`` where the user says nothing.

    Raises:
        UsageProblem: the file is not as it must be.
    """
    setup, more = read_setup(path)
    name, tokens = more.get("workload"), more.get("tokens")
    if name is not None and name not in workloads.NAMES:
        raise UsageProblem("no such workload", subject=f"{path}: workload", hint=", ".join(workloads.NAMES))
    if tokens is not None and (not isinstance(tokens, int) or isinstance(tokens, bool) or not 0 < tokens <= 1_000_000):
        raise UsageProblem("a number of tokens is expected", subject=f"{path}: tokens")
    return setup, replace(wanted, workload=wanted.workload or name, tokens=wanted.tokens or tokens)
