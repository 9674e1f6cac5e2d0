"""From the World to a snapshot of the IR, statuses and problems.

Pure and total: the same input gives the same output, and nothing in an object makes it raise. One object in, one value
out; a fault stays in its object, and every fault is a value (`Problem`), which becomes a status condition.

`Translator` remembers: what did not change is the very same object in the next `Translation`, and a change costs what
depends on it. `translate` is its form without memory.
"""

from pygateway.resources.world import World
from pygateway.translate.result import Condition as Condition
from pygateway.translate.result import Policy as Policy
from pygateway.translate.result import Problem as Problem
from pygateway.translate.result import Translation as Translation
from pygateway.translate.translator import Translator as Translator


def translate(world: World, policy: Policy) -> Translation:
    """What the objects of `world` mean."""
    return Translator(policy).translate(world)
