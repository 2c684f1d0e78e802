"""The objects that serve a service, joined: hosts, logins, guard and site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wiredaemon.accounts.called_authenticator import CalledAuthenticator
from wiredaemon.net.framed.factory import FramedFactory
from wiredaemon.net.guard.guard import ConnectionGuard
from wiredaemon.net.hosting.host import CommandsOnly
from wiredaemon.net.hosting.host_lookup import HostLookup
from wiredaemon.net.http.application import Application, apis_of
from wiredaemon.net.http.identification import Identification
from wiredaemon.net.logins import Logins
from wiredaemon.net.mounted.resource import MountedResource
from wiredaemon.net.site.site import make_site
from wiredaemon.wire.dialects import DIALECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wiredaemon.accounts.called_authenticator import CheckPassword, CheckToken
    from wiredaemon.commands.registry import Registry
    from wiredaemon.net.hosting.access import AccessRules, ApiSwitches
    from wiredaemon.net.site.site import ApiSite
    from wiredaemon.wire.limits import Limits

FRAMINGS: Final[Mapping[str, Sequence[str]]] = {
    "exp-http-v2-0001": ("0003", "0005", "0002"),
    "exp-http-v2-0003": ("0006",),
}
"""The APIs over HTTP and their framings, as the daemon has them."""


class Serving:
    """All that a service needs once it has a reactor.

    Args:
        reactor: Provides threads, delayed calls and ports.
        limits: Bounds what peers make the program hold.
        registry: The commands.
        state: What commands see of the program.
        access: Who may do what.
        check_password: Says whose a password is.
        check_token: Says whose a token is.
        realm: What browsers and clients show where they ask for a password.
        switches: The ways in over HTTP.
    """

    def __init__(  # noqa: PLR0913 all that is joined here
        self,
        *,
        reactor: Any,  # noqa: ANN401 zope interfaces do not intersect
        limits: Limits,
        registry: Registry,
        state: object,
        access: AccessRules,
        check_password: CheckPassword | None,
        check_token: CheckToken | None,
        realm: str,
        switches: ApiSwitches,
    ) -> None:
        self.reactor = reactor
        self.limits = limits
        self.guard = ConnectionGuard(reactor, limits)
        self.host = CommandsOnly(registry, switches, access, state=state, reactor=reactor)
        self.hosts = HostLookup({"/": self.host}, limits=limits)
        self._authenticator: CalledAuthenticator | None = None
        self._logins: Logins | None = None
        identification = None
        if check_password is not None or check_token is not None:
            self._authenticator = CalledAuthenticator(
                limits, reactor, check_password, check_token, log_fault=self.guard.crashes.log_login
            )
            self._logins = Logins(
                self._authenticator,
                # Who lets others write over plain connections trusts them with passwords too.
                plain_passwords=not access.push_ssl,
                again=limits.login_cache_seconds,
            )
            identification = Identification(self._logins, realm=realm)
        self._application = Application(
            apis=apis_of(FRAMINGS),
            limits=limits,
            reactor=reactor,
            guard=self.guard,
            identification=identification,
        )
        self._resources: list[MountedResource] = []

    def framed_factory(self, dialect: str) -> FramedFactory:
        """Return what makes the protocols of raw connections.

        Raises:
            ValueError: There is no such dialect.
        """
        if dialect not in DIALECTS:
            known = ", ".join(DIALECTS)
            raise ValueError(f"there is no dialect {dialect!r}; there are: {known}")
        return FramedFactory(
            self.hosts,
            DIALECTS[dialect],
            reactor=self.reactor,
            limits=self.limits,
            logins=self._logins,
            guard=self.guard,
        )

    def site(self) -> ApiSite:
        """Return what makes the protocols of HTTP connections."""
        return make_site(self._application, self.hosts)

    def resource(self) -> MountedResource:
        """Return what an ordinary site gets below a path."""
        made = MountedResource(self._application, self.host)
        self._resources.append(made)
        return made

    def refuse(self) -> None:
        """Refuse what comes to the resources from now on."""
        for resource in self._resources:
            resource.is_stopping = True

    def stop(self) -> None:
        """End threads and timers, and wait for nothing."""
        self.guard.stop()
        if self._authenticator is not None:
            self._authenticator.stop()
