"""moto's CloudFormation without the services that it could make something of, whether a template names them or not.

It imports thirty, EC2's list of machines among them: 120 MB and half a second, for a queue and a table.
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
    """Import `moto.cloudformation`; of the services it knows SQS and DynamoDB, and those that are imported already.

    Whoever imports another afterwards gets it as it is.
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
    """Finds a module for every service of moto's that is not there yet."""

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
    """Has whatever is asked of it, as a class: some are caught as exceptions, and others looked for with isinstance."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})
