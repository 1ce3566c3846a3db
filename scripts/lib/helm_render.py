"""Lints a Helm chart and renders it with Helm's own engine, without a helm program.

    helm_render.py CHART [VALUES] >MANIFESTS      VALUES: a file of values, laid over the chart's own

helm-python-sdk (PyPI) brings Helm's Go library along. A finding of the linter ends with 1.
"""

import sys

import helm_python
import yaml

chart_folder = sys.argv[1]
values = {}
if len(sys.argv) > 2:
    with open(sys.argv[2], encoding="utf-8") as file:
        values = yaml.safe_load(file)

report = helm_python.lint(chart_folder, values=values)
# 0 is unknown, 1 information, 2 a warning, 3 an error.
found = [f"{message['path']}: {message['error']}" for message in report["messages"] if message["severity"] > 1]
if found or report["errors"]:
    sys.exit("\n".join(found + report["errors"]))
with helm_python.Chart.load(chart_folder) as chart:
    rendered = chart.render(values, name="chatferry", namespace="chatferry")
for name, text in sorted(rendered.items()):
    if name.endswith((".yaml", ".yml")) and text.strip():
        print(f"---\n# {name}\n{text.strip()}")
