"""Tags the wheel with the platform of the programs in it, which hatchling cannot know."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformTag(BuildHookInterface):
    """Any Python 3, one platform."""

    def initialize(self, version, build_data):
        build_data["tag"] = f"py3-none-{os.environ['PHALANX_WHEEL_PLATFORM']}"
        build_data["pure_python"] = False
