"""What ROS 2's own launch, launch_xml and launch_ros make of launch files, without starting anything.

Reads one JSON object a line, answers one JSON object a line:
  {"file": PATH, "arguments": {NAME: VALUE}}  ->  {"processes": [{"command": […], "environment": {…}, …}], "log": […]}
  {"text": TEXT, "variables": {NAME: VALUE}}  ->  {"value": TEXT}          (a text with $(…) in it)
  {"words": TEXT, "variables": {…}}           ->  {"value": [TEXT, …]}     (the attribute args of <node>)
or {"error": TEXT}. The contents of the parameter files that it writes stand in "parameters" in place of their paths.
"""

import json
import math
import os
import sys

import launch
import yaml
from launch.actions import ExecuteProcess, IncludeLaunchDescription, LogInfo
from launch.actions.execute_local import ExecuteLocal
from launch.frontend import Parser
from launch.launch_description_sources import AnyLaunchDescriptionSource
from launch.utilities import perform_substitutions
import launch_ros.actions  # noqa: F401  (<node>)

Parser.load_launch_extensions()
BEFORE = dict(os.environ)


def finite(value):
    """JSON has no infinity."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def describe(action, context):
    action.prepare(context)
    command, parameters, final = [], [], action.process_description.final_cmd
    words = iter(final)
    for word in words:
        if word == "--params-file":
            path = next(words)
            if os.path.basename(path).startswith("launch_params_"):
                with open(path) as file:
                    parameters.append(finite(yaml.safe_load(file)))
                os.unlink(path)
            else:
                parameters.append(path)
        else:
            command.append(word)
    environment = action.process_description.final_env
    changed = {k: environment.get(k) for k in {*environment, *BEFORE} if environment.get(k) != BEFORE.get(k)}
    return {
        "command": command,
        "parameters": parameters,
        "environment": changed,
        "output": perform_substitutions(context, action.output),
        "respawn": bool(action._ExecuteLocal__respawn),
        "shutdown_on_exit": bool(action._ExecuteLocal__on_exit),
    }


def visit(entity, context, found):
    if isinstance(entity, LogInfo) and (entity.condition is None or entity.condition.evaluate(context)):
        found["log"].append(perform_substitutions(context, entity.msg))
    context._push_locals()
    try:
        for below in entity.visit(context) or []:
            visit(below, context, found)
    finally:
        context._pop_locals()


def load(question):
    found = {"processes": [], "log": []}
    ExecuteLocal.execute = lambda self, context: found["processes"].append(describe(self, context))
    context = launch.LaunchContext()
    context.environment.clear()
    context.environment.update(BEFORE)
    arguments = list(question["arguments"].items())
    source = AnyLaunchDescriptionSource(question["file"])
    visit(IncludeLaunchDescription(source, launch_arguments=arguments), context, found)
    return found


def context_of(question):
    context = launch.LaunchContext()
    context.launch_configurations.update(question["variables"])
    return context


def text(question):
    value = Parser().parse_substitution(question["text"])
    return {"value": perform_substitutions(context_of(question), value)}


def words(question):
    context = context_of(question)
    parsed = ExecuteProcess._parse_cmdline(question["words"], Parser())
    return {"value": [perform_substitutions(context, word) for word in parsed]}


for line in sys.stdin:
    question = json.loads(line)
    try:
        answer = (load if "file" in question else text if "text" in question else words)(question)
    except Exception as error:  # whatever it is, it is its answer
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
