"""Small asyncio mechanisms without policy."""
