"""Asks a Ray cluster whether it would take us, within seconds: `ray.init` tries a dead address for minutes."""

from __future__ import annotations

from raysearch.errors import ResourceError

PROBE_SECONDS = 10.0


def probe(address: str) -> str:
    """The cluster's HOST:PORT, once it has answered.

    Args:
        address: ``auto`` or ``HOST:PORT``.

    Raises:
        ResourceError: nothing answers there, it is no Ray, it asks for a token that we do not have, or this machine is
            not one of its nodes.
    """
    import grpc  # type: ignore[import-untyped]
    from ray._private import services
    from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated.gcs_service_pb2 import CheckAliveRequest
    from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub
    from ray.exceptions import AuthenticationError

    if address == "auto":  # as Ray does: a token goes unasked to a cluster of this machine alone
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        found: str = services.canonicalize_bootstrap_address_or_die(address)
    except (ConnectionError, ValueError, OSError) as error:
        raise nothing_answers(address, error) from None
    here = sorted(services.find_node_ids())
    channel = init_grpc_channel(found, options=(("grpc.enable_http_proxy", 0),))
    try:
        cluster = NodeInfoGcsServiceStub(channel)
        request = CheckAliveRequest(node_ids=[bytes.fromhex(node) for node in here])
        reply = cluster.CheckAlive(request, timeout=PROBE_SECONDS)
    except AuthenticationError:
        raise token_missing(address) from None
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise token_missing(address) from None
        if error.code() == grpc.StatusCode.UNIMPLEMENTED:
            raise nothing_answers(address, "something else listens there; Ray's own port is 6379") from None
        raise nothing_answers(address, error.details()) from None
    finally:
        channel.close()
    if not any(reply.raylet_alive):
        raise ResourceError(
            f"--address {address}: this machine is not a node of that cluster; run raysearch on its head ('ray attach"
            f" cluster.yaml'), or make this machine a node with 'ray start --address={address}'"
        )
    return found


def nothing_answers(address: str, reason: object) -> ResourceError:
    line = " ".join(str(reason).split())[:200]
    return ResourceError(
        f"no Ray cluster answers at --address {address} ({line}): start one with 'ray up cluster.yaml' or 'ray start"
        " --head', or leave --address out to run on this machine"
    )


def token_missing(address: str) -> ResourceError:
    return ResourceError(
        f"the Ray cluster at --address {address} takes nobody without its token: set RAY_AUTH_MODE=token and put the"
        " token of its head into ~/.ray/auth_token (or name the file in RAY_AUTH_TOKEN_PATH)"
    )
