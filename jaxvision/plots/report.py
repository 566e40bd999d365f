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


def write_report(path, *, title, summary, result, config, environment, figures) -> None:
    """Write the page, whole or not at all.

    summary: a docstring; its indented blocks are shown as they are. result: as in result.json, {"steps": ...,
    "seconds": ..., "train": {"loss": ...}, "validation": {...}, "test": {...}}, perhaps with standard deviations
    "std" of the same form, a "claim" and "memory_bytes" {"arguments": ...}. config, environment: dicts, nested or
    not. figures: pairs (caption, path of a PNG). All text is escaped.

    Raises InputError if a figure is missing or no PNG.
    """
    pictures = [(caption, _read_png(Path(figure))) for caption, figure in figures]
    metrics = _metrics(result)
    page = Template(files("jaxvision.plots").joinpath("report.html").read_text("utf-8")).substitute(
        title=escape(title),
        summary=_paragraphs(summary),
        scores=_claim(result) + _scores(result, metrics) * bool(metrics),
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


def _claim(result):
    """The sentence the experiment illustrates, and whether it came out true."""
    if not (claim := result.get("claim")):
        return ""
    verdict = "holds" if claim["holds"] else "does not hold"
    text = f"{claim['text']}: {verdict}. Measured {claim['measured']}; bound {claim['bound']}."
    return f'<p class="claim">{escape(text)}</p>\n'


def _scores(result, metrics):
    """One row a split, one column a metric."""
    head = "".join(f"<th>{escape(name)}</th>" for name in metrics)
    body = ""
    for split in filter(result.get, SPLITS):
        spread = result.get("std", {}).get(split, {})
        cells = "".join(f"<td>{_score(result[split].get(name), spread.get(name))}</td>" for name in metrics)
        body += f"<tr><th>{split}</th>{cells}</tr>\n"
    table = f"<thead><tr><td></td>{head}</tr></thead>\n<tbody>{body}</tbody>"
    return f'<div class="wide"><table class="scores">{table}</table></div>'


def _cost(result):
    units = {"steps": "steps", "seconds": "seconds", "examples_per_second": "examples a second"}
    parts = [f"{_rounded(result[name])} {unit}" for name, unit in units.items() if name in result]
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
