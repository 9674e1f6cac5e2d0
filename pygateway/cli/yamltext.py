"""Plain values as YAML for people."""

from typing import Any, Final

import yaml

_WIDTH: Final = 120


class _Dumper(yaml.CSafeDumper):
    """The same value twice is written twice: anchors are for machines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def yaml_text(tree: Any) -> str:
    """In the order of the values; what holds no lists or maps of its own is written on one line."""
    text: str = yaml.dump(
        tree, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=_WIDTH, allow_unicode=True
    )
    return text
