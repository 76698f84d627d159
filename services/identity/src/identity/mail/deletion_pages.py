"""The pages on which somebody who has no app and no session asks to be erased; they work without scripts.

A form asks for a mail, the mail's link leads to a button, and only the button erases: scanners that open
links do nothing. The token stands behind the `#` of the link, so it reaches no server's log; a script puts it
into the form, and who runs no scripts copies it there.
"""

from html import escape
from uuid import UUID

from identity.mail.pages import digest

_STYLE = """
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:6vh auto;padding:0 1rem;color:#222}
button,input{font:inherit;padding:.6rem 1rem;width:100%;box-sizing:border-box;margin:.4rem 0}
code{overflow-wrap:anywhere}
"""

_SCRIPT = """
const field = document.querySelector("input");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (token) { field.value = token; document.querySelector("#code").hidden = true; }
"""


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src {digest(_SCRIPT)}; style-src {digest(_STYLE)}; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def _page(title: str, content: str, *, script: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style><main><h1>{title}</h1>{content}</main>"
        + (f"<script>{script}</script>" if script else "")
        + "</html>"
    )


REQUEST_PAGE = _page(
    "Delete your IrisVue account",
    "<p>You can delete the account in the app, or ask for it here.</p>"
    "<p><b>What is erased:</b> the account, how you sign in, your pictures and the key that they are sealed "
    "with, your choices, and what leads from your consents to you.</p>"
    "<p><b>What stays:</b> the proof that you were asked and that everything was erased, without anything "
    'that leads to you. The <a href="/api/v1/privacy/retention-schedule">retention schedule</a> says how '
    "long each kind of data is kept otherwise.</p>"
    '<form method="post"><label for="email">The address of your account</label>'
    '<input id="email" name="email" type="email" autocomplete="email" maxlength="320" required>'
    "<button>Send me a link</button></form>"
    "<p>Nothing is erased before you follow the link and confirm.</p>",
)
REQUESTED_PAGE = _page(
    "Look into your mailbox",
    '<p role="status">If this address has an account, a mail is on its way. Nothing is erased before you '
    "follow its link and confirm.</p>",
)
CONFIRM_PAGE = _page(
    "Delete your account and everything in it?",
    "<p>Your account is closed at once, and everything in it is erased in every service. "
    "This can't be undone.</p>"
    '<form method="post"><div id="code"><label for="token">The code from the mail: what stands in its link '
    "behind <code>token=</code></label>"
    '<input id="token" name="token" autocomplete="off" spellcheck="false" maxlength="128" required></div>'
    "<button>Yes, delete everything</button></form>"
    "<p>If you did not ask for this, close this page: nothing happens.</p>",
    script=_SCRIPT,
)
EXPIRED_PAGE = _page(
    "This link is not good any more",
    '<p role="alert">It was used already or is too old, and nothing was erased now. '
    '<a href="request-deletion">Ask for a new one</a>.</p>',
)


_NOW = "Everything in it is being erased."
_LATER = (
    "Its pictures are being destroyed, and everything else is erased later. Until then the link that we mail "
    "to you opens the account again."
)


def confirmed_page(
    *, erasure_id: UUID, status_url: str, status_token: str, can_be_canceled: bool = False
) -> str:
    """Return the page that says goodbye: the only place that shows the status token."""
    link = escape(f"{status_url}?token={status_token}", quote=True)
    return _page(
        "Your account is closed",
        f'<p role="status">{_LATER if can_be_canceled else _NOW} Keep what stands here: it is the only way '
        "to see how far the erasure is, because nothing else leads to it any more.</p>"
        f'<p><a href="{link}">How far the erasure is</a></p>'
        f"<dl><dt>Erasure</dt><dd><code>{erasure_id}</code></dd>"
        f"<dt>Token</dt><dd><code>{escape(status_token)}</code></dd></dl>",
    )
