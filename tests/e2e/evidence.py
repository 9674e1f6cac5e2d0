"""What the stories leave behind: figures for the summary, and the cluster's own words when one fails."""

import contextlib

from .cluster import CHECKOUT, Cluster, say
from .release import NAMESPACE, SELECTOR

FOLDER = CHECKOUT / "build" / "e2e"
FIGURES: list[str] = []
"""What was measured, one line each, in the order of the stories."""

COMMANDS = {
    "pods": ("get", "pods", "-A", "-o", "wide"),
    "describe": ("describe", "pods,deployments,services", "-n", NAMESPACE),
    "events": ("get", "events", "-A", "--sort-by=.lastTimestamp"),
    "routes": ("get", "apisixroutes,ingresses,endpointslices", "-A", "-o", "yaml"),
    "log": ("logs", "-n", NAMESPACE, "-l", SELECTOR, "--prefix", "--tail=-1"),
    "log-before": ("logs", "-n", NAMESPACE, "-l", SELECTOR, "--prefix", "--tail=-1", "--previous"),
}


def figure(text: str) -> None:
    say(text)
    FIGURES.append(text)


def collect(cluster: Cluster, story: str) -> str:
    """Write everything into a folder of the story; the last lines of what says most."""
    folder = FOLDER / story
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, words in COMMANDS.items():
        with contextlib.suppress(Exception):  # the cluster may be what is broken; the story's own failure is the news
            found[name] = cluster.kubectl(*words, check=False, within=30)
            (folder / name).write_text(found[name])
    told = [line for line in found.get("log", "").splitlines() if '"request_id"' not in line]
    shown = ["pods", *found.get("pods", "").splitlines(), "", "events", *found.get("events", "").splitlines()[-15:]]
    return "\n".join([f"everything is in {folder}", *shown, "", "log", *told[-40:]])
