"""What `dev.py serve` puts into the page's panel of workflows; tests/web opens them."""

from __future__ import annotations

from finesse.demo.family_graphs import other_examples
from finesse.demo.page_workflows import for_page, offer
from finesse.demo.prompts import ON_OBJECT, for_miniature
from finesse.demo.workflows import to_api


def test_the_page_lists_the_examples_with_their_pictures(server, client):
    assert offer(client, server.folder) == len(other_examples())
    listed = client.get_json("/userdata?dir=workflows&recurse=true")
    assert {f"miniature/{name}.json" for name in other_examples()} <= set(listed)
    assert (server.folder / "input" / "draw_small_object_example.png").is_file()


def test_a_program_makes_the_same_of_them_as_of_the_examples(object_info):
    for name, workflow in other_examples().items():
        wanted, _ = for_miniature(to_api(workflow, object_info), on_object=ON_OBJECT.get(name))
        changed, pictures = for_page(name, workflow, object_info)
        found = to_api(changed, object_info)
        added = str(changed["last_node_id"])
        assert len(found) == len(wanted), name
        for key, node in wanted.items():
            own = found[key if key in found else added]
            assert own["class_type"] == node["class_type"], name
            if node["class_type"] == "LoadImage":
                assert own["inputs"]["image"] in pictures, name
            else:
                renamed = {
                    i: [added, v[1]] if isinstance(v, list) and v[0] not in found else v
                    for i, v in node["inputs"].items()
                }
                assert {i: v for i, v in own["inputs"].items() if i in renamed} == renamed, name


def test_an_example_itself_stays_as_it_is(object_info):
    before = other_examples()
    for name, workflow in (after := other_examples()).items():
        for_page(name, workflow, object_info)
    assert after == before
