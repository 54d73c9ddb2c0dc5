"""The chart: its points where they belong."""

import itertools
from xml.etree import ElementTree

import pytest
from benchmarks.chart import draw

SVG = "{http://www.w3.org/2000/svg}"


def test_points_lie_on_logarithmic_axes() -> None:
    root = ElementTree.fromstring(draw("A & B", "readers", "us", {"one": [(10, 1), (100, 10), (1000, 10)]}))
    line = root.find(f"{SVG}polyline")
    assert line is not None
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    (x1, y1), (x2, y2), (x3, y3) = points
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 > y2 == y3  # up is less in SVG
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[:3] == ["A & B", "readers", "us"]
    assert {"10", "100", "1,000", "one"} <= set(texts)


def test_names_at_the_ends_do_not_cover_each_other() -> None:
    curves = {name: [(1.0, 5.0), (10.0, value)] for name, value in (("a", 5.0), ("b", 5.01), ("c", 1.0))}
    root = ElementTree.fromstring(draw("t", "x", "y", curves))
    places = sorted(float(text.attrib["y"]) for text in root.iter(f"{SVG}text") if text.text in curves)
    assert all(after - before >= 13.9 for before, after in itertools.pairwise(places))


@pytest.mark.parametrize("curves", [{}, {"one": []}, {"one": [(0, 1)]}])
def test_nothing_and_zero_can_not_be_drawn(curves: dict[str, list[tuple[float, float]]]) -> None:
    with pytest.raises(ValueError, match="above zero"):
        draw("t", "x", "y", curves)
