"""Reads conversations without features: CSV files with an utterance a row, or JSON Lines with a conversation a line.

Whatever is wrong is a Problem that names file, row and column; what had to be guessed is a note. Python's standard
library alone.
"""
import csv
import difflib
import io
import json
import os
import re

SPLITS = ("train", "valid", "test")
# What is read of a row, and the column of MELD's files that has it. The first four must be there.
COLUMNS = {"conversation": "Dialogue_ID", "utterance": "Utterance_ID", "speaker": "Speaker", "text": "Utterance",
           "label": "Emotion", "split": "Split", "sound": "Sound", "video": "Video"}
REQUIRED = ("conversation", "utterance", "speaker", "text")
MOST_PROBLEMS = 20  # that are told at once
FORM = ('{"id": "d1", "split": "train", "utterances": [{"speaker": "Ann", "label": "joy", "text": "At last!", '
        '"sound": "d1_0.wav"}]}')


class Problem(Exception):
    """What is wrong with what the user gave; exit status 2."""


class Problems:
    """Gathers what is wrong, so that all of it is told at once."""

    def __init__(self):
        self.lines, self.more = [], 0

    def add(self, line):
        if len(self.lines) < MOST_PROBLEMS:
            self.lines.append(line)
        else:
            self.more += 1

    def check(self):
        if self.lines:
            raise Problem("\n".join(self.lines + ([f"... and {self.more} more"] if self.more else [])))


def shown(text):
    """Text of a file as messages show it: a terminal must not be written to."""
    text = str(text)
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:60]) \
        + ("..." if len(text) > 60 else "") + '"'


def nearest(name, names):
    found = difflib.get_close_matches(str(name), list(names), 1, 0.6)
    return f"; did you mean {shown(found[0])}?" if found else ""


def read_bytes(path):
    """The bytes of a text file; a Problem where it is something else."""
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            raise Problem(f"{path}: is a folder, a pipe or a device, want a file")
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise Problem(f"{path}: cannot be read: {error.strerror}") from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Problem(f"{path}: is UTF-16; save it as UTF-8")
    if b"\0" in data[:4096]:
        raise Problem(f"{path}: is binary, want a CSV file or JSON Lines"
                      + ("; save the sheet as CSV" if data[:2] == b"PK" else ""))
    if not data.strip():
        raise Problem(f"{path}: is empty")
    return data[3:] if data[:3] == b"\xef\xbb\xbf" else data


class Encoding:
    """Makes UTF-8 of fields that are something else, and remembers where."""

    def __init__(self):
        self.counts, self.first = {}, {}

    def text(self, field, place):
        """`field` has been decoded with surrogateescape. MELD's files have both: bytes of Windows-1252, and such
        bytes that somebody has taken for Latin-1, which makes control characters (U+0092) of punctuation."""
        if any("\udc80" <= c <= "\udcff" for c in field):
            wrong = next(c for c in field if "\udc80" <= c <= "\udcff")
            try:
                repaired = field.encode("utf-8", "surrogateescape").decode("cp1252")
            except UnicodeDecodeError as error:
                raise Problem(f"{place}: byte 0x{error.object[error.start]:02x} is neither UTF-8 nor Windows-1252; "
                              "save the file as UTF-8") from None
            self._note(place, "read as Windows-1252", f"byte 0x{ord(wrong) & 0xff:02x} is not UTF-8")
            return repaired
        controls = [c for c in field if "\x80" <= c <= "\x9f"]
        if not controls:
            return field
        repaired = "".join(self._windows(c) if c in controls else c for c in field)
        if repaired != field:
            self._note(place, "repaired", f"control character U+{ord(controls[0]):04X}, which is "
                       f"{self._windows(controls[0])} in Windows-1252")
        return repaired

    @staticmethod
    def _windows(control):
        try:
            return control.encode("latin-1").decode("cp1252")
        except UnicodeDecodeError:
            return control

    def _note(self, place, what, why):
        self.counts[what] = self.counts.get(what, 0) + 1
        self.first.setdefault(what, f"{place}: {why}")

    def notes(self):
        return [f"{self.first[what]}; the text was {what}" + (f", as in {count - 1} more fields" if count > 1 else "")
                for what, count in self.counts.items()]


