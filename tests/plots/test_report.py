import base64
from html.parser import HTMLParser

import numpy as np
import pytest

from jaxvision.errors import InputError
from jaxvision.plots import image_grid, save, write_report

VOID = {"meta", "link", "img", "br", "hr"}


class Page(HTMLParser):
    """Checks that tags balance; collects text by tag, attributes, and table rows."""

    def __init__(self, path):
        super().__init__()
        self.open, self.attributes, self.rows, self.texts = [], [], [], []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, *attr) for attr in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))
        if data.strip() and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)

    def of(self, tag):
        return [text for inside, text in self.texts if inside == tag]


ARGUMENTS = {
    "title": "Digits & <b>softmax</b>",
    "summary": """Softmax regression.

    See https://example.org <script>alert("no")</script>, cost $5.

        python -m experiments.digits.softmax
        """,
    "result": {
        "experiment": "digits/softmax",
        "steps": 1000,
        "seconds": 12.3456,
        "examples_per_second": 43210.9,
        "train": {"loss": 0.0123456, "top1": 0.99},
        "validation": {"loss": 0.11, "top1": 0.965, "per_class": [1, 2]},
        "test": {"top1": 0.9611},
    },
    "config": {
        "learning_rate": 0.00012345,
        "optimizer": {"name": "<sgd>", "betas": (0.9, 0.99)},
        "note": None,
    },
    "environment": {"command": "python 'a' && \"b\"", "devices": ["cpu:0", "cpu:1"]},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    save(image_grid(np.zeros((1, 4, 4))), directory / "grid.png")
    write_report(directory / "report.html", figures=[('"Zeros" <i>', directory / "grid.png")], **ARGUMENTS)
    return directory


@pytest.fixture(scope="module")
def page(written):
    return Page(written / "report.html")


def test_only_the_report_is_written(written):
    assert {file.name for file in written.iterdir()} == {"grid.png", "report.html"}


def test_scores_are_rounded_and_settings_are_not(page):
    assert page.rows == [
        ["loss", "top1"],
        ["train", "0.01235", "0.99"],
        ["validation", "0.11", "0.965"],
        ["test", "0.9611"],
        ["learning_rate", "0.00012345"],
        ["optimizer.name", "<sgd>"],
        ["optimizer.betas", "0.9, 0.99"],
        ["note", "None"],
        ["command", "python 'a' && \"b\""],
        ["devices", "cpu:0, cpu:1"],
    ]
    assert "1,000 steps · 12.35 seconds · 43,211 examples a second" in page.of("p")


def test_text_stays_text(page):
    assert page.of("title") == page.of("h1") == ["Digits & <b>softmax</b>"]
    assert page.of("p")[:2] == [
        "Softmax regression.",
        'See https://example.org <script>alert("no")</script>, cost $5.',
    ]
    assert page.of("pre") == ["python -m experiments.digits.softmax"]
    assert page.of("figcaption") == ['"Zeros" <i>']
    assert not page.of("script") and not page.of("b")


def test_pictures_are_inside(page, written):
    sources = [value for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    contents = [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources]
    assert contents == [(written / "grid.png").read_bytes()]


def test_nothing_is_fetched(page):
    linking = [value for _, name, value in page.attributes if name in ("src", "href", "srcset", "action", "data")]
    assert all(value.startswith("data:") for value in linking)
    (style,) = page.of("style")
    assert "url(" not in style and "@import" not in style
    assert any(value and value.startswith("default-src 'none'") for _, _, value in page.attributes)


def test_a_run_without_figures_has_a_report(tmp_path):
    write_report(tmp_path / "report.html", figures=[], **ARGUMENTS)
    assert not Page(tmp_path / "report.html").of("figcaption")


def test_a_study_has_its_claim_and_a_population_its_deviations(tmp_path):
    study = {"experiment": "foundations.capacity", "steps": 10, "seconds": 1.0}
    claim = "holds: Wider is < better (measured 0.5; >= 0.4)"
    write_report(tmp_path / "report.html", figures=[], claim=claim, **(ARGUMENTS | {"result": study}))
    page = Page(tmp_path / "report.html")
    assert claim in page.of("p")
    assert ["loss", "top1"] not in page.rows

    population = ARGUMENTS["result"] | {"std": {"test": {"top1": 0.00123456}}}
    write_report(tmp_path / "report.html", figures=[], **(ARGUMENTS | {"result": population}))
    assert ["test", "0.9611 ± 0.001235"] in Page(tmp_path / "report.html").rows


def test_a_population_has_its_members_and_its_ensemble(tmp_path):
    member = {"seed": 3, "hyper": {"learning_rate": 0.01, "weight_decay": 0.0}, "train": {"top1": 0.9}}
    population = ARGUMENTS["result"] | {
        "train": {"top1": 0.9},
        "validation": {},
        "ensemble": {"test": {"top1_mean_probability": 0.975, "top1_vote": 0.97}},
        "varied": ["learning_rate"],
        "chosen": [0],
        "members": [
            member | {"test": {"top1": 0.9611}},
            member | {"hyper": {"learning_rate": 0.1, "weight_decay": 0.0}},
            member | {"hyper": {"learning_rate": 10.0, "weight_decay": 0.0}, "diverged_at": 12},
        ],
    }
    write_report(tmp_path / "report.html", figures=[], **(ARGUMENTS | {"result": population}))
    page = Page(tmp_path / "report.html")
    ensemble = page.rows.index(["top1_mean_probability", "top1_vote"])
    assert page.rows[ensemble + 1] == ["test, as one ensemble", "0.975", "0.97"]
    assert page.of("summary") == ["3 members"]
    chosen = "Chosen on validation: learning_rate 0.01. "
    assert f"{chosen}Figures except the curves, and predictions, show the member with seed 3." in page.of("p")
    assert page.rows[page.rows.index(["seed", "learning_rate", "train top1", "test top1"]) :][1:4] == [
        ["3", "0.01", "0.9", "0.9611", "tested"],
        ["3", "0.1", "0.9", "not chosen"],
        ["3", "10", "0.9", "diverged at step 12"],
    ]


def test_a_figure_that_is_no_png_is_named_and_nothing_is_written(tmp_path):
    text = tmp_path / "text.png"
    text.write_text("not a picture")
    for path, message in [
        (text, r"text\.png: not a PNG"),
        (tmp_path / "gone.png", r"gone\.png: No such file"),
    ]:
        with pytest.raises(InputError, match=message):
            write_report(tmp_path / "report.html", figures=[("", path)], **ARGUMENTS)
    assert [file.name for file in tmp_path.iterdir()] == ["text.png"]
