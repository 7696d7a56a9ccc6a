"""The report names every place that is fused and gives a reason for every one that is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import namegen_ext
from namegen_ext.fusion import FusionReport, Site
from namegen_ext.nn import FusedBatchNorm1d


def test_the_report_of_the_reference_model(make_mlp):
    model = make_mlp()
    report = namegen_ext.fuse(model)
    assert isinstance(report, FusionReport)
    assert len(report) == len(list(report)) == 2
    first, second = report
    assert isinstance(first, Site)
    assert (first.name, first.kind, first.fused, first.reason) == (
        "0..4",
        "embedding_concat_linear_batch_norm",
        True,
        None,
    )
    assert first.modules == tuple(model[:5])
    assert (second.name, second.kind, second.modules) == ("5", "linear", (model[5],))
    assert report.fused == [first, second]
    assert report.skipped == []


def test_the_report_can_be_read(make_mlp):
    model = make_mlp()
    model[5].register_forward_hook(lambda *_: None)
    text = str(namegen_ext.fuse(model))
    assert "1 site fused, 1 site skipped" in text
    assert "0..4: Embedding, Flatten, Linear, BatchNorm1d, Tanh -> embedding_concat_linear_batch_norm" in text
    assert "5: Linear: " in text


def test_a_model_with_nothing_to_fuse_says_so():
    report = namegen_ext.fuse(nn.Sequential(nn.Identity()))
    assert len(report) == 0
    assert "nothing to fuse" in str(report)


def test_layers_that_no_operator_covers_are_listed():
    layers = [nn.BatchNorm1d(3), nn.Tanh(), nn.Dropout(0.1), nn.LayerNorm(3)]
    report = namegen_ext.fuse(nn.ModuleList([nn.Sequential(*layers), nn.Conv1d(1, 1, 1)]))
    assert [(site.name, site.reason) for site in report.skipped] == [
        ("0.2", "no fused operator"),
        ("0.3", "no fused operator"),
        ("1", "no fused operator"),
    ]
    assert str(report).splitlines() == [
        "1 site fused, 3 sites skipped",
        "  fused    0.0..1: BatchNorm1d, Tanh -> batch_norm",
        "  skipped  0.2: Dropout: no fused operator",
        "  skipped  0.3: LayerNorm: no fused operator",
        "  skipped  1: Conv1d: no fused operator",
    ]


def test_a_model_where_all_is_skipped_says_so():
    report = namegen_ext.fuse(nn.Sequential(nn.Embedding(2, 2), nn.Tanh()))
    assert not report.fused
    assert [site.kind for site in report.skipped] == ["Embedding", "Tanh"]
    assert str(report).startswith("nothing was fused")


def test_the_tanh_behind_the_linear_layer_is_fused_with_it():
    report = namegen_ext.fuse(nn.Sequential(nn.Embedding(5, 2), nn.Flatten(-2), nn.Linear(6, 4), nn.Tanh()))
    assert [(site.name, site.kind) for site in report] == [("0..3", "embedding_concat_linear")]


def test_named_children_and_nested_containers_have_dotted_names():
    net = nn.Sequential()
    net.add_module("norm", nn.BatchNorm1d(3))
    net.add_module("act", nn.Tanh())
    report = namegen_ext.fuse(nn.ModuleDict({"block": nn.Sequential(nn.Identity(), net)}))
    assert [site.name for site in report] == ["block.1.norm..act"]


def replace_linear(model, linear):
    model[2] = linear


def break_flatten(model):
    model[1] = nn.Flatten(start_dim=-1)


def override_forward(model):
    model[2].forward = lambda x: x @ model[2].weight.T


# What is done to the reference model's first three children -> a piece of the reason.
OBSTACLES = {
    "forward hook": (lambda m: m[0].register_forward_hook(lambda *_: None), "forward hooks"),
    "forward pre-hook": (lambda m: m[1].register_forward_pre_hook(lambda *_: None), "forward hooks"),
    "hook with kwargs": (
        lambda m: m[2].register_forward_hook(lambda *_: None, with_kwargs=True, always_call=True),
        "forward hooks",
    ),
    "backward hook": (lambda m: m[2].register_full_backward_hook(lambda *_: None), "backward hooks"),
    "backward pre-hook": (lambda m: m[2].register_full_backward_pre_hook(lambda *_: None), "backward hooks"),
    "padding_idx": (lambda m: setattr(m[0], "padding_idx", 0), "padding_idx"),
    "max_norm": (lambda m: setattr(m[0], "max_norm", 1.0), "max_norm"),
    "scale_grad_by_freq": (lambda m: setattr(m[0], "scale_grad_by_freq", True), "scale_grad_by_freq"),
    "sparse": (lambda m: setattr(m[0], "sparse", True), "sparse"),
    "override": (override_forward, "overridden on the instance"),
    "flatten": (break_flatten, "does not join the last two dimensions"),
    "features": (lambda m: replace_linear(m, nn.Linear(31, 24)), "31 is no multiple of embedding_dim 10"),
    "pruning": (lambda m: prune.l1_unstructured(m[2], "weight", 0.5), "forward hooks"),
    "complex": (lambda m: m.to(torch.complex64), "torch.complex64"),
}


@pytest.mark.filterwarnings("ignore:Complex modules are a new feature")
@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_an_obstacle_is_named(make_mlp, obstacle):
    change, reason = OBSTACLES[obstacle]
    model = make_mlp()
    change(model)
    report = namegen_ext.fuse(model)
    (site,) = [site for site in report if site.kind.startswith("embedding_concat_linear")]
    assert not site.fused
    alone = [
        other.name for other in report.fused if other.kind == "linear"
    ]  # where it is not the linear layer
    end = (
        "4" if obstacle == "complex" else "1" if "2" in alone else "2"
    )  # complex: the batch norm is skipped too
    assert site.name == f"0..{end}"
    assert reason in site.reason
    assert site.reason in str(report)


class ScaledLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: replace_linear(m, ScaledLinear(30, 24)), "subclass of Linear"),
        (lambda m: replace_linear(m, nn.LazyLinear(24)), "lazy"),
        (lambda m: parametrizations.weight_norm(m[2]), "parametrised"),
    ],
)
def test_a_layer_of_another_class_is_named_with_the_reason(make_mlp, change, reason):
    model = make_mlp()
    change(model)
    report = namegen_ext.fuse(model)
    reasons = {site.name: site.reason for site in report.skipped}
    assert reason in reasons["2"]
    assert "followed by Flatten" in reasons["0"]
    assert "1" in reasons
    assert [site.name for site in report.fused] == ["3..4", "5"]


def test_a_hook_on_the_tanh_leaves_the_batch_norm_fused(make_mlp, tokens, fused_calls):
    model = make_mlp()
    model[4].register_forward_hook(lambda *_: None)
    report = namegen_ext.fuse(model)
    assert [site.name for site in report.fused] == ["0..3", "5"]
    reasons = {site.name: site.reason for site in report.skipped}
    assert reasons["4"] == "it has forward hooks"
    assert fused_calls(model, tokens) == ["embedding_concat_linear_batch_norm", "linear"]


def test_layers_that_a_hand_written_forward_calls_are_reported():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(27, 10)
            self.norm = nn.BatchNorm1d(30)
            self.act = nn.Tanh()
            self.layers = nn.ModuleList([nn.Linear(30, 27)])
            self.relu = nn.ReLU()

    report = namegen_ext.fuse(Net())
    assert not report.fused
    reasons = {site.name: site.reason for site in report}
    assert list(reasons) == ["embedding", "norm", "act", "layers.0", "relu"]
    assert "called by Net" in reasons["embedding"]
    assert "nn.ModuleList" in reasons["layers.0"]


def test_a_single_layer_as_the_model_is_reported():
    report = namegen_ext.fuse(nn.BatchNorm1d(3))
    (site,) = report
    assert not site.fused
    assert "the model itself" in site.reason


def test_a_container_whose_forward_is_overridden_is_reported(make_mlp):
    model = make_mlp()
    model.forward = lambda x: x
    report = namegen_ext.fuse(model)
    assert not report.fused
    assert all("overridden on the instance" in site.reason for site in report)


def test_fused_modules_are_left_alone(make_mlp):
    model = nn.Sequential(FusedBatchNorm1d(3, activation="tanh"), nn.Identity())
    before = type(model[0])
    assert len(namegen_ext.fuse(model)) == 0
    assert type(model[0]) is before


def test_hooks_for_all_modules_are_named(make_mlp):
    model = make_mlp()
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        report = namegen_ext.fuse(model)
    finally:
        handle.remove()
    assert not report.fused
    assert any("all modules" in site.reason for site in report.skipped)
    assert namegen_ext.fuse(model).fused


def test_a_device_without_kernels_is_named(make_mlp, monkeypatch):
    monkeypatch.setattr(
        "namegen_ext.nn.conditions.why_not_supported", lambda operator, device: f"no {operator} here"
    )
    model = make_mlp(device="meta")
    assert [(site.name, site.reason) for site in namegen_ext.fuse(model).skipped] == [
        ("0..4", "no embedding_concat_linear here"),
        ("5", "no linear here"),
    ]


def test_sites_that_are_skipped_alike_share_a_line():
    report = namegen_ext.fuse(nn.ModuleList([nn.Linear(2, 2) for _ in range(12)]))
    assert len(report.skipped) == 12
    assert "0 to 11 (12 sites): Linear" in str(report)
    assert len(str(report).splitlines()) == 2
