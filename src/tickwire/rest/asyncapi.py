"""The AsyncAPI 3.0 document of the stream, made from the wire's types and catalogues.

It speaks as the server: ``receive`` is what clients send, ``send`` what they get. Schemas are in JSON Schema draft 7,
on which AsyncAPI 3.0 builds.
"""

import msgspec

from tickwire import __version__
from tickwire.rest import examples
from tickwire.rest.schemas import Json, schemas_of
from tickwire.rest.stream_topics import TOPICS, TopicDocument
from tickwire.wire.closes import CLOSES
from tickwire.wire.envelope import MAX_CONFLATE_MS, MAX_EPOCH_LENGTH, MAX_ID_LENGTH
from tickwire.wire.errors import ERRORS
from tickwire.wire.signing import STREAM_PATH

__all__ = ["asyncapi_document"]

_DESCRIPTION = f"""\
One WebSocket for market and account data. Rows have the schema of the matching REST reply.

The handshake is a `GET` of `{STREAM_PATH}`, signed as `GET{STREAM_PATH}` + `api-expires` with the headers `api-key`,
`api-expires` and `api-signature`. Browsers, which cannot set headers, send the three as query parameters of the same
names; the signature stays the same. An open socket outlives its `api-expires`; revoking the key closes it.

Frames are text, one JSON object each. A reply never has the keys `topic` and `data`; a data frame always has both.
After a subscribe comes the reply, then a SNAPSHOT, and every later frame follows from it. A reader that cannot keep up
misses intermediate states and then gets a fresh SNAPSHOT; orders and executions are never left out: their reader is
closed instead.

`configure` is an extension: a session may ask for at most one frame of a topic in some milliseconds, and for positions
(`epoch` and `offset`) in its data frames. With the position of its last frame of a topic a client that has lost its
connection can resume there.
"""
_REPLY_CODES = (
    "InvalidTopic",
    "InvalidSymbol",
    "AccountNotFound",
    "TooManyTopics",
    "InvalidJson",
    "InvalidOperation",
    "InvalidParameter",
    "BinaryNotSupported",
    "TooManyOperations",
)
_HANDSHAKE_CODES = ("api.unauthorized", "api.invalidSession", "Forbidden", "TooManyRequests")
_OPERATIONS = {
    "subscribe": "Add topics. Each gets a SNAPSHOT, subscribed before or not.",
    "unsubscribe": "Drop topics. One that is not subscribed is accepted.",
    "configure": (
        "Choose how data comes (an extension): at most one frame of a topic in `conflate_ms`, with the newest values "
        "of all that has changed, and with `resume` a position in each data frame. What is left out stays as it is."
    ),
    "ping": "Ask for a sign of life. The bare text `ping` is answered with the bare text `pong`.",
}
_REPLIES = {
    "subscribe": ("success", "failure"),
    "unsubscribe": ("success", "failure"),
    "configure": ("configured", "failure"),
    "ping": ("pong", "failure"),
}

_ID: Json = {
    "description": "Echoed in the reply.",
    "anyOf": [{"type": "string", "maxLength": MAX_ID_LENGTH}, {"type": "integer"}],
}
_ARGUMENTS: Json = {"type": "array", "items": {"type": "string"}}
_CONFIGURATION: Json = {
    "conflate_ms": {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_CONFLATE_MS,
        "description": "Least time between two frames of a topic; 0 sends each.",
    },
    "resume": {"type": "boolean", "description": "Whether data frames carry `epoch` and `offset`."},
}
_EPOCH: Json = {"type": "string", "maxLength": MAX_EPOCH_LENGTH}
_OFFSET: Json = {"type": "integer", "minimum": 0}
_POSITION: Json = {
    "type": "object",
    "required": ["epoch", "offset"],
    "properties": {"epoch": _EPOCH, "offset": _OFFSET},
}
_TIME: Json = {
    "type": "string",
    "pattern": "^[0-9]{19}$",
    "description": "Nanoseconds since the epoch; never goes back within a topic.",
}


