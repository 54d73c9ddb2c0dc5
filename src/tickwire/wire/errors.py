"""The catalogue of error codes, and the one exception that carries them to a client.

A code is a name of this table and nothing else; the reference page of errors is generated from it.
"""

import msgspec

__all__ = ["BARE_CODES", "ERRORS", "ApiError", "ErrorCode", "explain"]


class ErrorCode(msgspec.Struct, frozen=True):
    """One row of the catalogue."""

    code: str
    status: int  # HTTP status over REST; on the stream the code alone is sent
    reason: str  # the message when the place that raises has nothing more exact to say
    advice: str  # what the developer of a client does about it


_CATALOGUE = (
    # Refusals of the request as such (contract section 2). Their body carries the code alone.
    ErrorCode(
        "api.unauthorized",
        401,
        "signature headers are missing, expired or wrong",
        "Sign METHOD + raw target + api-expires + body with the secret's text; check the clock.",
    ),
    ErrorCode(
        "api.invalidSession", 401, "the key is unknown or revoked", "Create a key: tickwire key create --account NAME."
    ),
    ErrorCode("Forbidden", 403, "the key may not do this", "Use a key with the scope, from an allowed address."),
    ErrorCode("TooManyRequests", 429, "too many requests", "Wait for Retry-After seconds, then go on more slowly."),
    ErrorCode("Overloaded", 503, "the server has no room for more connections", "Wait for Retry-After seconds."),
    ErrorCode("RequestTimeout", 408, "the request has not arrived in time", "Send it in one piece."),
    ErrorCode("HeadTooLarge", 431, "the head of the request is too large", "Send fewer or shorter headers."),
    ErrorCode("MethodNotAllowed", 405, "the path does not take this method", "See the reply's Allow header."),
    ErrorCode("InternalError", 500, "the server failed on this request", "Report it with the server's log."),
    ErrorCode("Unavailable", 503, "the exchange is stopping or cannot save its journal", "Reconnect later."),
    # What is wrong with a well-signed request (contract section 8).
    ErrorCode("InvalidParameter", 400, "a parameter is missing or malformed", "The message names the field."),
    ErrorCode("InvalidSymbol", 400, "no such symbol", "See GET /api/v1/trade/symbol for the list."),
    ErrorCode("ApiSymbolRestricted", 400, "the symbol is not open for trading", "Trade another symbol."),
    ErrorCode("InsufficientBalance", 400, "the available balance is too small", "See availableBalance."),
    ErrorCode("TooHighLeverage", 400, "the leverage is above the symbol's maximum", "See maxLeverage."),
    ErrorCode("OrderNotFound", 400, "no such open order", "It is filled or cancelled: see the order history."),
    ErrorCode("PositionNotFound", 400, "no open position in this symbol", "Open a position first."),
    ErrorCode("ReduceOnlyRejected", 400, "a reduce-only order must reduce a position", "Check side and position."),
    ErrorCode("InvalidTradeMode", 400, "orders are taken in ONE_WAY mode only", "PUT tradeMode ONE_WAY."),
    ErrorCode("MinNotional", 400, "the order's value is below the minimum", "See notionalMinOrderAmount."),
    ErrorCode("MaxNotional", 400, "the order's value is above the maximum", "See notionalMaxOrderAmount."),
    ErrorCode("MaxPosition", 400, "the position would grow above its maximum", "See notionalMaxPositionAmount."),
    ErrorCode("MaxOpenInterest", 400, "open interest would grow above its maximum", "See maxOpenInterest."),
    ErrorCode("SlippageExceeded", 400, "no fill is possible within the slippage bound", "Widen maxSlippagePrice."),
    ErrorCode("NoCounterparty", 400, "the opposite side of the book is empty", "Send a LIMIT order with a price."),
    ErrorCode("TooManyOrders", 400, "too many open orders", "Cancel some orders of this symbol first."),
    ErrorCode("InvalidMargin", 400, "the margin change is not possible", "Isolated positions only, within bounds."),
    ErrorCode("OpenOrdersExist", 400, "the margin type is fixed while orders or a position are open", "Close them."),
    # A server that replays a recording.
    ErrorCode(
        "ReplayOnly", 400, "this server replays a recording: nothing can be traded or changed", "Use tickwire serve."
    ),
    ErrorCode(
        "RelayOnly", 400, "this server relays another one: nothing can be traded or changed", "Trade with the upstream."
    ),
    ErrorCode("UpstreamFailed", 502, "the upstream refuses or does not answer", "The message says why; try later."),
    ErrorCode("NotRecorded", 400, "the recording does not hold this", "Record it: the message says what is there."),
    # Operations on the stream (contract section 3.2).
    ErrorCode("InvalidTopic", 400, "no such topic", "See the table of topics."),
    ErrorCode("TooManyTopics", 400, "too many topics", "Split the frame, or open another socket."),
    ErrorCode("AccountNotFound", 400, "the account is not open yet", "Try again once its key has been given out."),
    ErrorCode("InvalidJson", 400, "the frame is not a JSON object", "Send one JSON object a text frame."),
    ErrorCode("InvalidOperation", 400, "no such operation", "Use subscribe, unsubscribe, configure or ping."),
    ErrorCode("BinaryNotSupported", 400, "binary frames are not taken", "Send text frames."),
    ErrorCode("TooManyOperations", 400, "too many operations a second", "Put several topics into one frame."),
)
ERRORS: dict[str, ErrorCode] = {entry.code: entry for entry in _CATALOGUE}

# Codes whose body is exactly {"error": code}, as observed on the exchange this is compatible with.
BARE_CODES = frozenset({"api.unauthorized", "api.invalidSession", "Forbidden"})


class ApiError(Exception):
    """A refusal with a code of the catalogue; changes nothing in the exchange."""

    def __init__(self, code: str, message: str = "") -> None:
        entry = ERRORS[code]
        self.code = code
        self.status = entry.status
        self.message = message or entry.reason
        super().__init__(f"{code}: {self.message}")

    def body(self) -> bytes:
        """The JSON body of the refusal over REST."""
        if self.code in BARE_CODES:
            return msgspec.json.encode({"error": self.code})
        return msgspec.json.encode({"error": self.code, "message": self.message})


def explain(error: msgspec.ValidationError, whole: str) -> str:
    """A decoder's complaint in our form: ``Expected `str`, got `int` - at `$.price``` as ``price: expected str, got
    int``.

    ``whole`` names the thing itself (body, query, frame) for a complaint about no field in particular.
    """
    text, _, path = str(error).replace("`", "").partition(" - at $")
    field = path.lstrip(".") or whole
    if text.startswith("Object missing required field "):
        field, text = text.removeprefix("Object missing required field "), "expected a value, got nothing"
    return f"{field}: {text[0].lower()}{text[1:]}"
