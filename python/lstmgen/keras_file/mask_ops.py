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
    return [_combined(item, "maximum", without=NO_STEPS, if_any=ALL_STEPS)]


@layer("ops.LogicalAnd")
def _and(item: Item) -> Sequence[Tensor]:
    return [_combined(item, "multiply", without=ALL_STEPS, if_any=NO_STEPS)]


def _combined(item: Item, kind: str, without: Tensor, if_any: Tensor) -> Tensor:
    """Return what a layer of this kind makes of the masks.

    without: a mask that changes no other.
    if_any: a mask that is the result if it is among them.
    """
    masks = {mask.index: _checked(item, mask) for mask in item.tensors if mask != without}
    if not masks:
        return without
    if if_any.index in masks:
        return if_any
    found = list(masks.values())
    return found[0] if len(found) == 1 else replace(item.emit(kind, *found), steps_only=True, mask=None)


def _checked(item: Item, tensor: Tensor) -> Tensor:
    if not tensor.steps_only:
        raise item.spec.error("an operation on tensors, not on masks, is not supported, only layers")
    return tensor
