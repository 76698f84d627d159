"""A real Chromium for tests, driven over the WebDriver protocol of its own driver (W3C WebDriver)."""

import asyncio
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from cluster.errors import ClusterError

START_SECONDS = 30
CALL_SECONDS = 90
PROGRAMS = ("chromium", "chromedriver")
_PACKAGES = ("chromium", "chromium-driver")
_STARTED = re.compile(rb"started successfully on port (\d+)")


class Browser:
    """One window of a headless Chromium with a profile of its own."""

    def __init__(self, http: aiohttp.ClientSession, session_url: str) -> None:
        self._http = http
        self._session_url = session_url

    async def open(self, url: str) -> None:
        """Go to an address and wait until its page has loaded."""
        await self._ask("POST", "/url", {"url": url})

    async def run(self, script: str, *arguments: Any) -> Any:
        """Run the body of a function in the page and return what it returns; a promise is awaited."""
        return await self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    async def complaints(self) -> list[str]:
        """Return the errors of the console since it was last asked, blocked content among them."""
        entries = await self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    async def close(self) -> None:
        """Close the window and end Chromium."""
        await self._ask("DELETE", "")

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return await _ask(self._http, method, self._session_url + path, body)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Start a Chromium, installing Debian's where there is none; end it at the end of the block."""
    await asyncio.to_thread(install_where_missing)
    driver = await asyncio.create_subprocess_exec(
        "chromedriver", "--port=0", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            url = f"http://127.0.0.1:{await _port(driver)}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(CALL_SECONDS)) as http:
            session = await _ask(http, "POST", f"{url}/session", {"capabilities": _wanted()})
            window = Browser(http, f"{url}/session/{session['sessionId']}")
            try:
                yield window
            finally:
                await window.close()
    finally:
        driver.terminate()
        await driver.communicate()


def install_where_missing() -> None:
    """Install Debian's Chromium and its driver when this process may; raises ClusterError when it may not."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ClusterError(
            f"{' and '.join(missing)} missing: the tests in a browser need Chromium and its driver. "
            f"On Debian: apt-get install {' '.join(_PACKAGES)}"
        )
    for command in (["update"], ["install", "-y", "--no-install-recommends", *_PACKAGES]):
        done = subprocess.run(["apt-get", "-q", *command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`apt-get {' '.join(command)}` failed:\n{done.stderr or done.stdout}")


def _wanted() -> dict[str, Any]:
    arguments = ["--headless=new", "--disable-dev-shm-usage", "--disable-gpu"]
    if os.geteuid() == 0:
        # Chromium's own sandbox refuses to run as root; it opens nothing but this project's pages.
        arguments.append("--no-sandbox")
    return {
        "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "binary": shutil.which("chromium")},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
    }


async def _port(driver: asyncio.subprocess.Process) -> int:
    told = b""
    while driver.stdout is not None and (line := await driver.stdout.readline()):
        told += line
        if found := _STARTED.search(line):
            return int(found.group(1))
    raise ClusterError(f"chromedriver did not start:\n{told.decode()}")


async def _ask(http: aiohttp.ClientSession, method: str, url: str, body: Any) -> Any:
    async with http.request(method, url, json=body) as answer:
        value = (await answer.json())["value"]
    if isinstance(value, dict) and "error" in value:
        raise ClusterError(f"the browser says {value['error']}: {value.get('message', '')}")
    return value
