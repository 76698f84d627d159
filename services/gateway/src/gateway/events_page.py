"""The events as a plain page: what is said, by whom and to whom; no script."""

import json
from html import escape
from typing import Any

Document = dict[str, Any]

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<h1>{title}</h1>
<p>{description}</p>
<p><a href="/asyncapi.json">AsyncAPI document</a> · <a href="/docs">API</a></p>
{events}
</body>
</html>
"""


def render(document: Document) -> str:
    """Return the page of an AsyncAPI document."""
    messages = document["components"]["messages"].values()
    events = "\n".join(_event(document, message["name"], message) for message in messages)
    info = document["info"]
    return _PAGE.format(title=escape(info["title"]), description=escape(info["description"]), events=events)


def _event(document: Document, name: str, message: Document) -> str:
    channel = {"$ref": f"#/channels/{name}"}
    told = "".join(
        f"<li>{escape(operation['description'])}</li>"
        for operation in document["operations"].values()
        if operation["channel"] == channel
    )
    parts = {
        "Schema": message["payload"],
        **{f"Example: {it['name']}": it["payload"] for it in message["examples"]},
    }
    details = "".join(
        f"<details><summary>{escape(title)}</summary>"
        f"<pre>{escape(json.dumps(part, indent=2))}</pre></details>"
        for title, part in parts.items()
    )
    return f"<h2>{escape(name)}</h2>\n<p>{escape(message['summary'])}</p>\n<ul>{told}</ul>\n{details}"
