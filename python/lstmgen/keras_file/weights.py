"""Where the arrays of each layer lie in a file of weights. Keras has used two ways.

`Lists` read what Keras 1 and 2 write, and Keras 3 as `.h5`. The arrays of a layer are one list,
which includes those of the layers inside it. `Tree` reads what Keras 3 writes otherwise. It has one
group for each layer.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lstmgen.errors import ModelFormatError
from lstmgen.keras_file import hdf5
from lstmgen.keras_file.hdf5 import Budget, Stored
from lstmgen.network import Array, Shape

MAX_GROUPS = 4096  # the highest number of groups that are searched for layers


class Role(NamedTuple):
    """One array of a layer, under Keras's name for it.

    Arrays that are not trained come last in a list.
    """

    name: str
    trained: bool = True


class Part(NamedTuple):
    """A layer inside another.

    path: where it lies in a tree.
    roles: the arrays that it has in a list.
    name: Keras's name for it.
    """

    path: str
    roles: Sequence[Role]
    name: str = ""


class Numbers(Protocol):
    """An array of a file that has been checked, but not read."""

    @property
    def shape(self) -> Shape | None:
        """Shape of the array; None if it holds nothing."""

    def load(self, shape: Shape) -> Array:
        """Return the numbers as float32.

        Raises `ModelFormatError` if they do not have this shape or are not finite.
        """


class Source(Protocol):
    """The arrays of one layer."""

    def take(self, where: str, roles: Sequence[Role]) -> dict[str, Numbers]:
        """Return the arrays under their names. There must be one for each of the `roles`."""

    def parts(self, where: str, parts: Sequence[Part]) -> list[Source]:
        """Return the sources of the layers inside this one."""


class File(Protocol):
    """The arrays of all layers of a model."""

    def first_rows(self) -> int | None:
        """Return the rows of the first array of the first layer with arrays, or None if unknown."""

    def layer(self, name: str, path: str, roles: Sequence[Role], others: set[str]) -> Source:
        """Return the source of a layer. Keras calls it `name`; a tree keeps it under `path`."""

    def finish(self) -> None:
        """Raise `ModelFormatError` if weights are left that no layer asked for."""


# -- lists ---------------------------------------------------------------------------------------


class Lists:
    """The arrays of each layer as a list, layer by layer in the file's order.

    names: of all layers, in Keras's order.
    layers: the arrays of each layer that has any.
    """

    def __init__(self, names: Sequence[str], layers: Mapping[str, _List], *, whole_model: bool) -> None:
        self._whole_model = whole_model
        self._by_name: bool | None = None  # None until the first layer asks
        self.names = names
        self._layers = dict(layers)

    @classmethod
    def of_hdf5(cls, group: Any, budget: Budget, *, whole_model: bool) -> Lists:
        """Return the lists of a file of Keras 1 and 2, or of Keras 3's `.h5`."""
        names = hdf5.strings(group, "layer_names", budget)
        if names is None:
            raise ModelFormatError("no weights in the file: model_weights has no layer_names")
        _check_different("layer_names", names)
        return cls(names, dict(cls._members(group, names, budget)), whole_model=whole_model)

    @classmethod
    def of_arrays(cls, layers: Mapping[str, Sequence[Numbers]]) -> Lists:
        """Return lists of these layers, which are in order.

        The arrays of each are in Keras's order.
        """
        return cls(list(layers), {name: _List.of_arrays(arrays) for name, arrays in layers.items()}, whole_model=False)

    @staticmethod
    def _members(group: Any, names: Sequence[str], budget: Budget) -> Iterator[tuple[str, _List]]:
        for name in names:
            layer = hdf5.child(group, name)
            weights = hdf5.strings(layer, "weight_names", budget) or []
            _check_different(f"{reprlib.repr(name)}: weight_names", weights)
            if weights:
                yield name, _List.of_hdf5(layer, weights, budget)

    def shapes(self) -> dict[str, list[Shape]]:
        """Return the shapes of the arrays of each layer that has any."""
        return {name: layer.shapes() for name, layer in self._layers.items()}

    def first_rows(self) -> int | None:
        """Return the rows of the file's first array. They are the inputs of its first layer."""
        for first in self._layers.values():
            shape = first.open(0, "first array").shape
            return shape[0] if shape else None
        return None

    def layer(self, name: str, path: str, roles: Sequence[Role], others: set[str]) -> Source:
        """Find the layer by name or by order, as Keras does.

        The name counts if the names in the file are those of the model's layers, and the order
        otherwise. The names in a file of weights may be those of another copy of the model. The
        names in a whole model are its own.
        """
        if not roles:
            return _Nothing()
        if self._by_name is None:
            self._by_name = set(self._layers) == others
        key = next(iter(self._layers), None)
        if self._by_name or (self._whole_model and name in self._layers):
            key = name if name in self._layers else None
        elif self._whole_model and key in others:
            key = None
        return _Absent("") if key is None else self._layers.pop(key)

    def finish(self) -> None:
        """Raise `ModelFormatError` if weights are left that no layer asked for."""
        for name in self._layers:
            raise ModelFormatError(f"the file has weights of {reprlib.repr(name)}, but the model has no layer for them")


