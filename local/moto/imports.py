"""Imports moto's CloudFormation without the services that no template of ours names.

By itself it imports thirty services, EC2's list of machines among them: 120 MB and half a second.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WANTED = {
    "backend_index",
    "backends",
    "cloudformation",
    "core",
    "moto_api",
    "settings",
    "utilities",
}


def import_cloudformation() -> None:
    """Import `moto.cloudformation` so that it knows SQS, DynamoDB and the services that are imported already.

    Another service that is imported afterwards is the real one.
    """
    import moto.dynamodb.models
    import moto.sqs.models

    stand_ins = _StandIns()
    sys.meta_path.insert(0, stand_ins)
    try:
        import moto.cloudformation  # noqa: F401 - for what it does to sys.modules
    finally:
        sys.meta_path.remove(stand_ins)
        stand_ins.forget()


class _StandIns(MetaPathFinder, Loader):
    """Finds a stand-in module for every service of moto that is not imported yet."""

    def __init__(self) -> None:
        self._made: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, below = name.partition(".")
        if package != "moto" or below.partition(".")[0] in _WANTED:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._made.append(spec.name)
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass

    def forget(self) -> None:
        moto = sys.modules["moto"]
        for name in self._made:
            del sys.modules[name]
            vars(moto).pop(name.removeprefix("moto."), None)


class _StandIn(ModuleType):
    """A module in which every name is a class: some are caught as exceptions, others are used with isinstance."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})
