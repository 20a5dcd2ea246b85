"""Points that a user writes or that a node writes as JSON."""

import pytest
from finesse.core.sam.points import parse_points


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("", []),
        (" \n", []),
        ("[]", []),
        ('[{"x": 12, "y": 34.5}, {"x": 0, "y": 50}]', [(12, 34.5), (0, 50)]),
        ('{"x": 12, "y": 34}', [(12, 34)]),
        ("[[12, 34], [100, 0]]", [(12, 34), (100, 0)]),
        ("[12, 34]", [(12, 34)]),
        ("12, 34", [(12, 34)]),
        ("12,34; 5 6;\n7.5,\t8\n", [(12, 34), (5, 6), (7.5, 8)]),
    ],
)
def test_points_are_read(text, points):
    assert parse_points(text, 100, 50, "points") == points


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{", r"points: '\[\{' is not JSON \(.*\); write \[\{\"x\": 120, \"y\": 80\}\] or 120, 80"),
        ("12", r"points: \['12'\] is no point"),
        ("a, b", r"points: \['a', 'b'\] is no point"),
        ("[1, 2, 3]", "points: 1 is no point"),
        ('[{"x": 3}]', r"points: \{'x': 3\} is no point"),
        ("[[1, null]]", r"points: \[1, None\] is no point"),
        ("nan, 4", "points: .*'nan', '4'.* is no point"),
        ("5, 51", r"points: the point \(5, 51\) lies outside the picture of 100×50 px; move it inside"),
        ("-1, 5", r"points: the point \(-1, 5\) lies outside"),
        ("1e9, 5", r"points: the point \(1e\+09, 5\) lies outside"),
    ],
)
def test_a_faulty_point_is_named(text, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        parse_points(text, 100, 50, "points")
