"""The tools that the hosts are measured with, as an author writes them for wassette in Python."""

import wit_world


class WitWorld(wit_world.WitWorld):
    def echo(self, text: str) -> str:
        return text

    def big(self, bytes: int) -> str:
        return "x" * bytes

    def spin(self) -> str:
        while True:
            pass
