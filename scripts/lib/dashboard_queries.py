"""Writes the queries of Grafana dashboards as recording rules, so that promtool can say whether they are PromQL.

    dashboard_queries.py DASHBOARD... >RULES

Grafana's variables are put in as Grafana would. That each metric exists is said elsewhere
(tests/tidy/observability.rs).
"""

import json
import sys

VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$job": ".+", "$instance": ".+"}

rules = []
for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        dashboard = json.load(file)
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    queries += [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    for query in queries:
        for variable, value in VARIABLES.items():
            query = query.replace(variable, value)
        if "$" in query:
            sys.exit(f"{name}: a variable that this does not know: {query}")
        # A name each: promtool warns of two alike.
        rules.append({"record": f"dashboard:query:{len(rules)}", "expr": query})
if not rules:
    sys.exit("no query in any dashboard")
# JSON is YAML.
json.dump({"groups": [{"name": "dashboards", "rules": rules}]}, sys.stdout, indent=1)
