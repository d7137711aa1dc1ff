"""The loop in one process: parts of a step, skipped steps, reasons to stop, weights as vectors, and draws of t."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy_run import Listener, NoiseSamples, config, everything, trainer

from mogle_core.training import checkpoints
from mogle_core.training.data.draws import Times, draw, generator, timesteps
from mogle_core.training.loop import Due, Trainer, fit
from mogle_core.training.optimisers import share_of_rate
from mogle_core.training.processes import stoppable


def loop(**keys: Any) -> dict[str, Any]:
    return {"steps": 3, "batch": 4, "checkpoint_every": 100, "seed": 3, **keys}


def test_parts_of_a_batch_give_the_whole_one_s_gradient() -> None:
    whole, parts = trainer(config(loop=loop())), trainer(config(loop=loop(accumulate=4)))
    for run in (whole, parts):
        run.take_step()
    for one, other in zip(whole.trainables.gradients(), parts.trainables.gradients(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("optimiser", ["prodigy", "adamw"])
def test_a_gradient_that_is_not_finite_is_skipped_and_counted(
    optimiser: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = trainer(config(optimiser={"name": optimiser}, loop=loop()))
    run.take_step()
    before = {name: value.clone() for name, value in everything(run).items() if "average" not in name}
    good, run.samples.batch = run.samples.batch, _broken(run.samples)
    run.take_step()
    after = everything(run)
    assert not [name for name in before if not torch.equal(before[name], after[name])]
    assert int(run.skipped) == 1
    run.samples.batch = good
    listener = Listener()
    fit(run, Due(tmp_path), listener)
    assert torch.isfinite(torch.cat(list(run.trainables.vectors.values()))).all()
    assert checkpoints.newest(tmp_path).skipped == 1


def _broken(samples: NoiseSamples) -> Any:
    good = samples.batch

    def batch(*arguments: Any) -> Any:
        made = good(*arguments)
        made.x0[0, 0, 0] = torch.nan
        return made

    return batch


@pytest.mark.slow
def test_a_run_that_stops_learning_ends_with_an_error_message(tmp_path: Path) -> None:
    run = trainer(config(loop=loop(steps=60)))
    run.samples.batch = _broken(run.samples)
    with pytest.raises(ValueError, match=r"last 50 steps all had a gradient that is not finite"):
        fit(run, Due(tmp_path), Listener())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits(number: signal.Signals, tmp_path: Path) -> None:
    run, listener = trainer(config(loop=loop(steps=9))), Listener()
    take = run.take_step

    def step() -> Any:
        if run.step == 4:
            os.kill(os.getpid(), number)
        return take()

    run.take_step = step  # type: ignore[method-assign]
    handler = signal.getsignal(number)
    with stoppable() as stop:
        assert not fit(run, Due(tmp_path), listener, stop)
    assert signal.getsignal(number) is handler
    assert [path.name for path in checkpoints.steps_of(tmp_path)] == ["step_00000005.pt"]
    assert listener.events[-1][0] == "stopped"


def test_a_disk_is_reported_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, listener = trainer(config(loop=loop(steps=1))), Listener()
    monkeypatch.setattr(checkpoints, "fits", lambda folder, size: 1.5)
    fit(run, Due(tmp_path), listener)
    assert [kind for kind, _ in listener.events] == ["disk", "checkpoint"]


def test_a_run_does_not_resume_with_other_data_or_another_lora() -> None:
    state = trainer(config(loop=loop())).state()
    with pytest.raises(ValueError, match="The data set is not the one"):
        trainer(config(loop=loop()), samples=NoiseSamples(pairs=7)).restore(state)
    with pytest.raises(ValueError, match=r"its \[lora\] or \[model.network\] section differs"):
        trainer(config(loop=loop(), lora={"rank": 3})).restore(state)


def test_every_trainable_is_a_view_of_its_vector() -> None:
    run = trainer(config(loop=loop()))
    run.take_step()
    for group, vector in run.trainables.vectors.items():
        parameters = [p for name, p in run.trainables.named() if name.startswith(f"{group}.")]
        assert torch.equal(torch.cat([p.detach().flatten() for p in parameters]), vector.detach())
        assert torch.equal(torch.cat([p.grad.flatten() for p in parameters]), vector.grad)
    network, lora = run.trainables.filled(run.average)
    average = torch.cat([p.flatten() for p in lora.parameters()])
    assert torch.equal(average, run.average["lora"])
    assert torch.equal(torch.cat([p.flatten() for p in network.parameters()]), run.average["network"])


def test_overfit_keeps_every_pair_s_noise() -> None:
    run = trainer(config(loop=loop()))
    fixed = Trainer(run.config, run.flux, run.trainables, run.samples, [0, 1], overfit=True)
    assert {(pick.pair, pick.sample) for step in range(5) for pick in fixed.picks(step)} == {(0, 0), (1, 1)}
    assert fixed.rates.text == fixed.rates.local_mask == 0


def test_the_network_can_have_another_learning_rate() -> None:
    run = trainer(config(optimiser={"name": "adamw", "lr": 1e-3, "lr_network": 1e-4}, loop=loop()))
    assert {len(group["params"]) for group in run.optimiser.param_groups} == {1}
    assert [group["full_lr"] for group in run.optimiser.param_groups] == [1e-3, 1e-4]


def test_the_learning_rate_over_the_steps() -> None:
    assert share_of_rate(0, 100, 10, "constant") == 0.1
    assert share_of_rate(50, 100, 10, "constant") == 1
    for course in ("cosine", "linear"):
        assert share_of_rate(0, 100, 0, course) == 1
        assert share_of_rate(100, 100, 0, course) == pytest.approx(0.01)


def test_distributions_of_t() -> None:
    normal = torch.randn(4000, generator=generator(0, "normal", 0))
    assert torch.equal(timesteps(normal, 64, Times()), normal.sigmoid())
    uniform = timesteps(normal, 64, Times("uniform"))
    assert abs(uniform.mean() - 0.5) < 0.02
    assert abs(uniform.var() - 1 / 12) < 0.005
    # FLUX's shift of 1024 tokens multiplies the odds by exp(0.63).
    shifted = timesteps(normal, 1024, Times("flux_shift"))
    torch.testing.assert_close(shifted.logit() - normal, torch.full_like(normal, 0.63), atol=1e-3, rtol=0)


def test_stratified_t_has_one_sample_in_each_slice_of_a_batch() -> None:
    normal = torch.randn(8, generator=generator(0, "normal", 0))
    uniform = timesteps(normal, 64, Times("uniform", strata=8), number=16)
    assert torch.equal((uniform * 8).floor(), torch.arange(8.0))


def test_dropping_all_masks_is_drawn_after_everything_else() -> None:
    from mogle_core.training.data.draws import DropRates

    without, with_ = (draw(generator(0, "x", 0), 64, 4, DropRates(all_masks=rate)) for rate in (0.0, 0.5))
    assert torch.equal(without.noise, with_.noise)
    assert torch.equal(without.drop_text, with_.drop_text)
    black = with_.drop_masks[:, 0]
    assert with_.drop_masks[black].all()
    assert 0.2 < black.float().mean() < 0.8
    assert torch.equal(with_.drop_masks[~black], without.drop_masks[~black])