def asyncapi_document() -> Json:
    """The document; what it holds encodes to JSON."""
    schema_of, components = schemas_of(topic.row for topic in TOPICS)
    messages = {**_operation_messages(), **_reply_messages()}
    for topic in TOPICS:
        row = schema_of[id(topic.row)]
        name = topic.kind.value
        if topic.partial:
            whole = components[topic.row.__name__]
            components[f"{topic.row.__name__}Change"] = {
                **whole,
                "title": f"{whole['title']}Change",
                "description": "The symbol and what changed.",
                "required": ["symbol"],
            }
        messages[name] = _data_message(topic, row)
    channel = {"$ref": "#/channels/stream"}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "tickwire stream",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "exchange": {
                "host": "{host}",
                "protocol": "ws",
                "description": "The same host and port as REST.",
                "variables": {"host": {"default": "127.0.0.1:8080", "description": "Host and port of the server."}},
                "security": [
                    {"$ref": f"#/components/securitySchemes/{name}"}
                    for name in ("apiKey", "apiExpires", "apiSignature")
                ],
            }
        },
        "channels": {
            "stream": {
                "address": STREAM_PATH,
                "summary": "All topics, on one socket.",
                "servers": [{"$ref": "#/servers/exchange"}],
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "query": _QUERY, "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            **{
                name: {
                    "action": "receive",
                    "channel": channel,
                    "summary": summary,
                    "messages": [_in_channel(name)],
                    "reply": {"channel": channel, "messages": [_in_channel(reply) for reply in _REPLIES[name]]},
                }
                for name, summary in _OPERATIONS.items()
            },
            **{
                f"push-{topic.kind.replace('.', '-')}": {
                    "action": "send",
                    "channel": channel,
                    "summary": topic.summary,
                    "messages": [_in_channel(topic.kind.value)],
                }
                for topic in TOPICS
            },
        },
        "components": {
            "messages": messages,
            "schemas": components,
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "x-close-codes": [msgspec.to_builtins(close) for close in CLOSES.values()],
        "x-reply-errors": [msgspec.to_builtins(ERRORS[code]) for code in _REPLY_CODES],
        "x-handshake-errors": [msgspec.to_builtins(ERRORS[code]) for code in _HANDSHAKE_CODES],
    }


def _in_channel(message: str) -> Json:
    return {"$ref": f"#/channels/stream/messages/{message}"}


def _operation_messages() -> Json:
    messages: Json = {}
    for name, summary in _OPERATIONS.items():
        properties: Json = {"op": {"const": name}, "id": _ID}
        example: Json = {"op": name}
        required = ["op"]
        if name in ("subscribe", "unsubscribe"):
            required.append("args")
            properties["args"] = {
                **_ARGUMENTS,
                "description": "Topics, at most 50. The good ones of a mixed list are taken.",
            }
            example["args"] = ["ticker.BTCUSDT.PERP", "account.order"]
        if name == "subscribe":
            properties["resume"] = {
                "type": "object",
                "additionalProperties": _POSITION,
                "description": "By topic, the position of its last frame. What was missed since comes instead of a "
                "SNAPSHOT, where all of it is still kept.",
            }
            example["resume"] = {"account.order": {"epoch": examples.EPOCH, "offset": 7}}
        if name == "configure":
            properties |= _CONFIGURATION
            example |= {"conflate_ms": 250, "resume": True}
        messages[name] = {
            "name": name,
            "title": name.capitalize(),
            "summary": summary,
            "payload": {
                "type": "object",
                "required": required,
                "properties": properties,
            },
            "examples": [{"payload": {**example, "id": 7}}],
        }
    return messages


