"""The validation loss: of rows that are not trained on, without any trace in the training itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from finesse.core.files import read_tensors, write_tensors
from finesse.training.loop import checkpoints
from finesse.training.loop.batches import ShardedRows
from finesse.training.loop.config import TrainConfig
from finesse.training.loop.trainer import Task, train
from finesse.training.loop.validation import split, validate

CONFIG = {"steps": 30, "batch_size": 4, "learning_rate": 1e-2, "warmup_steps": 5, "log_every": 5}
CONFIG |= {"checkpoint_every": 10, "preview_every": 0, "held_out": 8, "validate_every": 10}


class Regression(Task):
    """y = W x with dropout; `seen` are the x that it was trained on and validated with."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Dropout(0.2), torch.nn.Linear(16, 2))
        self.seen = {True: [], False: []}

    def forward(self, batch, draw):
        self.seen[self.training].append(batch["row"].tolist())
        noisy = batch["x"] + 0.1 * draw.normal(4)
        losses = {"fit": (self.net(noisy) - batch["y"]).square().mean()}
        return losses | ({"now_and_then": losses["fit"] * 2} if draw.step % 2 else {})


def rows(count=40, batch_size=4):
    """In two shards, as data lies on disk."""
    x = torch.randn(count, 4, generator=torch.Generator().manual_seed(1))
    tensors = {"x": x, "y": x[:, :2] * 2 - 1, "row": torch.arange(count)}
    cut = [{name: tensor[part] for name, tensor in tensors.items()} for part in (slice(15), slice(15, None))]
    return ShardedRows(cut, ["x", "y", "row"], batch_size)


def run(folder, task=None, accelerator=None, **changes):
    task, config = task or Regression(), TrainConfig(**CONFIG | changes)
    trained, held_out = split(rows(batch_size=config.batch_size), config)
    train(task, trained, config, folder, accelerator or Accelerator(cpu=True), held_out)
    return task


def newest(folder):
    return read_tensors(checkpoints.checkpoints(folder / "checkpoints")[0])[0]


def log(folder, name="validation"):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def test_held_out_rows_are_validated_and_no_others_are_trained_on(tmp_path):
    task = run(tmp_path)
    trained = {row for batch in task.seen[True] for row in batch}
    assert trained == set(range(32))
    validated = task.seen[False]
    assert all(set(batch) <= set(range(32, 40)) for batch in validated)
    # two batches before the first step, and two at steps 10, 20 and 30
    assert len(validated) == 8
    assert validated[:2] == validated[2:4]
    assert sorted(validated[0] + validated[1]) == list(range(32, 40))
    assert [line["step"] for line in log(tmp_path)] == [10, 20, 30]
    assert log(tmp_path)[-1]["fit"] < log(tmp_path)[0]["fit"]
    assert not any("step" in line and "now_and_then" not in line for line in log(tmp_path))


def test_validation_leaves_the_training_as_it_is(tmp_path):
    """Weights, averages, moments and the log, bit for bit, however often is validated."""
    for name, every in (("often", 3), ("seldom", 30), ("never", 1000)):
        run(tmp_path / name, validate_every=every)
    often, seldom, never = (newest(tmp_path / name) for name in ("often", "seldom", "never"))
    for name, tensor in never.items():
        assert torch.equal(tensor, often[name]), name
        assert torch.equal(tensor, seldom[name]), name
    for one, other in zip(log(tmp_path / "often", "log"), log(tmp_path / "never", "log"), strict=True):
        assert one["fit"] == other["fit"]


def test_a_resumed_run_validates_as_one_that_never_stopped(tmp_path):
    run(tmp_path / "whole")
    run(tmp_path / "cut")
    last = checkpoints.checkpoints(tmp_path / "cut" / "checkpoints")[0]
    last.write_bytes(last.read_bytes()[:-100])
    (tmp_path / "cut" / "validation.jsonl").unlink()
    run(tmp_path / "cut", validate_every=5)  # which may change
    assert log(tmp_path / "cut")[-1] == log(tmp_path / "whole")[-1]
    for name, tensor in newest(tmp_path / "whole").items():
        assert torch.equal(tensor, newest(tmp_path / "cut")[name]), name
    with pytest.raises(ValueError, match="held_out 8 -> 12"):
        run(tmp_path / "cut", held_out=12)


