"""Options that several commands share, and what they and the file of settings come to together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doctor.settings.file import Loaded, settings_for
from doctor.vocabulary.terms import Severity

if TYPE_CHECKING:
    from doctor.api import Request
    from doctor.vocabulary.document import Diagnosis

_FINDINGS = {"root_cause", "contributing", "risk"}
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(slots=True)
class Policy:
    """What counts, how much, and what it does to the exit status: the command line over the file of settings.

    Attributes:
        rules: further rules: folders and names of packs.
        baseline: the file of accepted findings.
    """

    file: Loaded = field(default_factory=Loaded)
    fail_on: Severity = Severity.MAJOR
    strict: bool = False
    rules: tuple[str, ...] = ()
    baseline: str | None = None

    def prove(self) -> None:
        """For what begins long before it judges: mistakes in what was chosen are told at once.

        Raises:
            UsageProblem: of rules, names of rules and the baseline, one can't be used.
        """
        chosen = self.file.choice
        if self.rules or chosen.select or chosen.ignore or chosen.severity:
            from doctor.api import load_rules

            load_rules(self.rules, chosen)
        if self.baseline is not None:
            from doctor.suppress import read_baseline

            read_baseline(self.baseline)

    def request(self, **more: Any) -> Request:
        """What to analyze by these rules."""
        from doctor.api import Request

        return Request(rule_folders=self.rules, choice=self.file.choice, baseline=self.baseline, **more)

    def finish(self, document: Diagnosis) -> Diagnosis:
        """The document as it may be shown: it names the file of settings, and what that wants to be replaced is."""
        if self.file.path is None:
            return document
        document.settings_file = str(self.file.path)
        wanted = self.file.settings
        if wanted.redact == "secrets" and not wanted.redact_words:
            return document
        from doctor.report.anonymous import without

        return without(document, names=wanted.redact == "names", words=wanted.redact_words)

    def exit_status(self, document: Diagnosis) -> int:
        """0 nothing at or above ``fail_on``, 1 a finding, 3 (with ``strict``) a rule that could not be judged."""
        return exit_status(document, self.fail_on, self.strict)


def exit_status(document: Diagnosis, fail_on: str, strict: bool) -> int:
    """As ``Policy.exit_status``, without a policy. What is suppressed is no finding."""
    limit = Severity(fail_on).rank
    if any(finding.role in _FINDINGS and finding.severity.rank >= limit for finding in document.findings):
        return 1
    return 3 if strict and document.could_not_judge else 0


def config_options(command: _Command) -> _Command:
    """``--config`` and ``--no-config``: the command gets ``file``, the settings."""
    config = click.option(
        "--config", metavar="FILE", help="Settings; llmdoctor.toml or pyproject.toml, the nearest upward, by default."
    )
    no_config = click.option("--no-config", is_flag=True, help="Take no file of settings.")

    @functools.wraps(command)
    def with_file(*args: Any, config: str | None, no_config: bool, **given: Any) -> Any:
        if config is not None and no_config:
            raise click.UsageError("--config and --no-config exclude each other.")
        return command(*args, file=settings_for(config, none=no_config), **given)

    return config(no_config(with_file))  # type: ignore[return-value]


def rule_options(command: _Command) -> _Command:
    """``--rules``, ``--baseline`` and those of `config_options`: the command gets ``policy``."""
    rules = click.option(
        "--rules", "rule_folders", multiple=True, metavar="FOLDER|NAME", help="Further rules: a folder or a pack."
    )
    accepted = click.option(
        "--baseline", metavar="FILE", help="Accepted findings, as --write-baseline of `check` writes it."
    )

    @functools.wraps(command)
    def with_policy(*args: Any, file: Loaded, rule_folders: tuple[str, ...], baseline: str | None, **given: Any) -> Any:
        wanted = file.settings
        policy = Policy(file, wanted.fail_on, wanted.strict, (*file.rules, *rule_folders), baseline or file.baseline)
        return command(*args, policy=policy, **given)

    return config_options(rules(accepted(with_policy)))  # type: ignore[return-value]


def policy_options(command: _Command) -> _Command:
    """``--fail-on``, ``--strict`` and those of `rule_options`: the command gets ``policy``."""
    fail = click.option(
        "--fail-on",
        type=click.Choice([severity.value for severity in Severity]),
        show_default="major",
        help="Exit with 1 when there is a finding this grave.",
    )
    strictly = click.option("--strict", is_flag=True, help="Exit with 3 when a rule this grave could not be judged.")

    @functools.wraps(command)
    def with_limits(*args: Any, policy: Policy, fail_on: str | None, strict: bool, **given: Any) -> Any:
        policy.fail_on = Severity(fail_on) if fail_on else policy.fail_on
        policy.strict = strict or policy.strict
        return command(*args, policy=policy, **given)

    return rule_options(fail(strictly(with_limits)))  # type: ignore[return-value]