def columns_of(header, path, wanted):
    """What is read -> the index of its column. Names are compared without case and blanks around them."""
    names = [name.strip().lower() for name in header]
    columns, missing = {}, []
    for what, default in COLUMNS.items():
        name = wanted.get(what, default)
        count = names.count(name.strip().lower())
        if count > 1:
            raise Problem(f"{path}, line 1: there are {count} columns {name}; rename all but one")
        if count:
            columns[what] = names.index(name.strip().lower())
        elif what in REQUIRED or what in wanted:
            missing.append(f"{name} ({what})")
    if missing:
        raise Problem(f"{path}, line 1: there is no column {', '.join(missing)}; the header has "
                      f"{', '.join(shown(n) for n in header)}. Rename the columns, or say which it is: "
                      f"--column={missing[0].split('(')[1][:-1]}=NAME")
    return columns


def csv_rows(text, path):
    """Yields (line, fields) of every row; the line is that where it begins."""
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise Problem(f"{path}, line {line}: is no row of a CSV file: {error}; is a quote not closed?") from None


class Table:
    """The conversations of one CSV file."""

    def __init__(self, path, split, options, notes, problems):
        self.path, self.split, self.options, self.notes, self.problems = path, split, options, notes, problems
        self.encoding = Encoding()
        self.conversations = {}  # (split, id) -> {utterance id -> utterance}

    def read(self, data):
        rows = csv_rows(data.decode("utf-8", "surrogateescape"), self.path)
        _, header = next(rows)
        columns = columns_of([h.encode("utf-8", "replace").decode() for h in header], self.path, self.options.columns)
        names = {what: header[index].strip() for what, index in columns.items()}
        if "label" not in columns:
            self.notes.append(f"{self.path}: there is no column Emotion: its utterances have no label")
        for line, fields in rows:
            if len(fields) != len(header):
                self.problems.add(f"{self.path}, line {line}: has {len(fields)} fields, want {len(header)} as in the "
                                  "header; is there a separator in a text that is not in quotes?")
                continue
            try:
                self.add(line, {what: fields[index] for what, index in columns.items()}, names)
            except Problem as problem:
                self.problems.add(str(problem))
        self.notes.extend(self.encoding.notes())
        if not self.conversations:
            self.problems.add(f"{self.path}: has a header but no rows, want a row for each utterance")
        return [self.conversation(split, name, utterances)
                for (split, name), utterances in self.conversations.items()]

    def add(self, line, fields, names):
        def place(what):
            return f"{self.path}, line {line}, column {names[what]}"
        row = {what: self.encoding.text(field, place(what)).strip() for what, field in fields.items()}
        for what in ("conversation", "speaker"):
            if not row[what]:
                raise Problem(f"{place(what)}: is empty, want a name")
        if not re.fullmatch(r"[0-9]{1,15}", row["utterance"]):
            raise Problem(f"{place('utterance')}: is {shown(row['utterance'])}, want an integer >= 0: utterances are "
                          "in its order")
        split = self.split
        if row.get("split") is not None:
            if split is not None and row["split"] != split:
                raise Problem(f"{place('split')}: is {shown(row['split'])}, but the file was named as {split}=")
            if row["split"] not in SPLITS:
                raise Problem(f"{place('split')}: is {shown(row['split'])}, want train, valid or test")
            split = row["split"]
        number = int(row["utterance"])
        utterances = self.conversations.setdefault((split, row["conversation"]), {})
        if number in utterances:
            raise Problem(f"{place('utterance')}: utterance {number} of conversation {row['conversation']} is in line "
                          f"{utterances[number]['line']} too; where a file joins several splits, keep them apart")
        utterances[number] = {
            "id": number, "line": line, "place": f"{self.path}, line {line}", "speaker": row["speaker"], "label": row.get("label") or None,
            "text": row["text"], "places": {what: place(what) for what in names},
            **{what: row[what] for what in ("sound", "video") if row.get(what)},
            "fields": {name: row[what] for what, name in names.items()}, "conversation_column": names["conversation"]}

    def conversation(self, split, name, utterances):
        lines = [utterance["line"] for utterance in utterances.values()]
        if list(utterances) != sorted(utterances):
            self.notes.append(f"{self.path}, line {lines[0]}: the rows of conversation {name} are not in the order of "
                              "their Utterance_ID, in which they are taken")
        return {"id": f"{split}_{name}" if split else name, "split": split, "place": f"{self.path}, line {lines[0]}",
                "utterances": [utterances[number] for number in sorted(utterances)]}


