"""A worker group that is ready only after the study has ended: nobody would ever tell it to go."""

from __future__ import annotations

import asyncio
from typing import Any

from raysearch.slots._pool import Pool


class Member:
    """A worker that is alive."""

    class __ray_ready__:  # noqa: N801
        @staticmethod
        async def remote() -> bool:
            return True


def test_a_group_that_comes_after_the_end_is_sent_away() -> None:
    async def late() -> Any:
        pool = Pool(2)
        await pool.stop()
        placement: Any = None
        await pool.join(1, "generation", 0, 1, Member(), placement)
        return await asyncio.wait_for(pool.next(1, "generation"), 5)

    assert asyncio.run(late())["name"] == "stop"
