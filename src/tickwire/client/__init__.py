"""The Python client of the REST API and the stream; it imports nothing of the server.

`RestClient` and `SyncRestClient` have a method for every REST call; their rows are those of `tickwire.wire.rows`, whose
decimals are texts: ``decimal`` gives their exact value.
"""

from tickwire.client.attempts import RateLimit
from tickwire.client.clock import ServerClock
from tickwire.client.errors import (
    ApiError,
    ClientError,
    ConnectionFailed,
    Forbidden,
    InvalidReply,
    RateLimited,
    ServerFailed,
    TimedOut,
    Unauthorized,
)
from tickwire.client.numbers import decimal, moment
from tickwire.client.replies import Candle
from tickwire.client.rest import RestClient, SyncRestClient
from tickwire.client.retries import NO_RETRIES, Retries

__all__ = [
    "NO_RETRIES",
    "ApiError",
    "Candle",
    "ClientError",
    "ConnectionFailed",
    "Forbidden",
    "InvalidReply",
    "RateLimit",
    "RateLimited",
    "RestClient",
    "Retries",
    "ServerClock",
    "ServerFailed",
    "SyncRestClient",
    "TimedOut",
    "Unauthorized",
    "decimal",
    "moment",
]
