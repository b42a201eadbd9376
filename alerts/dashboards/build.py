"""Writes the dashboards as JSON into the folder that is named: `build.py FOLDER`.

`./inv observe.dashboards` runs it with the Python of tools/dashboards, which has the SDK.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import delivery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from parts import RELEASES

import service


def main(folder: Path) -> None:
    for module in (service, delivery):
        built = module.dashboard().build()
        data = json.loads(JSONEncoder(sort_keys=True).encode(built))
        data["annotations"] = {"list": [RELEASES]}
        text = json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / f"{data['uid']}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
