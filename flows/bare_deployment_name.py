"""A Prefect plugin that lets `prefect deployment run build-vico` mean `build-vico/build-vico`.

Prefect names deployments FLOW/DEPLOYMENT and refuses a bare name. The plugin is found through the entry
point group `prefect.plugins`, and is switched on by prefect.toml in this repository only. It wraps an
internal method of Prefect's clients; where that method is not as expected it does nothing, and the plain
form works as ever.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from prefect.plugins import register_hook

PREFECT_PLUGIN_API_REQUIRES = ">=0.1"
_METHOD = "read_deployment_by_name"


@register_hook
def setup_environment(*, ctx: Any) -> None:
    """Prefect's start-up hook: teach its clients the short name."""
    try:
        from prefect.client.orchestration._deployments.client import DeploymentAsyncClient, DeploymentClient
    except ImportError:
        return
    for client in (DeploymentClient, DeploymentAsyncClient):
        method = getattr(client, _METHOD, None)
        if method is not None and list(inspect.signature(method).parameters) == ["self", "name"]:
            setattr(client, _METHOD, _with_full_name(method))


def _with_full_name(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def read(self: Any, name: str) -> Any:
        return method(self, full_name(name))

    return read


def full_name(name: str) -> str:
    """FLOW/DEPLOYMENT for a bare name; a full one as it is."""
    return name if "/" in name else f"{name}/{name}"
