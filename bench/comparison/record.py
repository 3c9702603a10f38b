"""The measured rows that the documentation stands on: a JSON file of runs, each row in the run that measured it last."""
import json


def load(path):
    """The runs of the file, oldest first; none where it is not there."""
    if not path.exists():
        return []
    return json.loads(path.read_text(encoding="utf-8"))["runs"]


def merged(runs, document):
    """The runs with `document` as the newest: a row that it measured leaves its older run, and so does a run's last row."""
    measured = {row["name"] for row in document["rows"]}
    older = [without(run, measured) for run in runs]
    return [run for run in older if run["rows"]] + [document]


def without(run, names):
    """The run without these rows and what was found about them."""
    kept = {key: [found for found in run[key] if found["row"] not in names]
            for key in ("peer_checks", "federated_accuracies", "federated_speeds")}
    return {**run, **kept, "rows": [row for row in run["rows"] if row["name"] not in names]}


def rows_of(runs, order):
    """Every row with its run's number from 1, in the order of these names."""
    numbered = [(number, row) for number, run in enumerate(runs, 1) for row in run["rows"]]
    places = {name: place for place, name in enumerate(order)}
    return sorted(numbered, key=lambda item: places.get(item[1]["name"], len(places)))


def save(path, document):
    """Adds the run to the file and returns all of its runs."""
    runs = merged(load(path), document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"runs": runs}, indent=1) + "\n", encoding="utf-8")
    return runs
