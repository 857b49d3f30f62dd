"""Counts the test cases of a `bazel test` from its build events and XML logs, and shows what failed.

Usage: count_test_cases.py EVENTS STATUS < LABELS
EVENTS: what --build_event_json_file wrote. STATUS: exit status of `bazel test`. LABELS: the test
targets that should have run, one per line. A target counts its GoogleTest cases, one of another
kind counts as one case, and one that failed in no case of its own (did not build, crashed, timed
out, left no log) as one failure. Ends with the line "N passed, N failed, N skipped"; the exit
status is 0 when nothing failed.
"""
import collections
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ElementTree

MAX_LINES = 25  # of one failure's message


def indented(text):
    lines = text.strip().splitlines()
    if len(lines) > MAX_LINES:
        lines = lines[:MAX_LINES] + ["(%d more lines)" % (len(lines) - MAX_LINES)]
    return "".join("    %s\n" % line for line in lines)


def read_events(path):
    """label -> [(status, {log name: path})], one per run or shard; labels that were skipped."""
    results, skipped = collections.defaultdict(list), set()
    for line in open(path, encoding="utf-8"):
        event = json.loads(line)
        if "testResult" in event:
            result = event["testResult"]
            logs = {output["name"]: urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
                    for output in result.get("testActionOutput", [])}
            results[event["id"]["testResult"]["label"]].append((result.get("status"), logs))
        elif event.get("aborted", {}).get("reason") == "SKIPPED":
            skipped.add(event["id"].get("targetCompleted", {}).get("label"))
    return results, skipped


def read_cases(path):
    """[(name, "passed" | "failed" | "skipped", message)] of one XML log."""
    cases = []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = ".".join(filter(None, [case.get("classname"), case.get("name")]))
        failures, skips = case.findall("failure"), case.findall("skipped")
        if failures:
            cases.append((name, "failed", "\n".join(failure.text or "" for failure in failures)))
        elif case.findall("error"):
            # Bazel wrote this log, since the program wrote none; the target's status tells all.
            continue
        elif skips or case.get("status") == "notrun":
            # GoogleTest's first line is where the test was skipped.
            lines = (skips[0].get("message") or "").split("\n", 1) if skips else ["disabled"]
            cases.append((name, "skipped", " ".join(lines[-1].split())))
        else:
            cases.append((name, "passed", ""))
    return cases


def log_tail(logs):
    try:
        with open(logs["test.log"], encoding="utf-8", errors="replace") as log:
            # Bazel's own first lines end with a line of dashes.
            text = log.read().split("-" * 77 + "\n", 1)[-1]
            return "\n".join(text.splitlines()[-MAX_LINES:])
    except (KeyError, OSError):
        return "no log"


def main():
    events, bazel_status = sys.argv[1], int(sys.argv[2])
    results, skipped_targets = read_events(events)
    counts = collections.Counter()
    labels = sorted(set(sys.stdin.read().split()) | set(results))
    for label in labels:
        if label in skipped_targets:
            counts["skipped"] += 1
            print("skipped %s: not for this platform" % label)
            continue
        if label not in results:
            counts["failed"] += 1
            print("FAILED %s: was not built or not run, see above" % label)
            continue
        for status, logs in results[label]:
            try:
                cases = read_cases(logs["test.xml"])
            except (KeyError, OSError, ElementTree.ParseError) as error:
                cases = []
                if status == "PASSED":
                    status = "PASSED WITHOUT AN XML LOG (%r)" % error
            for name, outcome, message in cases:
                counts[outcome] += 1
                if outcome == "failed":
                    print("FAILED %s %s\n%s" % (label, name, indented(message)), end="")
                elif outcome == "skipped":
                    print("skipped %s %s: %s" % (label, name, message))
            if status != "PASSED" and not any(outcome == "failed" for _, outcome, _ in cases):
                counts["failed"] += 1
                print("FAILED %s: %s\n%s" % (label, status, indented(log_tail(logs))), end="")
    if bazel_status != 0 and counts["failed"] == 0:
        counts["failed"] += 1
        print("FAILED: the build ended with exit status %d, see above" % bazel_status)
    elif not labels:
        counts["failed"] += 1
        print("FAILED: there are no tests")
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" %
          {key: counts[key] for key in ("passed", "failed", "skipped")})
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
