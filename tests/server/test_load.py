"""A server under load, interrupted, and after many runs."""

from __future__ import annotations

import time

import psutil
import pytest
from finesse.demo.client import ComfyError
from finesse.tests.prompts import edit, picture, text_to_image

BOX = {"x": 16, "y": 24, "width": 16, "height": 12}


def interrupt_while_sampling(client):
    """A progress callback that interrupts once, at the first step it hears of: the server tells only some.

    Give it a prompt of so many steps that it cannot be over before it is stopped.
    """
    heard = []

    def stop(node_id, step, total):
        if node_id == "sampler" and not heard:
            heard.append(step)
            client.interrupt()

    return stop


def test_two_hundred_prompts_are_all_done_in_order(client, measured):
    start = time.monotonic()
    queued = [client.queue(text_to_image(seed, steps=1)) for seed in range(1000, 1200)]
    outputs = [client.wait(prompt_id) for prompt_id in queued]
    measured(f"200 prompts of one step: {time.monotonic() - start:.1f} s")

    assert client.finished == queued
    names = [output["save"]["images"][0]["filename"] for output in outputs]
    assert len(set(names)) == 200
    assert names == sorted(names)


def test_after_an_interruption_a_stock_graph_gives_the_pixels_of_a_fresh_server(
    client, pixels, forget, scene_file, fresh_picture
):
    forget()
    with pytest.raises(ComfyError) as stopped:
        client.run(edit(scene_file, BOX, seed=11, steps=1000), interrupt_while_sampling(client))

    assert stopped.value.kind == "interrupted"
    assert stopped.value.node_id == "sampler"
    assert (pixels(picture(client, text_to_image(seed=7))) == pixels(fresh_picture)).all()


def test_after_a_failure_a_stock_graph_gives_the_pixels_of_a_fresh_server(
    client, pixels, forget, scene_file, fresh_picture
):
    forget()
    broken = edit(scene_file, BOX, seed=12)
    broken["decode"]["inputs"]["samples"] = ["inpaint", 2]
    broken["composite"]["inputs"]["original"] = ["small", 0]
    broken["small"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0},
    }
    with pytest.raises(ComfyError):
        client.run(broken)

    assert (pixels(picture(client, text_to_image(seed=7))) == pixels(fresh_picture)).all()


def test_the_prompt_after_an_interrupted_one_in_the_queue_runs(client, scene_file):
    first = client.queue(edit(scene_file, BOX, seed=13, steps=1000))
    second = client.queue(text_to_image(seed=13))
    with pytest.raises(ComfyError):
        client.wait(first, interrupt_while_sampling(client))

    assert client.images(client.wait(second))["save"]
    assert client.finished == [first, second]


def test_the_same_prompt_twice_gives_the_same_pixels(client, pixels, forget, scene_file):
    prompt = edit(scene_file, BOX, seed=3)
    first = pixels(picture(client, prompt))
    forget()

    assert (pixels(picture(client, prompt)) == first).all()


def test_memory_after_fifty_runs_is_that_after_five(fresh, fresh_picture, scene_png, measured):
    client = fresh.client()
    name = client.upload(scene_png, "scene.png")
    process = psutil.Process(fresh.process.pid)
    resident = []
    for seed in range(50):
        client.run(edit(name, BOX, seed=seed, steps=2))
        resident.append(process.memory_info().rss)
    client.close()
    after_5, after_50 = resident[4], resident[-1]
    measured(f"server's memory: {after_5 / 2**20:.0f} MiB after 5 runs, {after_50 / 2**20:.0f} MiB after 50")

    assert after_50 <= 1.05 * after_5