def test_the_loss_is_that_of_the_averaged_weights_without_dropout(tmp_path):
    task, config = run(tmp_path), TrainConfig(**CONFIG)
    _, held_out = split(rows(), config)
    again = validate(task, held_out, 2, config, Accelerator(cpu=True))
    assert log(tmp_path)[-1] == {"step": 30, **again}
    assert task.net[1].training
    assert all(parameter.grad is None for parameter in task.parameters())
    parts = TrainConfig(**CONFIG | {"accumulate": 2})
    assert validate(task, held_out, 2, parts, Accelerator(cpu=True)) == pytest.approx(again, rel=1e-6)


def test_a_fault_in_the_validation_shows_before_the_first_step(tmp_path):
    class Broken(Regression):
        def forward(self, batch, draw):
            losses = super().forward(batch, draw)
            return losses if self.training else {"fit": losses["fit"] * float("nan")}

    task = Broken()
    with pytest.raises(FloatingPointError, match=r"validation loss is not finite: fit nan\. Data: rows \["):
        run(tmp_path, task)
    assert task.seen[True] == []


@pytest.mark.parametrize(
    ("held_out", "message"),
    [(3, "held_out is 3; give 0, or at least batch_size, which is 4"), (40, "held_out is 40, but the data")],
)
def test_rows_that_cannot_be_held_out_are_named(tmp_path, held_out, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, held_out=held_out)


def test_a_checkpoint_older_than_a_setting_had_its_default(tmp_path):
    run(tmp_path, held_out=0, steps=20)
    path = checkpoints.checkpoints(tmp_path / "checkpoints")[0]
    tensors, metadata = read_tensors(path)
    stored = json.loads(metadata["finesse.config"])
    del stored["held_out"], stored["validate_every"]
    write_tensors(path, tensors, metadata | {"finesse.config": json.dumps(stored)})
    task = run(tmp_path, held_out=0, steps=20)
    assert task.seen[True] == []  # it is finished
    with pytest.raises(ValueError, match="held_out 0 -> 8"):
        run(tmp_path, steps=20)


def test_processes_exchange_gradients_once_a_step_and_drop_out_different_numbers(tmp_path):
    """And their validation loss is that of one process."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import json, sys, importlib.util
            from pathlib import Path
            import torch
            from accelerate import Accelerator
            from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
            spec = importlib.util.spec_from_file_location("validation_test", {str(Path(__file__))!r})
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            exchanged, dropped = [], []

            class Counting(Accelerator):
                def prepare_model(self, model):
                    learner = super().prepare_model(model)
                    if self.num_processes > 1:
                        learner.register_comm_hook(None, self.exchange)
                    return learner

                def exchange(self, state, bucket):
                    exchanged.append(bucket.index())
                    return allreduce_hook(state, bucket)

            class Dropping(module.Regression):
                def forward(self, batch, draw):
                    if self.training:
                        dropped.append(torch.nn.functional.dropout(torch.ones(64), 0.5).tolist())
                    return super().forward(batch, draw)

            task, accelerator = Dropping(), Counting(cpu=True)
            task.net[1] = torch.nn.Identity()
            folder = Path(sys.argv[1])
            assert accelerator.num_processes == int(sys.argv[2])
            module.run(folder, task, accelerator, steps=6, accumulate=2, validate_every=3)
            told = {{"exchanged": len(exchanged), "dropped": dropped}}
            (folder / f"{{accelerator.process_index}}.json").write_text(json.dumps(told))
            """
        )
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    for count, name in (("1", "one"), ("2", "two")):
        command = [*launch, count, script, tmp_path / name, count]
        subprocess.run(command, check=True, timeout=300, env=environment)
    first, second = (json.loads((tmp_path / "two" / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["exchanged"] == second["exchanged"] == 6  # and not 12
    assert len(first["dropped"]) == 12
    assert all(ours != theirs for ours, theirs in zip(first["dropped"], second["dropped"], strict=True))
    for one, two in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert two == pytest.approx(one, rel=1e-5)
