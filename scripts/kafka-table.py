#!/usr/bin/env python3
"""kafka-table.py: writes crates/protocol/src/kafka/table.rs, what the messages of Kafka look like.

The message definitions stand in the jar of Kafka's clients (common/message/*.json, Apache-2.0). Two
versions are read: the newest, and the last one that spoke what Kafka 4 dropped. The names of error
codes are asked of the jar's own enumeration. Needs Maven and a JDK, and a registry to fetch from.
"""
import json
import re
import subprocess
import tempfile
import zipfile
from pathlib import Path

NEWEST, OLDEST = "4.4.0", "3.9.2"
# What the enumeration of error codes needs to be asked.
LOGGING = "1.7.36"
TABLE = Path(__file__).parent.parent / "crates/protocol/src/kafka/table.rs"
WIDTH = 100
FOREVER = 127

SIZES = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
         "float64": 8, "uuid": 16}

ERRORS = """
public class Errors { public static void main(String[] no) {
    for (var error : org.apache.kafka.common.protocol.Errors.values())
        System.out.println(error.code() + " " + error.name());
} }
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        jars = {version: fetch("org.apache.kafka", "kafka-clients", version, folder)
                for version in (NEWEST, OLDEST)}
        errors = error_names([jars[NEWEST], fetch("org.slf4j", "slf4j-api", LOGGING, folder)], folder)
        newest, oldest = (messages(jars[version]) for version in (NEWEST, OLDEST))
    rows = []
    for key in sorted(newest.keys() | oldest.keys()):
        first = None
        if key in newest:
            rows.append(api(key, newest[key]))
            first = rows[-1]["first"]
        if key in oldest and (first is None or versions(oldest[key][0]["validVersions"])[0] < first):
            rows.append(api(key, oldest[key], None if first is None else first - 1))
    rows.sort(key=lambda row: (row["key"], row["first"]))
    TABLE.write_text(render(rows, errors))


def fetch(group, name, version, folder):
    subprocess.run(["mvn", "-B", "-q", "dependency:copy", f"-Dartifact={group}:{name}:{version}",
                    f"-DoutputDirectory={folder}"], check=True, stdout=subprocess.DEVNULL)
    return Path(folder) / f"{name}-{version}.jar"


def error_names(jars, folder):
    source = Path(folder) / "Errors.java"
    source.write_text(ERRORS)
    printed = subprocess.run(["java", "-cp", ":".join(map(str, jars)), source], check=True,
                             stdout=subprocess.PIPE, text=True)
    pairs = [line.split() for line in printed.stdout.splitlines() if re.match(r"-?\d+ [A-Z_]+$", line)]
    return sorted((int(code), name) for code, name in pairs)


def messages(jar):
    """Requests and responses of all APIs that are still spoken, by key."""
    found = {}
    with zipfile.ZipFile(jar) as archive:
        for name in archive.namelist():
            if re.match(r"common/message/.*\.json$", name):
                message = json.loads(re.sub(r"//.*", "", archive.read(name).decode()))
                if message["type"] in ("request", "response") and message["validVersions"] != "none":
                    found.setdefault(message["apiKey"], [None, None])[message["type"] == "response"] = message
    return found


def versions(text):
    """`3`, `3-7`, `3+` or `none`, as first and last."""
    if text == "none":
        return FOREVER, FOREVER
    if text.endswith("+"):
        return int(text[:-1]), FOREVER
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def api(key, pair, last=None):
    request, response = pair
    first, newest = versions(request["validVersions"])
    last = newest if last is None else last
    return {
        "key": key, "name": request["name"].removesuffix("Request"), "first": first, "last": last,
        "flexible": versions(request["flexibleVersions"])[0],
        "request": Message(request, first, last).fields, "response": Message(response, first, last).fields,
    }


class Message:
    """The fields of a message in the order of the wire: (kind, meaning, first, last)."""

    def __init__(self, message, first, last):
        self.structs = {struct["name"]: struct for struct in message.get("commonStructs", [])}
        self.type, self.name, self.range = message["type"], message["name"], (first, last)
        self.fields = self.lay_out(message["fields"], "")

    def lay_out(self, fields, within):
        out = []
        for field in fields:
            # Tagged fields have lengths of their own and are not needed.
            first, last = versions(field["versions"])
            if "tag" in field or first > self.range[1] or last < self.range[0]:
                continue
            last = FOREVER if last >= self.range[1] else last
            first = 0 if first <= self.range[0] else first
            entry = self.entry(field, first, last, within)
            if out and self.is_plain(out[-1]) and self.is_plain(entry[0]) and out[-1][2:] == entry[0][2:]:
                size = out[-1][0][1] + entry[0][0][1]
                out[-1] = (("Fixed", size), "Nothing", first, last)
            else:
                out.extend(entry)
        return out

    @staticmethod
    def is_plain(entry):
        return entry[0][0] == "Fixed" and entry[1] == "Nothing"

    def entry(self, field, first, last, within):
        kind, name = field["type"], field["name"]
        base = kind.removeprefix("[]")
        meaning = self.meaning(field, base, within)
        inner = []
        if base in SIZES:
            own = [(("Fixed", SIZES[base]), meaning, 0, FOREVER)]
        elif base == "string":
            own = [(("Text",), meaning, 0, FOREVER)]
        elif base in ("bytes", "records"):
            own = [(("Bytes",), "Records" if base == "records" and name == "Records" else "Nothing", 0, FOREVER)]
        else:
            parts = field.get("fields") or self.structs[base]["fields"]
            inner = self.lay_out(parts, within + name)
            own = None
        if kind.startswith("[]"):
            # Elements of a simple type have no tagged fields of their own.
            return [(("List", 1) if own else ("Array", len(inner)), "Nothing", first, last), *(own or inner)]
        if own:
            return [(own[0][0], own[0][1], first, last)]
        group = "Optional" if "nullableVersions" in field else "Group"
        return [((group, len(inner)), "Nothing", first, last), *inner]

    def meaning(self, field, base, within):
        name, is_request = field["name"], self.type == "request"
        # Where to go on, not what is asked for.
        if within.endswith("Cursor"):
            return "Nothing"
        is_topic = field.get("entityType") == "topicName" or name in ("Topic", "TopicName")
        if base == "string" and (is_topic or name == "Name" and self.has_id(within)):
            return "Forgotten" if within.startswith("Forgotten") else "Topic"
        if base == "uuid" and name == "TopicId":
            return "Forgotten" if within.startswith("Forgotten") else "TopicId"
        if base == "string" and is_request:
            if name in ("GroupId", "GroupIds", "GroupsNames") or name == "Groups":
                return "ConsumerGroup"
            if self.name == "FindCoordinatorRequest":
                return "CoordinatorKey"
        if self.name == "FindCoordinatorRequest" and name == "KeyType":
            return "CoordinatorType"
        if base == "int16" and not is_request and name in ("ErrorCode", "PartitionErrorCode", "AcknowledgeErrorCode"):
            return "Error"
        if is_request and base == "int32" and not within.startswith("Forgotten"):
            if re.fullmatch(r"Partitions?|Partition(Index|Indexes|Id)", name) or (name, within) == ("Index", "TopicDataPartitionData"):
                return "Partition"
            if self.name in ("FetchRequest", "ShareFetchRequest"):
                return {"MaxWaitMs": "WaitMs", "MinBytes": "MinBytes"}.get(name, self.session(name))
        if self.name == "FetchResponse" and name == "SessionId":
            return "Session"
        if self.name == "ProduceRequest" and name == "Acks":
            return "Acks"
        return "Nothing"

    def session(self, name):
        if self.name != "FetchRequest":
            return "Nothing"
        return {"SessionId": "Session", "SessionEpoch": "SessionEpoch"}.get(name, "Nothing")

    def has_id(self, within):
        """Names beside ids are those of topics in what tells of topics."""
        return within == "Topics" and self.name.startswith(("Metadata", "CreateTopics", "DescribeTopicPartitions"))


def render(rows, errors):
    out = [
        "//! What the messages of Kafka look like, by API and version.",
        "//!",
        "//! Made by scripts/kafka-table.py from the message definitions (common/message) in the jars of",
        f"//! kafka-clients {NEWEST} and, for versions that Kafka 4 dropped, {OLDEST}. Not to be edited.",
        "",
        "use super::schema::{Api, Kind::*, Meaning::*, any, any_in, said, said_in};",
        "",
        "/// By key, then by version.",
        f"pub(super) static APIS: [Api; {len(rows)}] = [",
    ]
    for row in rows:
        out.append(
            f"    Api {{ key: {row['key']}, name: \"{row['name']}\", first: {row['first']}, last: {row['last']}, "
            f"flexible: {row['flexible']},")
        out.extend(wrap("request", row["request"]))
        out.extend(wrap("response", row["response"]))
        out.append("    },")
    out += ["];", "", "/// Names of error codes, by code.",
            f"pub(super) static ERRORS: [(i16, &str); {len(errors)}] = ["]
    out += [f"    ({code}, \"{name}\")," for code, name in errors]
    return "\n".join([*out, "];", ""])


def wrap(name, fields):
    if not fields:
        return [f"        {name}: &[],"]
    lines, line = [f"        {name}: &["], "           "
    for kind, meaning, first, last in fields:
        number = f"({kind[1]})" if len(kind) > 1 else ""
        verb, arguments = "any", [f"{kind[0]}{number}"]
        if meaning != "Nothing":
            verb, arguments = "said", [*arguments, meaning]
        if (first, last) != (0, FOREVER):
            verb, arguments = f"{verb}_in", [*arguments, f"{first}..={last}"]
        word = f" {verb}({', '.join(arguments)}),"
        if len(line) + len(word) > WIDTH:
            lines.append(line)
            line = "           "
        line += word
    return [*lines, line, "        ],"]


main()