def unique_object(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"the key {shown(key)} occurs twice")
    return dict(pairs)


def refuse_constant(name):
    raise ValueError(f"{name} is no number of JSON")


def parse_json(line, place):
    """The object of one line, from bytes or text."""
    try:
        text = line.decode("utf-8") if isinstance(line, bytes) else line
        value = json.loads(text, object_pairs_hook=unique_object, parse_constant=refuse_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"{place}: byte {error.start + 1}, 0x{error.object[error.start]:02x}, is not UTF-8, which JSON "
                      "is; write it with encoding=\"utf-8\"") from None
    except UnicodeEncodeError as error:
        raise Problem(f"{place}: has half a character, \\u{ord(error.object[error.start]):04x}") from None
    except (ValueError, RecursionError) as error:
        raise Problem(f"{place}: is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Problem(f"{place}: is no object, want {FORM}")
    return value


def name_of(value, place):
    """A name is a string or an integer."""
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise Problem(f"{place} is {shown(json.dumps(value))}, want a string that is not empty, or an integer")
    return value


def check_keys(value, known, place):
    for key in value:
        if key not in known:
            raise Problem(f"{place}{key} is no field of this format{nearest(key, known)} (fields: {', '.join(known)})")


def json_utterance(value, place):
    """An utterance of JSON; what is said of it beside its words is passed on."""
    if not isinstance(value, dict):
        raise Problem(f"{place} is no object, want {FORM}")
    check_keys(value, ("id", "speaker", "label", "text", "sound", "video", "metadata"), place + ".")
    if "speaker" not in value:
        raise Problem(f"{place} has no \"speaker\", want a name")
    utterance = {"speaker": name_of(value["speaker"], place + ".speaker"), "label": None, "text": "", "place": place,
                 "places": {what: f"{place}.{what}" for what in ("text", "label", "sound", "video")}, "fields": {}}
    if value.get("label") is not None:
        utterance["label"] = name_of(value["label"], place + ".label")
    for what in ("text", "sound", "video"):
        if value.get(what) is None:
            continue
        if not isinstance(value[what], str):
            raise Problem(f"{place}.{what} is {shown(json.dumps(value[what]))}, want a string")
        if value[what]:
            utterance[what] = name_of(value[what], f"{place}.{what}")
    if "id" in value:
        utterance["id"] = name_of(value["id"], place + ".id")
    if "metadata" in value:
        utterance["metadata"] = value["metadata"]
    return utterance


def json_conversation(value, place):
    check_keys(value, ("id", "split", "position", "utterances", "metadata"), f"{place}: ")
    conversation = {"id": name_of(value.get("id"), f"{place}: id"), "split": None, "place": place}
    if value.get("split") is not None:
        if value["split"] not in SPLITS:
            raise Problem(f"{place}: split is {shown(value['split'])}, want train, valid or test")
        conversation["split"] = value["split"]
    position = value.get("position", 0)
    if isinstance(position, bool) or not isinstance(position, int) or abs(position) >= 2**31:
        raise Problem(f"{place}: position is {shown(json.dumps(position))}, want an integer of 32 bits")
    for key in ("position", "metadata"):
        if key in value:
            conversation[key] = value[key]
    utterances = value.get("utterances")
    if not isinstance(utterances, list) or not utterances:
        raise Problem(f"{place}: utterances is missing or empty, want a list of >= 1")
    conversation["utterances"] = [json_utterance(one, f"{place}: utterances[{i}]") for i, one in enumerate(utterances)]
    ids = [str(one["id"]) for one in conversation["utterances"] if "id" in one]
    for i, one in enumerate(ids):
        if one in ids[:i]:
            raise Problem(f"{place}: two utterances have the id {shown(one)}, want each once")
    return conversation


def read_json_lines(data, path, split, problems):
    conversations = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            conversation = json_conversation(parse_json(line, place), place)
            if split is not None and conversation["split"] not in (None, split):
                raise Problem(f"{place}: split is {conversation['split']}, but the file was named as {split}=")
            conversation["split"] = conversation["split"] or split
            conversations.append(conversation)
        except Problem as problem:
            problems.add(str(problem))
    return conversations


def check_together(conversations, problems):
    """What only all conversations together show."""
    first, splits = {}, {conversation["split"] for conversation in conversations}
    for conversation in conversations:
        name = str(conversation["id"])
        if name in first:
            problems.add(f"{conversation['place']}: the id {shown(name)} is that of {first[name]} too, want each once; "
                         "where every split counts from 0, say which is which: train=FILE valid=FILE test=FILE")
        first.setdefault(name, conversation["place"])
        if None in splits and len(splits) > 1 and conversation["split"] is None:
            problems.add(f"{conversation['place']}: says no split, and others do; want it of all, or of none")


def check_labels(conversations, classes, problems):
    """Counts the labels. With `classes`, others are refused; without, what looks like a slip is."""
    counts, first, in_training = {}, {}, set()
    for conversation in conversations:
        for utterance in conversation["utterances"]:
            label = utterance["label"]
            if label is None:
                continue
            label = utterance["label"] = str(label)
            counts[label] = counts.get(label, 0) + 1
            first.setdefault(label, utterance["places"]["label"])
            if conversation["split"] == "train":
                in_training.add(label)
            if classes and label not in classes:
                problems.add(f"{utterance['places']['label']}: is {shown(label)}, want one of {', '.join(classes)}"
                             f"{nearest(label, classes)}")
    if classes:
        return counts
    has_training = any(conversation["split"] == "train" for conversation in conversations)
    for label, count in counts.items():
        others = [other for other in counts if other != label and (counts[other], other) > (count, label)]
        twins = [other for other in others if other.lower() == label.lower()]
        slips = [other for other in difflib.get_close_matches(label, others, 1, 0.8) if count * 20 < counts[other]]
        if twins or slips:
            problems.add(f"{first[label]}: is {shown(label)} ({count} utterances){nearest(label, twins + slips)} "
                         "(where both are classes, name all of them: --classes=A,B,C)")
        elif has_training and label not in in_training:
            problems.add(f"{first[label]}: is {shown(label)}, which no training utterance has"
                         f"{nearest(label, in_training)} (where it is a class, name all of them: --classes=A,B,C)")
    return counts


def read_inputs(inputs, options):
    """Reads [(split or None, path)]: conversations, the counts of labels, notes. A Problem tells all that is wrong."""
    problems, notes, conversations = Problems(), [], []
    for split, path in inputs:
        data = read_bytes(path)
        if data.lstrip()[:1] == b"[":
            raise Problem(f"{path}: is one JSON list, want a conversation a line: {FORM}")
        if data.lstrip()[:1] == b"{":
            conversations += read_json_lines(data, path, split, problems)
        else:
            conversations += Table(path, split, options, notes, problems).read(data)
    if not problems.lines:
        check_together(conversations, problems)
    counts = check_labels(conversations, options.classes, problems)
    problems.check()
    return conversations, counts, notes
