"""Reproduce, fix, compare: a proposed fix is tried, and the document says what came of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doctor.api import Examined, Request, examine_request
from doctor.errors import UsageProblem
from doctor.trial.compare import CLAIMS, LEAST_REPEATS, Claim, Effect, Judged, confirmation, not_reproduced
from doctor.trial.effect import effect_of, effect_of_difference
from doctor.trial.runners import run_trial
from doctor.trial.seen import figure, limit_of, look, no_finding, spoken_of, standing, without_folder
from doctor.trial.setup import Changed, Setup, change, of_command, of_deployment
from doctor.trial.wanted import Wanted, wanted_of_yaml
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
        return Confirming(wanted, ask, tell, folder).run()


class Confirming:
    """The steps of one confirmation; ``folder`` takes the trials' folders."""

    def __init__(self, wanted: Wanted, ask: Ask, tell: Tell, folder: Path) -> None:
        self.wanted, self.ask, self.tell, self.folder = wanted, ask, tell, folder
        self.count = 0

    def run(self) -> Diagnosis:
        case, finding, deployment = self.case()
        setup = self.setup(case, finding, deployment)
        book = case.book if case is not None else None
        self.guard(setup)
        work = self.workload(finding, book)
        first, seen = self.attempt(setup, work, "before")
        book = book or seen.book
        if finding is None:
            finding = spoken_of(seen.document, self.wanted.rule_id, certain=True)
            deployment = seen.deployments.get(finding.runs[0]) if finding is not None and finding.runs else None
            deployment = deployment or next(iter(seen.deployments.values()), None)
            again = self.workload(finding, book)
            if again != work and finding is None:
                work = again
        assert book is not None  # noqa: S101 - every examination has one
        document = case.document if case is not None else seen.document
        claim = self.claim(finding, book)
        before = [first, *self.more(setup, work, "before", claim)]
        stray = not_reproduced(before, claim) if not claim.measures else None
        for remedy, changed in self._changes(setup, finding, seen, deployment):
            made = self.confirmed(before, changed, work, claim, deployment, stray, remedy)
            remedy.confirmation = made
            if made.verdict == "confirmed" and self.wanted.apply and deployment is not None:
                self._apply(made, deployment, changed)
            if finding is None:
                finding = no_finding(document, first)
            if remedy not in finding.remedies:
                finding.remedies.append(remedy)
            if made.verdict == "confirmed" or stray:
                break
        if finding is not None:
            finding.remedies.sort(key=standing)
        made_document: Diagnosis = without_folder(document, self.folder)
        return made_document

    # --- what is to be tried -------------------------------------------------------------------------------------

    def case(self) -> tuple[Examined | None, Finding | None, Deployment | None]:
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
                choice=wanted.choice,
                baseline=wanted.baseline,
                model=wanted.model,
            )
        )
        finding = spoken_of(case.document, wanted.rule_id)
        if finding is None:
            hint = "give --command, to see whether it fails when it runs" if not wanted.command else None
            if wanted.command is None and wanted.setup is None:
                raise UsageProblem("the case shows no failure whose cure could be confirmed", hint=hint)
            return case, None, next(iter(case.deployments.values()), None)
        return case, finding, case.deployments.get(finding.runs[0]) if finding.runs else None

    def setup(self, case: Examined | None, finding: Finding | None, deployment: Deployment | None) -> Setup:
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
            name: getattr(wanted, name) or getattr(setup, name) or limit_of(case, finding, name)
            for name in ("memory", "address_space", "locked_memory")
        }
        return replace(setup, python=setup.python or wanted.embedded, **limits)

    def guard(self, setup: Setup) -> None:
        if found := self._disturbs(setup):
            hint = "stop it, or choose another port; --beside-live runs the trial all the same"
            raise UsageProblem(f"a trial here would disturb a live service: {found}", hint=hint)

    def _disturbs(self, setup: Setup) -> str:
        from doctor.trial.guard import conflicts

        return "" if self.wanted.beside_live else "; ".join(conflicts(setup))

    def workload(self, finding: Finding | None, book: RuleBook | None) -> Workload:
        wanted = self.wanted
        rule = book.rules.get(finding.rule_id) if finding is not None and book is not None else None
        told = (rule.card["confirm"] or {}) if rule is not None else {}
        usual = "load_only" if rule is not None and rule.phase in _BEFORE_SERVING else "one_prompt"
        name = wanted.workload or told.get("workload") or usual
        tokens = wanted.tokens
        if tokens is None and told.get("tokens_at_least") and finding is not None:
            tokens = figure(str(told["tokens_at_least"]), finding)
        return Workload(name, tokens)  # type: ignore[arg-type]

    def claim(self, finding: Finding | None, book: RuleBook) -> Claim:
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
        mine = spoken_of(seen.document, finding.rule_id if finding is not None else None)
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

    def attempt(self, setup: Setup, work: Workload, which: str) -> tuple[Judged, Examined]:
        self.count += 1
        folder = self.folder / f"{self.count:02}-{which}"
        label = f"trial {self.count}, {which} the change"
        trial = run_trial(setup, work, folder, self.wanted.clocks, lambda text: self.tell(f"{label}: {text}"))
        self.tell(f"{label}: judging")
        seen = look(trial, self.wanted.rule_folders, self.wanted.choice)
        return Judged(trial, seen.document), seen

    def more(self, setup: Setup, work: Workload, which: str, claim: Claim, others: int = 1) -> list[Judged]:
        return [self.attempt(setup, work, which)[0] for _ in range(self.repeats(claim) - others)]

    def repeats(self, claim: Claim) -> int:
        asked = self.wanted.repeats or (SPEED_REPEATS if claim.measures else 1)
        return max(1, min(asked, MOST_REPEATS))

    def confirmed(
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
        after = [self.attempt(changed.setup, work, "after")[0]]
        if claim.measures and len(before) >= LEAST_REPEATS:
            # In turn from here on, so that what drifts (heat, neighbours, caches) is on both sides alike.
            before[:] = before[:1]
            while len(after) < self.repeats(claim):
                before.append(self.attempt(setup, work, "before")[0])
                after.append(self.attempt(changed.setup, work, "after")[0])
        else:
            after += self.more(changed.setup, work, "after", claim)
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
        doing = Confirming(claimed, no, tell, folder)
        doing.guard(before)
        doing.guard(after)
        first, seen = doing.attempt(before, work, "before")
        finding = spoken_of(seen.document, wanted.rule_id, certain=True)
        claim = doing.claim(finding, seen.book)
        failed = not_reproduced([first], claim) is None
        if not failed and not claim.measures:
            claim = replace(claim, rule_id=None, measures=(CLAIMS["speed.generation"],))
        trials = [first, *doing.more(before, work, "before", claim)] if claim.measures else [first]
        change_ = _given(before, after, None)
        entry = RemedyEntry(id=GIVEN, title="The second setup", removes="cause", safety="display_only")
        made = doing.confirmed(trials, change_, work, claim, None, None, entry)
        without: Confirmation = without_folder(made, folder)
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
        doing = Confirming(wanted, no, tell, folder)
        case, finding, _deployment = doing.case()
        work = doing.workload(finding, case.book if case is not None else None)
        trial = run(url, work, folder / "01-endpoint", wanted.clocks, tell)
        seen = look(trial, wanted.rule_folders, wanted.choice)
        judged = Judged(trial, seen.document)
        claim = doing.claim(finding, seen.book)
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
        kept = finding or no_finding(document, judged)
        entry = RemedyEntry(id=GIVEN, title=f"As it is at {trial.address}", removes="cause", safety="display_only")
        entry.confirmation = made
        kept.remedies.append(entry)
        told: Diagnosis = without_folder(document, folder)
        return told


def _remedy(finding: Finding, name: str) -> RemedyEntry:
    found = next((remedy for remedy in finding.remedies if remedy.id == name), None)
    if found is None:
        known = ", ".join(remedy.id for remedy in finding.remedies) or "none"
        raise UsageProblem(f"{finding.rule_id} has no such remedy", subject=f"--remedy {name}", hint=f"it has {known}")
    return found


def _given(before: Setup, after: Setup, deployment: Deployment | None) -> Changed:
    diff = f"- {before.text}\n+ {after.text}" if before != after else None
    return Changed(after, deployment, diff)  # type: ignore[arg-type]
