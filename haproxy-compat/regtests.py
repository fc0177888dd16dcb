#!/usr/bin/env python3
"""Holds a result of the regression tests of HAProxy against the last score that was committed.

usage: regtests.py RESULT.json [--update]

RESULT.json is what the scorer wrote (`--json`). Prints passed and all tests of every directory, and what changed since
regtests-score.json, which lies beside this file. Ends with 1 when a test that passed does not pass any more. With
--update the score is written anew, for a commit that changes it.
"""
import json
import os
import sys

SCORE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "regtests-score.json")


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def by_directory(result):
    """The scorer's list of tests as {directory: {total, passed: [file, ...]}}."""
    directories = {}
    for test in result["tests"]:
        directory, name = os.path.split(test["test"].removeprefix("reg-tests/"))
        entry = directories.setdefault(directory, {"total": 0, "passed": []})
        entry["total"] += 1
        if test["status"] == "pass":
            entry["passed"].append(name)
    for entry in directories.values():
        entry["passed"].sort()
    return dict(sorted(directories.items()))


def tests_of(directories):
    return {f"{d}/{name}" for d, entry in directories.items() for name in entry["passed"]}


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    result, last = read(arguments[0]), read(SCORE)
    now = by_directory(result)
    for directory, entry in now.items():
        print(f"{directory:24} {len(entry['passed']):4} / {entry['total']}")
    passed, before = tests_of(now), tests_of(last["directories"])
    total = sum(entry["total"] for entry in now.values())
    print(f"{'all':24} {len(passed):4} / {total}; last score {len(before)}")
    for name in sorted(passed - before):
        print(f"new: {name}")
    lost = sorted(before - passed)
    for name in lost:
        print(f"LOST: {name}")
    if "--update" in sys.argv:
        outcomes = {}
        for test in result["tests"]:
            if test["status"] != "pass":
                outcomes[test["status"]] = outcomes.get(test["status"], 0) + 1
        score = {
            "reference": last["reference"],
            "passed": len(passed),
            "total": total,
            "not_passed": outcomes,
            "directories": now,
        }
        with open(SCORE, "w", encoding="utf-8") as file:
            json.dump(score, file, indent=1)
            file.write("\n")
        return 0
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