class _List:
    """Arrays in order, of which `find` opens one by its name.

    The names need not be those of the layer, since only the order counts.
    """

    def __init__(self, names: Sequence[str], find: Callable[[str, str], Numbers]) -> None:
        self.names, self._find = names, find
        self._opened: dict[str, Numbers] = {}
        self._parts: list[Source] | None = None  # None until asked for; kept, since a layer may be called twice

    @classmethod
    def of_hdf5(cls, group: Any, names: Sequence[str], budget: Budget) -> _List:
        return cls(names, lambda name, where: Stored(hdf5.descend(group, name.split("/"), where), budget, where))

    @classmethod
    def of_arrays(cls, arrays: Sequence[Numbers]) -> _List:
        named = {str(i): array for i, array in enumerate(arrays)}
        return cls(list(named), lambda name, _: named[name])

    def take(self, where: str, roles: Sequence[Role]) -> dict[str, Numbers]:
        self._check_count(where, roles)
        return {role.name: self.open(i, f"{where}: {role.name}") for i, role in enumerate(_in_order(roles))}

    def parts(self, where: str, parts: Sequence[Part]) -> list[Source]:
        if self._parts is None:
            self._check_count(where, [role for part in parts for role in part.roles])
            shares: list[list[str]] = [[] for _ in parts]
            names = iter(self.names)
            for trained in (True, False):
                for share, part in zip(shares, parts, strict=True):
                    share += [next(names) for role in part.roles if role.trained == trained]
            self._parts = [_List(share, self._find) for share in shares]
        return self._parts

    def _check_count(self, where: str, roles: Sequence[Role]) -> None:
        if len(self.names) == len(roles):
            return
        wanted = ", ".join(role.name for role in roles[:16])
        found = ", ".join(reprlib.repr(name) for name in self.names[:16])
        raise ModelFormatError(f"{where}: expected {len(roles)} arrays ({wanted}), found {len(self.names)} ({found})")

    def shapes(self) -> list[Shape]:
        """Return the shape of each array."""
        return [self.open(i, self.names[i]).shape or () for i in range(len(self.names))]

    def open(self, i: int, where: str) -> Numbers:
        """Return array `i` of the list."""
        name = self.names[i]
        if name not in self._opened:
            self._opened[name] = self._find(name, where)
        return self._opened[name]


class _Nothing:
    """The source of a layer without arrays. The file need not have a place for it."""

    def take(self, where: str, roles: Sequence[Role]) -> dict[str, Numbers]:
        return {}

    def parts(self, where: str, parts: Sequence[Part]) -> list[Source]:
        return [self for _ in parts]


class _Absent:
    """Weights that are not in the file. The error comes when a layer asks for them."""

    def __init__(self, place: str) -> None:
        self._place = place

    def take(self, where: str, roles: Sequence[Role]) -> dict[str, Numbers]:
        raise ModelFormatError(f"{where}: the file has no weights for it{self._place}")

    def parts(self, where: str, parts: Sequence[Part]) -> list[Source]:
        raise ModelFormatError(f"{where}: the file has no weights for it{self._place}")


def _in_order(roles: Sequence[Role]) -> list[Role]:
    return sorted(roles, key=lambda role: not role.trained)


