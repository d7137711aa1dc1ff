"""FLUX's sigmas and Euler's method equal their closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mogle_core.model.sampling.sigmas import euler, flux_sigmas, guided, shift, shift_mu, sigma_at


def test_shift_is_a_line_through_both_resolutions() -> None:
    assert shift_mu(256) == pytest.approx(0.5)
    assert shift_mu(4096) == pytest.approx(1.15)
    assert shift_mu(2176) == pytest.approx((0.5 + 1.15) / 2)  # halfway
    assert shift_mu(1024) == pytest.approx(0.63)  # 512 x 512


def test_sigmas_of_the_official_run() -> None:
    """28 steps at 512 x 512: linspace(1, 1/28, 28), shifted."""
    sigmas = flux_sigmas(28, 1024)
    assert sigmas.shape == (29,)
    for k, sigma in enumerate(sigmas[:-1].tolist()):
        linear = 1 - k / 28
        assert sigma == pytest.approx(1 / (1 + math.exp(-0.63) * (1 / linear - 1)), rel=1e-5)
    assert sigmas[0] == 1
    assert sigmas[-1] == 0


@pytest.mark.parametrize("steps", [1, 2, 28, 50])
@pytest.mark.parametrize("tokens", [1, 256, 1024, 4096, 16384])
def test_sigmas_fall_from_one_to_zero(steps: int, tokens: int) -> None:
    sigmas = flux_sigmas(steps, tokens)
    assert len(sigmas) == steps + 1
    assert sigmas[0] == 1
    assert sigmas[-1] == 0
    assert (sigmas.diff() < 0).all()


def test_shift_by_nothing_and_back() -> None:
    sigmas = torch.linspace(1, 0.01, 50, dtype=torch.float64)
    torch.testing.assert_close(shift(sigmas, 0.0), sigmas)
    torch.testing.assert_close(shift(shift(sigmas, 0.7), -0.7), sigmas)
    torch.testing.assert_close(shift(shift(sigmas, 0.3), 0.4), shift(sigmas, 0.7))
    # In log-odds of sigma it adds mu.
    torch.testing.assert_close(torch.logit(shift(sigmas[1:], 0.7)), torch.logit(sigmas[1:]) + 0.7)


def test_larger_pictures_have_higher_sigmas() -> None:
    assert (flux_sigmas(28, 4096)[1:-1] > flux_sigmas(28, 1024)[1:-1]).all()


@pytest.mark.parametrize("steps", [0, -3])
def test_no_steps_are_refused(steps: int) -> None:
    with pytest.raises(ValueError, match=f"At least one step is needed, not {steps}"):
        flux_sigmas(steps, 1024)


@pytest.mark.parametrize("steps", [1, 4, 28])
def test_euler_is_exact_for_a_straight_path(steps: int) -> None:
    """With the true velocity noise - x0 every x_t lies on the line, whatever the steps, and the last is x0."""
    torch.manual_seed(0)
    noise, x0 = torch.randn(2, 2, 6, 64, dtype=torch.float64)
    sigmas = flux_sigmas(steps, 1024)
    path = list(euler(lambda x, sigma: noise - x0, noise, sigmas))
    assert len(path) == steps
    for x, sigma in zip(path, sigmas[1:].double(), strict=True):
        torch.testing.assert_close(x, (1 - sigma) * x0 + sigma * noise, rtol=0, atol=1e-6)


def test_two_steps_by_hand() -> None:
    """v = x + sigma from x = 2 at 1, 1/2, 0: 2 - 3/2 = 1/2, then 1/2 - 1/2 = 0."""
    seen: list[tuple[float, float]] = []

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        assert sigma.shape == (1,)
        seen.append((x.item(), sigma.item()))
        return x + sigma

    path = euler(velocity, torch.tensor([2.0]), torch.tensor([1.0, 0.5, 0.0]))
    assert [x.item() for x in path] == [0.5, 0.0]
    assert seen == [(2.0, 1.0), (0.5, 0.5)]


def test_euler_converges_with_first_order() -> None:
    """dx/dsigma = x from x(1) = e: x(0) = 1, and half the step is half the error."""

    def error(steps: int) -> float:
        sigmas = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        *_, last = euler(lambda x, sigma: x, torch.tensor([math.e], dtype=torch.float64), sigmas)
        return abs(last.item() - 1)

    assert error(100) / error(200) == pytest.approx(2, rel=0.02)


def test_euler_does_not_change_the_noise_and_keeps_its_dtype() -> None:
    noise = torch.randn(3, 4, dtype=torch.bfloat16)
    before = noise.clone()
    sigmas_seen = []

    def velocity(x: Tensor, sigma: Tensor) -> Tensor:
        sigmas_seen.append(sigma)
        return x

    path = list(euler(velocity, noise, flux_sigmas(3, 256)))
    assert torch.equal(noise, before)
    assert {x.dtype for x in path} == {torch.bfloat16} == {sigma.dtype for sigma in sigmas_seen}
    assert all(sigma.shape == (3,) for sigma in sigmas_seen)


def test_steps_are_made_as_they_are_asked_for() -> None:
    calls = []
    path = euler(lambda x, sigma: calls.append(sigma) or x, torch.ones(1), flux_sigmas(10, 256))
    assert not calls
    next(path)
    assert len(calls) == 1


def test_guidance() -> None:
    conditional, unconditional = torch.tensor([3.0]), torch.tensor([1.0])
    assert guided(conditional, unconditional, 0.0) == 1
    assert guided(conditional, unconditional, 1.0) == 3
    assert guided(conditional, unconditional, 2.5) == 6


def test_percents_are_shares_of_the_unshifted_time() -> None:
    assert sigma_at(0.0, 1024) == 1
    assert sigma_at(1.0, 1024) == 0
    steps, tokens = 8, 700
    for step, sigma in enumerate(flux_sigmas(steps, tokens)):
        assert sigma_at(step / steps, tokens) == pytest.approx(float(sigma), abs=1e-6)
