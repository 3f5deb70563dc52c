"""A checklist for the person who does it: what is to be done first, then every step in order. It reads nothing."""

from __future__ import annotations

import textwrap

from src import console
from src.facts.checklists import Answer, Checklist, Step, Todo
from src.facts.wording import moment, one_line

_WIDTH = 110
_SIGNS = {Answer.FINE: "✓", Answer.TO_DO: "✗", Answer.KNOWN: "~", Answer.UNKNOWN: "?"}
_MOST = 8  # things to do that are written out


def print_checklist(found: Checklist, *, every: bool = False) -> None:
    """Print what is to be done, the most urgent first, then a line for each step; `every`: all that is to be done."""
    of_month = f" of {found.month:%Y-%m}" if found.month else ""
    print(f"{found.name.capitalize()}{of_month}: {verdict(found)}   {moment(found.read_at)} UTC")
    shown = found.todos if every else found.todos[:_MOST]
    for todo in shown:
        _print_todo(todo)
    if len(found.todos) > len(shown):
        print(f"\nand {len(found.todos) - len(shown)} more: `.venv/bin/python main.py checklist {found.name} --all`")
    print()
    widest = max(len(step.title) for step in found.steps)
    for step in found.steps:
        _print_step(step, widest)


def verdict(found: Checklist) -> str:
    """Return in a few words how many things are to be done, and how many steps are fine."""
    counts = {answer: sum(step.answer is answer for step in found.steps) for answer in Answer}
    texts = [f"{len(found.todos)} to do" if found.todos else "nothing to do"]
    texts += [f"{counts[answer]} {answer}" for answer in (Answer.FINE, Answer.KNOWN, Answer.UNKNOWN) if counts[answer]]
    return ", ".join(texts)


def _print_todo(todo: Todo) -> None:
    print()
    print(_wrapped(f"{todo.urgency}  ", todo.what))
    if todo.advice and todo.advice != todo.what:
        print(_wrapped("    -> ", todo.advice))
    for command in filter(None, (todo.command, todo.answer)):
        print(f"    $ {command}")


def _print_step(step: Step, widest: int) -> None:
    text = f"cannot be told: {step.found}" if step.answer is Answer.UNKNOWN else step.found
    print(_wrapped(f"{_SIGNS[step.answer]} {step.title:<{widest}}  ", text))


def _wrapped(lead: str, text: str) -> str:
    width = min(_WIDTH, console.width() or _WIDTH)
    return textwrap.fill(
        one_line(text),
        width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
