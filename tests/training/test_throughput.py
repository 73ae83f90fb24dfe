"""The bench trains like with like."""

from __future__ import annotations

import pytest
import torch
import typer
from typer.testing import CliRunner

from edgebci.cli.bench import bench_app
from edgebci.training import throughput
from edgebci.training.throughput import (
    BF16,
    CONTENDERS,
    NO_SCAN,
    SIZES,
    Contender,
    SizeName,
    Stack,
    Throughput,
    measure,
)


@pytest.mark.parametrize("name", list(SIZES))
def test_parameters_of_all_contenders_are_within_two_percent(name: SizeName) -> None:
    pytest.importorskip("transformers", reason="the comparison needs transformers")
    counts = [sum(p.numel() for p in contender.build(SIZES[name].spec).parameters()) for contender in CONTENDERS]
    assert max(counts) / min(counts) < 1.02


def test_the_contenders_compute_the_same_function_of_the_same_weights() -> None:
    pytest.importorskip("transformers", reason="the comparison needs transformers")
    spec, x = SIZES["small"].spec, torch.randn(1, 100, 64, generator=torch.Generator().manual_seed(0))
    ours, reference, quadratic, sequential = (CONTENDERS[i].build(spec) for i in (0, 2, 3, 4))
    weights = ours.state_dict()
    quadratic.load_state_dict(weights)
    sequential.load_state_dict(weights)
    renamed = {name.replace("mixers.", "model.layers."): value for name, value in weights.items() if "mixers" in name}
    for i in (0, 1):
        renamed = {name.replace(f"layers.{i}.", f"layers.{i}.mixer."): value for name, value in renamed.items()}
    renamed |= {f"model.layers.{i}.norm.weight": weights[f"norms.{i}.weight"] for i in (0, 1)}
    renamed["model.norm_f.weight"] = weights["norms.2.weight"]
    missing, unknown = reference.load_state_dict(renamed, strict=False)
    assert (missing, unknown) == (["model.embeddings.weight"], [])
    with torch.no_grad():
        for other in (reference, quadratic, sequential):
            # float32 sums of some hundred terms of order one, through two blocks.
            torch.testing.assert_close(other(x), ours(x), rtol=1e-4, atol=1e-4)


def test_without_its_scan_a_block_still_trains_all_that_feeds_it() -> None:
    bound = next(contender for contender in CONTENDERS if contender.name == NO_SCAN)
    model = bound.build(SIZES["small"].spec)
    model(torch.randn(1, 8, 64, generator=torch.Generator().manual_seed(0))).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_run_gives_a_row_for_each_contender_and_leaves_the_threads_as_they_were() -> None:
    threads = torch.get_num_threads()
    contenders = (CONTENDERS[0], Contender("ours again", Stack, every=2), BF16[0])
    result = measure(("small",), rounds=3, contenders=contenders, threads=1)
    assert [(row.name, row.precision) for row in result.rows] == [
        ("edgebci", "float32"),
        ("ours again", "float32"),
        ("edgebci", "bf16"),
    ]
    assert result.rows[0].ours_is_faster == result.rows[2].ours_is_faster == 1.0
    assert all(row.slowest_tokens_per_s <= row.tokens_per_s <= row.fastest_tokens_per_s for row in result.rows)
    assert torch.get_num_threads() == threads


def test_the_command_prints_a_line_or_a_json_row_for_each_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    result = measure(("small",), rounds=1, contenders=CONTENDERS[:1], threads=1)
    monkeypatch.setattr(throughput, "measure", lambda *_, **__: result)
    app = typer.Typer()
    app.add_typer(bench_app, name="bench")
    printed = CliRunner().invoke(app, ["bench", "train", "--size", "small", "--repeats", "1"])
    assert printed.exit_code == 0
    assert "tokens/s in training, 1 threads, 1 rounds" in printed.output
    parsed = CliRunner().invoke(app, ["bench", "train", "--json"])
    assert Throughput.model_validate_json(parsed.stdout) == result
