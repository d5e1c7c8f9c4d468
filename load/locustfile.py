"""Locust's entry: users and stages as the scenario has them, and its limits when all is over.

make load URL=http://localhost:8000 SCENARIO=smoke
locust -f load/locustfile.py --scenario steady --host http://localhost:8000    # with its web page
"""

import logging
from typing import Any

from locust import LoadTestShape, events
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import WorkerRunner

from load.figures import figures
from load.limits import broken
from load.scenario import ScenarioError, load, named
from load.users import ChatUser, CompletionsUser, EmbeddingsUser, MessagesUser

USERS = {
    "chat": ChatUser,
    "completions": CompletionsUser,
    "messages": MessagesUser,
    "embeddings": EmbeddingsUser,
}
log = logging.getLogger("load")


class Stages(LoadTestShape):
    """The scenario's stages, one after the other; the run is over with the last."""

    def tick(self) -> tuple[int, float] | None:
        """How many users there should be, and how many more or fewer a second."""
        assert self.runner
        assert self.runner.environment.parsed_options
        scenario = load(self.runner.environment.parsed_options.scenario)
        stage = scenario.stage_at(self.get_run_time())
        return (stage.users, stage.users_per_s) if stage else None


@events.init_command_line_parser.add_listener
def add_arguments(parser: LocustArgumentParser) -> None:
    """What Locust does not ask for itself."""
    there_are = ", ".join(named())
    parser.add_argument("--scenario", default="smoke", help=f"{there_are}, or a file.toml")
    parser.add_argument("--model", default="", help="without it, the first of /v1/models")


@events.init.add_listener
def choose_users(environment: Environment, **_: Any) -> None:
    """Have those users that the scenario has; a worker has all, and is told which by its master."""
    assert environment.parsed_options
    try:
        scenario = load(environment.parsed_options.scenario)
    except ScenarioError as error:
        raise SystemExit(str(error)) from None
    if isinstance(environment.runner, WorkerRunner):
        return
    environment.user_classes[:] = [USERS[kind] for kind in scenario.users]
    for kind, weight in scenario.users.items():
        USERS[kind].weight = weight
    log.info("%s It takes %g s.", scenario.about, scenario.takes_s)


@events.quitting.add_listener
def judge(environment: Environment, **_: Any) -> None:
    """Say which limits were broken; the exit code is 1 when one was, and only then."""
    if isinstance(environment.runner, WorkerRunner):
        return
    assert environment.parsed_options
    limits = load(environment.parsed_options.scenario).limits
    sentences = broken(limits, figures(environment.stats))
    assert environment.runner
    for error in environment.runner.exceptions.values():
        sentences.append(f"a user had no way to go on: {error['msg']}")
    for sentence in sentences:
        log.error("failed: %s", sentence)
    if not sentences:
        log.info("all limits held: %s", ", ".join(limits))
    environment.process_exit_code = 1 if sentences else 0
