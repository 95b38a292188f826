"""How Litestar's own routes get at the gateway: by injection."""

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from chopmark.api.ports import Gateway

GatewayDep = NamedDependency[SkipValidation[Gateway]]