def _check_different(what: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ModelFormatError(f"{what}: {reprlib.repr(name)} appears twice")
        seen.add(name)


# -- trees ---------------------------------------------------------------------------------------

_INNER_GROUPS = ((), ("cell",), ("layer",), ("forward_layer", "cell"), ("backward_layer", "cell"))
_PREFIXES = ("layers", "_layer_checkpoint_dependencies")  # tf.keras up to 2.14 writes the second


def is_tree(root: Any) -> bool:
    """Return whether a file of weights was written by Keras 3, or by tf.keras 2.12 to 2.15."""
    return any(name.split("\\")[0] in _PREFIXES for name in hdf5.members(root))


def check_one_kind(root: Any) -> None:
    """Raise `ModelFormatError` for weights of several kinds: Keras takes one by the file's name."""
    trees = [hdf5.child(root, name) for name in hdf5.members(root) if name.split("\\")[0] in _PREFIXES]
    kinds = {
        "model_config": hdf5.has_attribute(root, "model_config"),
        "layer_names": hdf5.has_attribute(root, "layer_names", "layer_names0"),
        # A layer of a list may have the name of a tree.
        "layers": any(not hdf5.has_attribute(tree, "weight_names", "weight_names0") for tree in trees),
    }
    found = [kind for kind, is_there in kinds.items() if is_there]
    if len(found) > 1:
        both = " and ".join(found)
        raise ModelFormatError(f"{both} in one file, of which Keras may read either: it is made to deceive")


class Tree:
    """The arrays of Keras 3's `model.weights.h5`: `layers/<class>_<n>/vars/<i>` and deeper.

    A file that was written on Windows has groups in its root whose names are whole paths with
    backslashes.
    """

    def __init__(self, root: Any, budget: Budget) -> None:
        self._root, self._budget = root, budget
        paths = [name.split("\\") for name in hdf5.members(root)]
        found = [path for path in paths if path[0] in _PREFIXES]
        if not found:
            raise ModelFormatError(f"no weights in the file: it has no group {_PREFIXES[0]}")
        self.prefix = found[0][0]
        self._windows = any(len(path) > 1 for path in found)
        if self._windows:
            self.names = sorted({path[1] for path in found if len(path) > 1})
        else:
            self.names = hdf5.members(hdf5.child(root, self.prefix))
        self._unread = {name for name in self.names if self.variables([self.prefix, name])}

    def first_rows(self) -> int | None:
        """Return None. Keras 3 stores the shape of the input elsewhere."""
        return None  # groups have no order

    def layer(self, name: str, path: str, roles: Sequence[Role], others: set[str]) -> Source:
        """Find the layer by its place. Keras 3 does not use the names that users give."""
        if not roles:
            return _Nothing()
        key = path.rpartition("/")[2]
        if key not in self.names:
            return _Absent(f" ({self.prefix}/{key})")
        self._unread.discard(key)
        return _Group(self, [self.prefix, key])

    def finish(self) -> None:
        """Raise `ModelFormatError` if weights are left that no layer asked for."""
        for name in sorted(self._unread):
            raise ModelFormatError(f"the file has weights of {reprlib.repr(name)}, but the model has no layer for them")

    def shapes(self) -> dict[str, list[Shape]]:
        """Return the shapes of the arrays of each layer that has any.

        Layers inside a layer are found if the usual wrappers hold them.
        """
        found: dict[str, list[Shape]] = {}
        for name in self.names:
            for inner in (
                [],
                ["cell"],
                ["layer"],
                ["layer", "cell"],
                ["forward_layer", "cell"],
                ["backward_layer", "cell"],
            ):
                path = [self.prefix, name, *inner]
                if self._has(path) and (group := self.variables(path)) is not None:
                    count = len(hdf5.members(group))
                    found.setdefault(name, []).extend(self.open(group, i, name).shape or () for i in range(count))
        return found

    def _has(self, path: Sequence[str]) -> bool:
        node = self._root
        for part in [] if self._windows else path:
            if not hdf5.has(node, part):
                return False
            node = hdf5.child(node, part)
        return True

    def variables(self, path: Sequence[str]) -> Any:
        """Return the group of the arrays of the layer at `path`, or None if it has none."""
        key = ["\\".join(path)] if self._windows else list(path)
        if self._windows and not hdf5.has(self._root, key[0]):
            return None
        group = hdf5.descend(self._root, key, "weights")
        if not hdf5.has(group, "vars"):
            return None
        variables = hdf5.child(group, "vars")
        return variables if hdf5.members(variables) else None

    def open(self, variables: Any, i: int, where: str) -> Stored:
        """Return array `i` of a layer."""
        return Stored(hdf5.descend(variables, [str(i)], where), self._budget, where)


class _Group:
    def __init__(self, tree: Tree, path: Sequence[str]) -> None:
        self._tree, self._path = tree, path
        self._taken: dict[str, Numbers] | None = None  # None until asked for; kept, since a layer may be called twice
        self._parts: list[Source] | None = None

    def take(self, where: str, roles: Sequence[Role]) -> dict[str, Numbers]:
        if self._taken is None:
            variables = self._tree.variables(self._path)
            found = 0 if variables is None else len(hdf5.members(variables))
            if found != len(roles):
                wanted = ", ".join(role.name for role in roles)
                raise ModelFormatError(f"{where}: expected {len(roles)} arrays ({wanted}), found {found}")
            self._taken = {
                role.name: self._tree.open(variables, i, f"{where}: {role.name}")
                for i, role in enumerate(_in_order(roles))
            }
        return self._taken

    def parts(self, where: str, parts: Sequence[Part]) -> list[Source]:
        if self._parts is None:
            self._parts = [self._part(part) for part in parts]
        return self._parts

    def _part(self, part: Part) -> Source:
        if not part.roles:
            return _Nothing()
        steps = [self._tree.prefix if step == "layers" else step for step in part.path.split("/")]
        return _Group(self._tree, [*self._path, *steps])


def attribute_layers(root: Any, budget: Budget) -> dict[str, list[Numbers]]:
    """Return the arrays of each layer of a model of a user's own class, as Keras 3 saves it.

    The file has a group for each attribute. Attributes whose names come after "layers" in the
    alphabet lie in a group of that name, under their classes. The groups have no order. The layers
    of a model within the model have its name before theirs. The result is empty if all layers lie
    in "layers", since that is a `Tree`.
    """
    found: dict[str, list[Numbers]] = {}
    visited = 0

    def arrays(group: Any, path: Sequence[str]) -> list[Numbers]:
        for step in path:
            if not hdf5.has(group, step):
                return []
            group = hdf5.child(group, step)
        if not hdf5.has(group, "vars"):
            return []
        variables = hdf5.child(group, "vars")
        names = sorted(hdf5.members(variables), key=lambda name: (len(name), name))
        return [Stored(hdf5.descend(variables, [name], name), budget, "/".join([*path, name])) for name in names]

    def search(group: Any, path: list[str]) -> None:
        nonlocal visited
        visited += 1
        if len(path) > hdf5.MAX_DEPTH or visited > MAX_GROUPS:  # links may form circles
            raise ModelFormatError("layers nested too deeply, or too many")
        for name in hdf5.members(group):
            inner = hdf5.child(group, name)
            if name in ("vars", "optimizer", "metrics") or not hdf5.is_group(inner):
                continue
            directions = [array for half in _INNER_GROUPS[3:] for array in arrays(inner, half)]
            own = directions or arrays(inner, ["cell"]) or arrays(inner, ["layer"]) or arrays(inner, [])
            if own:
                found["/".join([*path, name])] = own
            else:
                search(inner, [*path, name])

    search(root, [])
    return {} if all(re.split(r"[/\\]", name)[0] in _PREFIXES for name in found) else found


def snake_case(class_name: str) -> str:
    """Return a class's name as Keras 3 writes it in files: `GRUCell` becomes `gru_cell`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def tree_names(class_names: Sequence[str]) -> list[str]:
    """Return the names of a model's layers in a tree.

    A name is the class. From the second layer of a class on, a number follows.
    """
    counts: dict[str, int] = {}
    names = []
    for class_name in class_names:
        name = snake_case(class_name)
        count = counts[name] = counts.get(name, -1) + 1
        names.append(f"{name}_{count}" if count else name)
    return names
