"""Making the report: which layers of a model run as fused operators, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from namegen_ext.fusion.fusion_report import FusionReport, Site
from namegen_ext.fusion.patterns import PATTERNS, Pattern
from namegen_ext.fusion.sequential import FusedSequential
from namegen_ext.nn import FusedBatchNorm1d
from namegen_ext.nn.plain_calls import all_plain, why_not_at_all

# The layers that occur in a pattern. A report says why each of them is fused or not; of other layers, that no operator
# covers them.
LAYERS = tuple(dict.fromkeys(layer for pattern in PATTERNS for layer in pattern.types))
NO_OPERATOR = "no fused operator"
LONGEST_PATTERN = max(len(pattern.types) for pattern in PATTERNS)


def describe(model: nn.Module) -> FusionReport:
    """Report which layers of a model run as fused operators and which do not, without changing the model.

    Args:
        model: any module, fused or not.

    Returns:
        The report, whose sites are in the order of the model's modules.

    """
    sites: list[Site] = []
    reported: set[nn.Module] = set()
    for name, module in model.named_modules():
        if type(module) is FusedSequential and "forward" not in module.__dict__:
            sites.extend(_describe_container(name, module))
            reported.update(module._modules.values())
    for name, module in model.named_modules():
        if module in reported:
            continue
        if _has_no_operator(module):
            sites.append(Site(name or "(root)", type(module).__name__, (module,), False, NO_OPERATOR))
        elif _is_relevant(module):
            reason = _why_not_elsewhere(model, name)
            sites.append(Site(name or "(root)", type(module).__name__, (module,), False, reason))
    order = {module: position for position, module in enumerate(model.modules())}
    return FusionReport(tuple(sorted(sites, key=lambda site: order[site.modules[0]])))


def _describe_container(name: str, container: FusedSequential) -> Iterator[Site]:
    """Yield the sites of one container. Go through its children as its forward does."""
    keys = tuple(container._modules)
    children = tuple(container._modules.values())

    def site(first: int, end: int, kind: str, reason: str | None) -> Site:
        return Site(_site_name(name, keys[first:end]), kind, children[first:end], reason is None, reason)

    position = 0
    reported = 0  # the children before this position have been reported
    while position < len(children):
        matches = _matching_patterns(children, position)
        reasons = [_why_not_match(pattern, children, position) for pattern in matches]
        end = position + 1
        if None in reasons:
            pattern = matches[reasons.index(None)]
            end = position + len(pattern.types)
            yield site(position, end, pattern.operator, None)
        elif matches and position >= reported:
            reported = _end_of_skipped(children, position, len(matches[0].types))
            yield site(position, reported, matches[0].operator, reasons[0])
        elif position >= reported and _has_no_operator(children[position]):
            yield site(position, end, type(children[position]).__name__, NO_OPERATOR)
        elif position >= reported and _is_relevant(children[position]):
            reason = _why_not_child(children, position)
            yield site(position, end, type(children[position]).__name__, reason)
        position = end


def _end_of_skipped(children: tuple[nn.Module, ...], position: int, length: int) -> int:
    """Return where a skipped site ends. It ends before a layer at which a fused site begins."""
    for end in range(position + 1, position + length):
        if any(
            _why_not_match(pattern, children, end) is None for pattern in _matching_patterns(children, end)
        ):
            return end
    return position + length


def _matching_patterns(children: tuple[nn.Module, ...], position: int) -> list[Pattern]:
    """Find the patterns that match the children at a position, in the order in which the forward tries them."""
    types = tuple(map(type, children))
    return [
        pattern for pattern in PATTERNS if types[position : position + len(pattern.types)] == pattern.types
    ]


def _why_not_match(pattern: Pattern, children: tuple[nn.Module, ...], position: int) -> str | None:
    reason = why_not_at_all()
    if reason is not None:
        return reason
    site = children[position : position + len(pattern.types)]
    for module in site:
        if not all_plain((module,)):
            return f"{type(module).__name__}: {_why_not_plain(module)}"
    return pattern.why_not(*site)


def _why_not_child(children: tuple[nn.Module, ...], position: int) -> str:
    """Return why no pattern covers a child of a container."""
    child = children[position]
    if type(child) not in LAYERS:
        return _why_not_subclass(child)
    if not all_plain((child,)):
        return _why_not_plain(child)
    around = [pattern.types for pattern in PATTERNS if type(child) in pattern.types]
    # A pattern is left out where a shorter pattern is its beginning, because the shorter one says enough.
    shortest = [types for types in around if not any(types[:end] in around for end in range(len(types)))]
    within = "; ".join(", ".join(layer.__name__ for layer in types) for types in shortest)
    if any(type(child) is pattern.types[0] for pattern in PATTERNS):
        after = children[position + 1 : position + LONGEST_PATTERN]
        place = "is followed by " + (", ".join(type(module).__name__ for module in after) or "nothing")
    else:
        place = f"follows {type(children[position - 1]).__name__}" if position else "stands first"
    return f"it {place}, and is fused only as part of: {within}"


def _why_not_plain(module: nn.Module) -> str:
    """Return why a module is not plain in the sense of :func:`all_plain`."""
    if "forward" in module.__dict__:
        return "its forward is overridden on the instance"
    if module._backward_hooks or module._backward_pre_hooks:
        return "it has backward hooks"
    return "it has forward hooks"


def _why_not_subclass(child: nn.Module) -> str:
    if parametrize.is_parametrized(child):
        return "it is parametrised"
    if any(map(is_lazy, [*child.parameters(), *child.buffers()])):
        return "it is lazy and has not seen an input yet; call fuse again after the first forward"
    base = next(layer for layer in LAYERS if isinstance(child, layer))
    return f"it is a subclass of {base.__name__}, which may compute something else"


def _why_not_elsewhere(model: nn.Module, name: str) -> str:
    """Return why a layer outside all fused containers is not fused."""
    if not name:
        return "it is the model itself; only neighbouring children of an nn.Sequential are fused"
    parent = model.get_submodule(name.rpartition(".")[0])
    parent_class = type(parent).__name__
    if isinstance(parent, FusedSequential) and "forward" in parent.__dict__:
        return "the forward of its nn.Sequential is overridden on the instance"
    if isinstance(parent, nn.Sequential):
        return (
            f"its container {parent_class} is a subclass of nn.Sequential; only nn.Sequential itself is fused"
        )
    if isinstance(parent, (nn.ModuleList, nn.ModuleDict)):
        return f"it stands in an nn.{parent_class}, whose children are called by hand"
    return f"it is called by {parent_class}, not by an nn.Sequential"


def _has_no_operator(module: nn.Module) -> bool:
    """Say whether a module is a layer of its own, such as an nn.GELU, that occurs in no pattern."""
    is_layer = not any(True for _ in module.children()) and type(module) is not nn.Identity
    return is_layer and not isinstance(module, (*LAYERS, FusedBatchNorm1d))


def _is_relevant(module: nn.Module) -> bool:
    return isinstance(module, LAYERS) and not isinstance(module, FusedBatchNorm1d)


def _site_name(container: str, keys: tuple[str, ...]) -> str:
    own = keys[0] if len(keys) == 1 else f"{keys[0]}..{keys[-1]}"
    return f"{container}.{own}" if container else own
