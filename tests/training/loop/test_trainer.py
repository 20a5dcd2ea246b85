"""The trainer on a task of a few numbers: exact resumption, damage, bad losses, many processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from finesse.core.files import read_tensors
from finesse.training.loop import checkpoints
from finesse.training.loop.batches import ShuffledRows
from finesse.training.loop.config import TrainConfig
from finesse.training.loop.trainer import Task, learning_rate, train
from timm.optim import muon

CONFIG = {"steps": 40, "batch_size": 8, "learning_rate": 1e-2, "warmup_steps": 5, "log_every": 5}
CONFIG |= {"checkpoint_every": 10, "preview_every": 0}


class Regression(Task):
    """y = W x with dropout, so that every kind of randomness is in play."""

    def __init__(self, poison: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 2))
        self.frozen = torch.nn.Parameter(torch.ones(3), requires_grad=False)
        self.poison, self.seen = poison, 0

    def forward(self, batch, draw):
        noisy = batch["x"] + 0.1 * draw.normal(4)
        error = (self.net(noisy) - batch["y"]).square().mean()
        self.seen += 1
        return {"fit": error * (float("nan") if self.seen == self.poison else 1.0)}


def rows(batch_size=8):
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    return ShuffledRows({"x": x, "y": x[:, :2] * 2 - 1}, batch_size)


def run(folder, task=None, **changes):
    task = task or Regression()
    config = TrainConfig(**(CONFIG | changes))
    train(task, rows(config.batch_size), config, folder)
    return task


def newest(folder):
    return read_tensors(checkpoints.checkpoints(folder / "checkpoints")[0])[0]


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_learns_and_keeps_the_averaged_weights(tmp_path):
    task = run(tmp_path, steps=300)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(5, 301, 5))
    assert log[-1]["fit"] < 0.3 * log[0]["fit"]
    kept = newest(tmp_path)
    for name, parameter in task.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter, kept[f"average.{name}"])
            assert not torch.equal(parameter, kept[f"weight.{name}"])
    assert torch.equal(task.frozen, torch.ones(3))
    assert not any("frozen" in name for name in kept)


def test_two_runs_give_the_same_weights(tmp_path):
    run(tmp_path / "a")
    run(tmp_path / "b")
    assert_equal(newest(tmp_path / "a"), newest(tmp_path / "b"))


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_damaged_checkpoint_is_passed_over_and_the_end_is_the_same(tmp_path, optimizer):
    run(tmp_path / "whole", optimizer=optimizer)
    run(tmp_path / "cut", optimizer=optimizer)
    last, before = checkpoints.checkpoints(tmp_path / "cut" / "checkpoints")
    assert (last.name, before.name) == ("step-00000040.safetensors", "step-00000030.safetensors")
    last.write_bytes(last.read_bytes()[:-100])
    run(tmp_path / "cut", optimizer=optimizer)
    assert_equal(newest(tmp_path / "whole"), newest(tmp_path / "cut"))


def test_muon_makes_matrices_orthogonal_and_leaves_embeddings_to_nadamw(tmp_path):
    """A step changes a matrix by equal singular values, and all numbers of an embedding alike."""

    class Words(Regression):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(6, 4)

        def forward(self, batch, draw):
            return super().forward(batch | {"x": batch["x"] + self.words.weight[0]}, draw)

    once = {"steps": 1, "warmup_steps": 0, "weight_decay": 0.0}
    before, after = Words(), run(tmp_path, Words(), optimizer="muon", **once)
    change = after.net[0].weight - before.net[0].weight
    values = torch.linalg.svdvals(change.detach())
    assert values.max() / values.min() < 1.6
    moved = (after.words.weight - before.words.weight).detach()[0]
    size = moved.abs().mean()
    assert 0.1 * CONFIG["learning_rate"] < size < 2 * CONFIG["learning_rate"]
    torch.testing.assert_close(
        moved.abs(), size.expand(4), rtol=1e-3, atol=0
    )  # by sign, as Adam's first step


def test_on_a_cpu_muon_makes_orthogonal_in_float32():
    """The iteration of Newton and Schulz in float64; bfloat16 is a hundred times further off."""
    gradient = torch.randn(8, 20, generator=torch.Generator().manual_seed(0))
    a, b, c = coefficients = (3.4445, -4.7750, 2.0315)  # Jordan et al. 2024
    found = muon.zeropower_via_newtonschulz(gradient, 5, [coefficients])
    expected = gradient.double() / gradient.double().norm()
    for _ in range(5):
        square = expected @ expected.T
        expected = a * expected + (b * square + c * square @ square) @ expected
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_accumulated_micro_batches_give_the_gradient_of_the_whole(tmp_path):
    class Plain(Regression):
        def __init__(self):
            super().__init__()
            self.net[1] = torch.nn.Identity()  # dropout draws differ with the batch's shape

    whole = run(tmp_path / "whole", Plain(), steps=5)
    parts = run(tmp_path / "parts", Plain(), steps=5, accumulate=4)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_killed_at_a_random_moment_and_resumed_is_never_killed(tmp_path):
    """SIGKILL, not an exception: what is on disk must do."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, time, importlib.util
            from pathlib import Path
            spec = importlib.util.spec_from_file_location("trainer_test", {str(Path(__file__))!r})
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            class Slow(module.Regression):
                def forward(self, batch, draw):
                    time.sleep(0.02)
                    return super().forward(batch, draw)
            module.run(Path(sys.argv[1]), Slow(), steps=60, checkpoint_every=7)
            """
        )
    )
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, script, killed])
    while len(checkpoints.checkpoints(killed / "checkpoints")) < 2:
        time.sleep(0.01)
        assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run(killed, steps=60, checkpoint_every=7)
    run(tmp_path / "whole", steps=60, checkpoint_every=7)
    assert_equal(newest(killed), newest(tmp_path / "whole"))


def test_a_loss_that_is_not_finite_names_step_data_and_parts(tmp_path):
    with pytest.raises(FloatingPointError, match=r"step 16: fit nan.*rows \[") as caught:
        run(tmp_path, Regression(poison=17))
    assert str(rows().indices(16).tolist()) in str(caught.value)
    kept = newest(tmp_path)
    assert all(tensor.isfinite().all() for tensor in kept.values())


def test_other_settings_or_other_weights_do_not_resume(tmp_path):
    run(tmp_path)
    with pytest.raises(ValueError, match=r"learning_rate 0.01 -> 0.02"):
        run(tmp_path, learning_rate=2e-2)
    other = Regression()
    other.net.append(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"other weights.*net\.3"):
        run(tmp_path, other)


def test_learning_rate_climbs_then_falls():
    config = TrainConfig(steps=100, warmup_steps=10, learning_rate=1.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01, abs=1e-3)


def test_two_processes_share_the_batch_of_one(tmp_path):
    """As on many GPUs: losses and weights agree with one process to 1e-5."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys, importlib.util
            from pathlib import Path
            import torch
            from accelerate import Accelerator
            spec = importlib.util.spec_from_file_location("trainer_test", {str(Path(__file__))!r})
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            task = module.Regression()
            task.net[1] = torch.nn.Identity()
            assert Accelerator().num_processes == int(sys.argv[2])
            module.run(Path(sys.argv[1]), task, steps=10, checkpoint_every=5)
            """
        )
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for count, name in (("1", "one"), ("2", "two")):
        command = [*launch, count, script, tmp_path / name, count]
        subprocess.run(command, check=True, timeout=300, env=environment)
    one, two = newest(tmp_path / "one"), newest(tmp_path / "two")
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-5, atol=1e-6)


def test_bad_settings_are_named():
    with pytest.raises(ValueError, match=r"steps is 0"):
        TrainConfig(steps=0)
    with pytest.raises(ValueError, match=r"ema_decay is 1\.5"):
        TrainConfig(ema_decay=1.5)
