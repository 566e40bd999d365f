"""The report of a run: one HTML file that holds everything it shows and asks the network for nothing."""

import base64
import inspect
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from jaxvision.errors import InputError
from jaxvision.files import write_whole

SPLITS = ("train", "validation", "test")


def write_report(path, *, title, summary, result, config, environment, figures, claim="") -> None:
    """Write the page, whole or not at all.

    summary: a docstring; its indented blocks are shown as they are. result: as in result.json, {"steps": ...,
    "seconds": ..., "train": {"loss": ...}, "validation": {...}, "test": {...}}, perhaps with "memory_bytes"
    {"arguments": ...} and, of a population, deviations "std" and metrics of the "ensemble" of the same form, its
    "members" {"seed": ..., "hyper": {...}, "train": ...}, the names "varied" in them and who was "chosen". config,
    environment: dicts, nested or not. figures: pairs (caption, path of a PNG). claim: a sentence to begin with. All
    text is escaped.

    Raises InputError if a figure is missing or no PNG.
    """
    pictures = [(caption, _read_png(Path(figure))) for caption, figure in figures]
    metrics = _metrics(result)
    page = Template(files("jaxvision.plots").joinpath("report.html").read_text("utf-8")).substitute(
        title=escape(title),
        summary=_paragraphs(summary),
        scores=f'<p class="claim">{escape(claim)}</p>\n' * bool(claim) + _scores(result, metrics) * bool(metrics),
        members=_members(result, metrics),
        cost=_cost(result),
        figures=_figures(pictures),
        config=_settings(config),
        environment=_settings(environment),
    )
    write_whole(Path(path), page)


def _read_png(path):
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, expected a figure") from error
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InputError(f"{path}: not a PNG file, expected one that `save` wrote")
    return content


def _metrics(result):
    """The names of the scalar metrics of all splits, in the order in which they first appear."""
    found = [item for split in SPLITS for item in result.get(split, {}).items()]
    return list(dict.fromkeys(name for name, value in found if isinstance(value, int | float)))


def _paragraphs(docstring):
    blocks = re.split(r"\n\s*\n", inspect.cleandoc(docstring))
    return "\n".join(_paragraph(block) for block in blocks if block.strip())


def _paragraph(block):
    if all(line.startswith(" ") for line in block.splitlines()):
        return f"<pre>{escape(inspect.cleandoc(block).rstrip())}</pre>"
    return f"<p>{escape(block)}</p>"


def _scores(result, metrics):
    """One row a split, one column a metric; of a population also what its members say together."""
    deviations = result.get("std", {})
    body = [
        [split, *(_score(result[split].get(name), deviations.get(split, {}).get(name)) for name in metrics)]
        for split in filter(result.get, SPLITS)
    ]
    tables = [_table("scores", ["", *metrics], body)]
    for split, scores in result.get("ensemble", {}).items():
        row = [f"{split}, as one ensemble", *map(_rounded, scores.values())]
        tables.append(_table("members", ["", *scores], [row]))
    return "\n".join(tables)


def _members(result, metrics):
    """One row a member of a population: seed, what varies, and its scores; folded up, as there can be many."""
    if not (members := result.get("members")):
        return ""
    columns = [(split, metric) for split in filter(result.get, SPLITS) for metric in metrics]
    body = [
        [
            str(member["seed"]),
            *(f"{member['hyper'][name]:g}" for name in result["varied"]),
            *(_rounded(member.get(split, {}).get(metric)) for split, metric in columns),
            _fate(member, i in result["chosen"]),
        ]
        for i, member in enumerate(members)
    ]
    head = ["seed", *result["varied"], *(f"{split} {metric}" for split, metric in columns), ""]
    table = f"<details><summary>{len(members)} members</summary>{_table('members', head, body)}</details>"
    return f"<p>{escape(_shown(members[result['chosen'][0]], result['varied']))}</p>\n{table}"


def _shown(member, varied):
    """What was chosen, and whose pictures these are."""
    setting = ", ".join(f"{name} {member['hyper'][name]:g}" for name in varied)
    chosen = f"Chosen on validation: {setting}. " if varied else ""
    return f"{chosen}Figures except the curves, and predictions, show the member with seed {member['seed']}."


def _fate(member, chosen):
    if "diverged_at" in member:
        return f"diverged at step {member['diverged_at']}"
    return "tested" if chosen else "not chosen"


def _table(name, head, body):
    """An HTML table of class `name` whose rows begin with their titles."""
    titles = "".join(f"<th>{escape(title)}</th>" if title else "<td></td>" for title in head)
    rows = "".join(
        f"<tr><th>{escape(first)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>\n"
        for first, *rest in body
    )
    table = f"<thead><tr>{titles}</tr></thead>\n<tbody>{rows}</tbody>"
    return f'<div class="wide"><table class="{name}">{table}</table></div>'


def _cost(result):
    units = {"steps": "steps", "seconds": "seconds", "examples_per_second": "examples a second"}
    parts = [f"{_rounded(result[name])} {unit}" for name, unit in units.items() if result.get(name)]
    if memory := result.get("memory_bytes"):
        each = ", ".join(f"{name} {_rounded(size / 2**20)} MiB" for name, size in memory.items())
        parts.append(f"memory of an update on each device: {escape(each)}")
    return f'<p class="cost">{" · ".join(parts)}</p>'


def _score(value, deviation):
    return _rounded(value) if deviation is None else f"{_rounded(value)} ± {_rounded(deviation)}"


def _rounded(number):
    """Four digits, for reading."""
    if number is None:
        return ""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _figures(pictures):
    return "\n".join(["<h2>Figures</h2>" * bool(pictures), *(_figure(*picture) for picture in pictures)])


def _figure(caption, picture):
    data = base64.b64encode(picture).decode("ascii")
    caption = escape(caption)
    image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _settings(settings):
    rows = [f"<tr><th>{escape(name)}</th><td>{_text(value)}</td></tr>" for name, value in _flat(settings)]
    return '<table class="settings"><tbody>\n' + "\n".join(rows) + "\n</tbody></table>"


def _flat(settings, prefix=""):
    """(name, value) for every leaf, the names of nested ones joined by dots."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _text(value):
    """As it is, for copying."""
    return escape(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))
