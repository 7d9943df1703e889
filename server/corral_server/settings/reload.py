"""What has to happen so that a running server does what it is told now."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from corral_server.config import ModelSpec, ServerConfig
from corral_server.settings.format import ENGINE, HUB, SERVER
from corral_server.settings.shape import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """Models to unload and to load, and on-demand ones to retract and to declare, in this order.

    A model that has changed goes and comes back. `default`: the id of the model that becomes the
    default, None to leave it. `ignored`: keys that differ and need a restart.
    """

    unload: tuple[str, ...] = ()
    retract: tuple[str, ...] = ()
    load: tuple[ModelSpec, ...] = ()
    declare: tuple[ModelSpec, ...] = ()
    default: str | None = None
    ignored: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """Ids of models that go and come back."""
        coming = {spec.id for spec in (*self.load, *self.declare)}
        return tuple(id for id in (*self.unload, *self.retract) if id in coming)

    def __str__(self) -> str:
        """For the log."""
        new = [spec.id for spec in (*self.load, *self.declare) if spec.id not in self.changed]
        gone = [id for id in (*self.unload, *self.retract) if id not in self.changed]
        parts = {"new": new, "changed": self.changed, "gone": gone, "ignored": self.ignored}
        told = [f"{word}: {', '.join(names)}" for word, names in parts.items() if names]
        if self.default is not None:
            told.append(f"default: {self.default}")
        return "; ".join(told) or "nothing has changed"


def plan_reload(running: ServerConfig, wanted: ServerConfig) -> ReloadPlan:
    """Models that are the same in both are in no part of the plan. What callers loaded is in no
    configuration, so it is in no plan either."""
    load = tuple(spec for spec in wanted.models if spec not in running.models)
    declare = tuple(spec for spec in wanted.on_demand if spec not in running.on_demand)
    coming = {spec.id for spec in (*load, *declare)}
    default = wanted.default_model
    return ReloadPlan(
        unload=_gone(running.models, wanted.models),
        retract=_gone(running.on_demand, wanted.on_demand),
        load=load,
        declare=declare,
        default=default if default in coming or default != running.default_model else None,
        ignored=tuple(_ignored(running, wanted)),
    )


def _gone(running: tuple[ModelSpec, ...], wanted: tuple[ModelSpec, ...]) -> tuple[str, ...]:
    return tuple(spec.id for spec in running if spec not in wanted)


def _ignored(running: ServerConfig, wanted: ServerConfig) -> Iterator[str]:
    yield from _different("server", SERVER, running, wanted)
    if running.budget != wanted.budget:
        yield "budget"
    yield from _different("hub", HUB, running.hub, wanted.hub)
    yield from _different("engine", ENGINE, running.engine, wanted.engine)


def _different(section: str, table: Table, running: object, wanted: object) -> Iterator[str]:
    for name in table.keys:
        field = table.field(name)
        if getattr(running, field) != getattr(wanted, field):
            yield f"{section}.{name}"


def applied(running: ServerConfig, wanted: ServerConfig) -> ServerConfig:
    """What the server does once the plan is carried out: what needs a restart stays as it was."""
    return replace(
        running,
        models=wanted.models,
        on_demand=wanted.on_demand,
        default_model=wanted.default_model,
    )
