"""The Python client of the stream and the REST API; it imports nothing of the server.

`Client` has the streams, as asynchronous iterators of typed rows over one connection that heals itself; `Connection` is
that connection alone, with the frames as they come.

`RestClient` and `SyncRestClient` have a method for every REST call; their rows are those of `tickwire.wire.rows`, whose
decimals are texts: ``decimal`` gives their exact value.
"""

from tickwire.client.attempts import RateLimit
from tickwire.client.book import OrderBook
from tickwire.client.client import Client
from tickwire.client.clock import ServerClock
from tickwire.client.connection import Connection, StreamEnded
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
from tickwire.client.events import (
    BadFrame,
    Connected,
    Event,
    Gap,
    RawFrame,
    Reconnecting,
    Refused,
    Resynchronised,
)
from tickwire.client.feeds import SubscriptionRefused
from tickwire.client.frames import unknown
from tickwire.client.mailboxes import Latest, Queue, StreamOverflow
from tickwire.client.numbers import decimal, moment
from tickwire.client.policy import BackOff
from tickwire.client.replies import Candle
from tickwire.client.rest import RestClient, SyncRestClient
from tickwire.client.retries import NO_RETRIES, Retries
from tickwire.client.routing import Counters
from tickwire.client.streams import Stream
from tickwire.client.transport import ConnectionSettings

__all__ = [
    "NO_RETRIES",
    "ApiError",
    "BackOff",
    "BadFrame",
    "Candle",
    "Client",
    "ClientError",
    "Connected",
    "Connection",
    "ConnectionFailed",
    "ConnectionSettings",
    "Counters",
    "Event",
    "Forbidden",
    "Gap",
    "InvalidReply",
    "Latest",
    "OrderBook",
    "Queue",
    "RateLimit",
    "RateLimited",
    "RawFrame",
    "Reconnecting",
    "Refused",
    "RestClient",
    "Resynchronised",
    "Retries",
    "ServerClock",
    "ServerFailed",
    "Stream",
    "StreamEnded",
    "StreamOverflow",
    "SubscriptionRefused",
    "SyncRestClient",
    "TimedOut",
    "Unauthorized",
    "decimal",
    "moment",
    "unknown",
]
