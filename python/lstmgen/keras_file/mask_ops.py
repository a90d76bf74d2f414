"""Operations on tensors that Keras 3 writes into functional models to compute masks.

A mask says which steps a layer leaves out. The operations are read only for this purpose. A layer
that takes their result as numbers is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lstmgen.keras_file.assembly import ALL_STEPS, NO_STEPS, Tensor
from lstmgen.keras_file.layers import Item, layer


@layer("ops.NotEqual")
def _not_equal(item: Item) -> Sequence[Tensor]:
    value: Any = item.constants[0] if len(item.constants) == 1 else None
    if len(item.tensors) != 1 or type(value) not in (int, float) or not abs(value) < 1e30:
        raise item.spec.error("expected a comparison with a number")
    mask = item.emit("mask", item.tensors[0], value=float(value))
    return [replace(mask, steps_only=True, mask=None)]


@layer("ops.Any", "ops.ExpandDims")
def _same(item: Item) -> Sequence[Tensor]:
    """Return the mask itself.

    It has one number a step already, whatever axes Keras adds or removes.
    """
    return [_checked(item, item.tensor)]


@layer("ops.ZerosLike")
def _zeros_like(item: Item) -> Sequence[Tensor]:
    return [NO_STEPS]


@layer("ops.OnesLike")
def _ones_like(item: Item) -> Sequence[Tensor]:
    return [ALL_STEPS]


@layer("ops.LogicalOr", "ops.Concatenate")
def _or(item: Item) -> Sequence[Tensor]:
    masks = {mask.index: _checked(item, mask) for mask in item.tensors if mask != NO_STEPS}
    if not masks:
        return [NO_STEPS]
    if ALL_STEPS.index in masks:
        return [ALL_STEPS]
    return [_combined(item, "maximum", list(masks.values()))]


@layer("ops.LogicalAnd")
def _and(item: Item) -> Sequence[Tensor]:
    masks = {mask.index: _checked(item, mask) for mask in item.tensors if mask != ALL_STEPS}
    if not masks:
        return [ALL_STEPS]
    if NO_STEPS.index in masks:
        return [NO_STEPS]
    return [_combined(item, "multiply", list(masks.values()))]


def _combined(item: Item, kind: str, masks: Sequence[Tensor]) -> Tensor:
    return masks[0] if len(masks) == 1 else replace(item.emit(kind, *masks), steps_only=True, mask=None)


def _checked(item: Item, tensor: Tensor) -> Tensor:
    if not tensor.steps_only:
        raise item.spec.error("an operation on tensors, not on masks, is not supported, only layers")
    return tensor