def _reply_messages() -> Json:
    return {
        "success": {
            "name": "success",
            "title": "Success",
            "summary": "What was accepted.",
            "payload": {
                "type": "object",
                "required": ["success", "op", "args"],
                "properties": {
                    "success": {"const": True},
                    "op": {"enum": ["subscribe", "unsubscribe"]},
                    "args": _ARGUMENTS,
                    "id": _ID,
                    "resumed": {
                        "type": "object",
                        "additionalProperties": {"type": "boolean"},
                        "description": "Of each topic that was to be resumed, whether it is: true brings what was "
                        "missed, false a SNAPSHOT.",
                    },
                },
                "additionalProperties": False,
            },
            "examples": [
                {"payload": {"success": True, "op": "subscribe", "args": ["ticker.BTCUSDT.PERP"], "id": 7}},
            ],
        },
        "configured": {
            "name": "configured",
            "title": "Configured",
            "summary": "What holds from here on.",
            "payload": {
                "type": "object",
                "required": ["success", "op", "conflate_ms", "resume"],
                "properties": {
                    "success": {"const": True},
                    "op": {"const": "configure"},
                    **_CONFIGURATION,
                    "id": _ID,
                },
                "additionalProperties": False,
            },
            "examples": [
                {"payload": {"success": True, "op": "configure", "conflate_ms": 250, "resume": True, "id": 7}},
            ],
        },
        "failure": {
            "name": "failure",
            "title": "Failure",
            "summary": "What was refused, one frame for each reason. The socket stays open.",
            "payload": {
                "type": "object",
                "required": ["success", "error", "message"],
                "properties": {
                    "success": {"const": False},
                    "op": {"type": "string", "description": "Left out when it could not be read."},
                    "args": {**_ARGUMENTS, "description": "The topics refused; left out when they could not be read."},
                    "error": {"enum": list(_REPLY_CODES)},
                    "message": {"type": "string", "description": "What was expected and what was there."},
                    "id": _ID,
                },
                "additionalProperties": False,
            },
            "examples": [
                {
                    "payload": {
                        "success": False,
                        "op": "subscribe",
                        "args": ["kline.7.BTCUSDT.PERP"],
                        "error": "InvalidTopic",
                        "message": "expected an interval of 1 3 5 15 30 60 120 180 240 360 720 1D 1W 1M, got '7'",
                        "id": 7,
                    }
                }
            ],
        },
        "pong": {
            "name": "pong",
            "title": "Pong",
            "summary": "The reply to ping.",
            "payload": {
                "type": "object",
                "required": ["op", "ts"],
                "properties": {"op": {"const": "pong"}, "ts": _TIME, "id": _ID},
                "additionalProperties": False,
            },
            "examples": [{"payload": {"op": "pong", "ts": examples.TIME}}],
        },
    }


def _data_message(topic: TopicDocument, row: Json) -> Json:
    """The data frames of a topic."""
    parts = [_data_part("SNAPSHOT", row)]
    if topic.updates:
        changed = {"$ref": f"#/components/schemas/{topic.row.__name__}Change"} if topic.partial else row
        parts.append(_data_part("UPDATE", changed))
    action = "UPDATE" if topic.updates else "SNAPSHOT"
    example = topic.example
    if topic.partial:
        whole = msgspec.to_builtins(example)
        example = {name: whole[name] for name in ("symbol", "bidPrice", "askPrice")}
    return {
        "name": topic.kind.value,
        "title": topic.name,
        "summary": topic.summary,
        "description": topic.description,
        "payload": {
            "type": "object",
            "required": ["topic", "ts", "data"],
            "properties": {
                "topic": {"type": "string", "pattern": topic.pattern, "description": "Exactly as subscribed."},
                "ts": _TIME,
                "data": {"type": "array", "minItems": 1, "items": {"oneOf": parts} if topic.updates else parts[0]},
                "epoch": {**_EPOCH, "description": "With `resume` only: offsets of one epoch belong together."},
                "offset": {
                    **_OFFSET,
                    "description": "With `resume` only: grows by one with each frame of the topic. A SNAPSHOT after a "
                    "subscribe has that of the newest frame that it includes.",
                },
            },
            "additionalProperties": False,
        },
        "examples": [
            {
                "payload": {
                    "topic": topic.example_topic,
                    "ts": examples.TIME,
                    "data": [{"actionType": action, "rows": [msgspec.to_builtins(example)]}],
                }
            }
        ],
        "x-row": row,
    }


def _data_part(action: str, row: Json) -> Json:
    return {
        "type": "object",
        "required": ["actionType", "rows"],
        "properties": {"actionType": {"const": action}, "rows": {"type": "array", "items": row}},
        "additionalProperties": False,
    }


_QUERY: Json = {
    "type": "object",
    "description": "For browsers, in place of the headers.",
    "properties": {name: {"type": "string"} for name in ("api-key", "api-expires", "api-signature")},
}
_SECURITY_SCHEMES: Json = {
    "apiKey": {"type": "httpApiKey", "in": "header", "name": "api-key", "description": "The key."},
    "apiExpires": {
        "type": "httpApiKey",
        "in": "header",
        "name": "api-expires",
        "description": "Unix seconds until which the signature holds.",
    },
    "apiSignature": {
        "type": "httpApiKey",
        "in": "header",
        "name": "api-signature",
        "description": f"Lower-case hex HMAC-SHA256 of GET{STREAM_PATH} + api-expires.",
    },
}
