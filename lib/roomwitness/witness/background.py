"""Tasks that run beside everything else."""

import asyncio


async def end(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel them, those that ever began, and wait until they have ended, however they do."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    await asyncio.gather(*begun, return_exceptions=True)
