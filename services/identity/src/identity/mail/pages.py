"""The pages that mails link to, for people who open them in a browser instead of the app.

The token stands behind the `#` of the address, so it never reaches a server's log; a click sends it in the
body of a request. Mail scanners that open links therefore use nothing up.
"""

import base64
import hashlib

_STYLE = """
body{font:1.1rem/1.5 system-ui,sans-serif;max-width:28rem;margin:10vh auto;padding:0 1rem;color:#222}
button,input{font:inherit;padding:.6rem 1rem;width:100%;box-sizing:border-box;margin:.4rem 0}
output{display:block;margin-top:1rem;font-weight:600}
"""

_SCRIPT = """
const form = document.querySelector("form");
const said = document.querySelector("output");
const token = new URLSearchParams(location.hash.slice(1)).get("token") || "";
const buttons = form.querySelectorAll("button");
const press = (disabled) => buttons.forEach((button) => { button.disabled = disabled; });
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const goal = new URL(event.submitter?.value || location.pathname, location.href);
  press(true);
  const body = Object.fromEntries(new FormData(form));
  body.token = token;
  said.textContent = "…";
  try {
    const answer = await fetch(goal, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    const told = await answer.json();
    said.textContent = told.message || told.detail;
    if (answer.ok) { form.hidden = true; history.replaceState(null, "", location.pathname); return; }
  } catch (error) {
    said.textContent = "The server did not answer. Check your connection and try again.";
  }
  press(false);
});
"""


def digest(text: str) -> str:
    """Return the source of a policy that allows this script or style and no other (CSP Level 3, §2.3.1)."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; script-src {digest(_SCRIPT)}; style-src {digest(_STYLE)}; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


def _page(title: str, form: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<style>{_STYLE}</style><h1>{title}</h1>{form}<output></output><script>{_SCRIPT}</script></html>"
    )


VERIFY_EMAIL_PAGE = _page(
    "Confirm your address",
    "<form><p>Did you ask IrisVue to use this address?</p><button>Yes, I did</button>"
    "<p>If somebody else did, their account is closed and everything in it is erased:</p>"
    '<button value="decline-address">No, that was somebody else</button></form>',
)
RESET_PASSWORD_PAGE = _page(
    "Choose a new password",
    '<form><label>New password<input name="new_password" type="password" autocomplete="new-password" '
    'minlength="8" maxlength="128" required></label><button>Set the password</button></form>',
)
CANCEL_DELETION_PAGE = _page(
    "Keep your account",
    "<form><p>Your account is closed and will be erased. Pictures are destroyed already.</p>"
    "<button>Open my account again</button></form>",
)
