"""How the routes get at the gateway and the limits: by Litestar's injection."""

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from chopmark.api.limits import ApiLimits
from chopmark.api.ports import Gateway

GatewayDep = NamedDependency[SkipValidation[Gateway]]
LimitsDep = NamedDependency[SkipValidation[ApiLimits]]
