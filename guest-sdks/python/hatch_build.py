"""Puts the contract into what is built, so that the one in the checkout stays the only one."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ContractHook(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        contract = Path(self.root).parent.parent / "wit"
        # A source distribution has it already; an editable install reads the checkout's.
        if version != "editable" and contract.is_dir():
            inside = "src/holster_sdk/wit" if self.target_name == "sdist" else "holster_sdk/wit"
            build_data["force_include"][str(contract)] = inside
