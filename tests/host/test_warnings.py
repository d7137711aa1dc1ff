"""The warnings of a run that could not do what was asked, and the node that they name."""

from __future__ import annotations

import logging

from support.masked import POSITIVE, run


def test_a_missing_lora_is_a_warning_that_names_the_node(base, gated, latents, caplog) -> None:
    model, positive, _, _ = gated(base, POSITIVE, latents(1), lora=None)
    with caplog.at_level(logging.WARNING):
        run(model, positive)
    assert [record for record in caplog.records if "LoRA Apply" in record.message]


def test_a_model_without_masked_conditioning_is_a_warning(base, gated, latents, caplog) -> None:
    model, _, _, _ = gated(base, POSITIVE, latents(1))
    with caplog.at_level(logging.WARNING):
        run(model, POSITIVE)
    assert [record for record in caplog.records if "positive output" in record.message]


def test_swallowed_blocks_are_a_warning(base, gated, latents, caplog) -> None:
    """Another extension replaces every block and never calls the original."""
    model, positive, _, _ = gated(base, POSITIVE, latents(1))
    for i in range(2):
        model.set_model_patch_replace(lambda args, extra: args, "dit", "double_block", i)
    for i in range(3):
        model.set_model_patch_replace(lambda args, extra: args, "dit", "single_block", i)
    with caplog.at_level(logging.WARNING):
        run(model, positive)
    assert [record for record in caplog.records if "No block of this model saw the mask" in record.message]
