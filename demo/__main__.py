"""Plays the story on the running cluster: `make demo`, or `python -m demo [--directory DIR]`."""

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from cluster import env_file
from cluster.errors import ClusterError
from cluster.layout import Layout
from demo.client import App, open_http
from demo.narrator import Narrator, StoryBroken
from demo.story import Story

OK = 200
NOT_RUNNING = "No cluster answers at {url}. Run `make up` first; `make status` shows what runs."


def main() -> int:
    """Return 0 when the whole story went as it should."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--directory", type=Path, help="a separate cluster that lives in this directory")
    layout = Layout.of(parser.parse_args().directory)
    try:
        return asyncio.run(_play(layout))
    except (ClusterError, StoryBroken) as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1


async def _play(layout: Layout) -> int:
    if not layout.env_file.exists():
        raise ClusterError(
            f"{layout.env_file} does not exist: no cluster was started here. Run `make up` first."
        )
    values = env_file.load(layout.env_file)
    narrator = Narrator()
    url = values["PUBLIC_URL"].rstrip("/")
    async with open_http() as http:
        await _require_cluster(App(http, url), url)
        print(f"IrisVue at {url}")
        try:
            await _story(http, url, narrator, values).play()
        except aiohttp.ClientConnectionError as error:
            raise StoryBroken(f"the cluster stopped answering ({type(error).__name__})") from error
    print(f"\nThe story went as it should: {narrator.summary}.")
    return 0


def _story(http: aiohttp.ClientSession, url: str, narrator: Narrator, values: Mapping[str, str]) -> Story:
    return Story(App(http, url, listener=narrator.heard), App(http, url), narrator, values)


async def _require_cluster(app: App, url: str) -> None:
    try:
        answer = await app.call("GET", "/health/readiness")
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ClusterError(NOT_RUNNING.format(url=url)) from error
    if answer.status != OK:
        raise ClusterError(
            f"The cluster at {url} is not ready: {answer.document.get('detail', answer.status)} "
            "`make status` shows what is missing, `make up` starts it."
        )


if __name__ == "__main__":
    sys.exit(main())
