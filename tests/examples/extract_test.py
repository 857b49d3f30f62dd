"""Tests examples/raw/extract.py with encoders that need no package: what it reads, refuses, writes and goes on with."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from xml.sax.saxutils import escape, quoteattr

sys.dont_write_bytecode = True
SCRIPT = os.path.abspath("examples/raw/extract.py")
HEADER = "Utterance,Speaker,Emotion,Dialogue_ID,Utterance_ID\n"
ENCODERS = '''
import os, time

class Words:
    name = "words 1.0"
    def encode(self, texts):
        while any("wait" in text for text in texts) and not os.path.exists("go"):
            open("waits", "w").close()
            time.sleep(0.02)
        return [[len(text), text.count(" "), 1 / 3] for text in texts]

class Size:
    name = "size 2"
    def encode(self, paths):
        self.problems = ["is broken" for path in paths if os.path.getsize(path) == 3]
        return [None if os.path.getsize(path) == 3 else [os.path.getsize(path)] for path in paths]

class Other(Words):
    name = "words 2.0"

class Infinite(Words):
    def encode(self, texts):
        return [[1e39] for text in texts]

class Wide(Words):
    def encode(self, texts):
        return [[0.5] * len(text) for text in texts]

class Failing(Words):
    def encode(self, texts):
        raise KeyError("weights")

class Nameless:
    def encode(self, texts):
        return []
'''


class ExtractTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        self.write("own.py", ENCODERS)

    def write(self, name, contents):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(contents if isinstance(contents, bytes) else contents.encode())

    def read(self, name):
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def lines(self, name="out.jsonl"):
        return [json.loads(line) for line in self.read(name).splitlines()]

    def run_it(self, *args, text="own:Words", given=b""):
        words = [sys.executable, SCRIPT, *args] + ([f"--text={text}"] if text else [])
        return subprocess.run(words, cwd=self.folder, input=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              check=False)

    def good(self, *args, **more):
        done = self.run_it(*args, "--output=out.jsonl", **more)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stderr.decode()

    def bad(self, *args, wants=(), **more):
        """It is refused, with all of `wants` in its message, and nothing is written."""
        before = sorted(os.listdir(self.folder))
        done = self.run_it(*args, "--output=out.jsonl", **more)
        said = done.stderr.decode()
        self.assertEqual(done.returncode, 2, said)
        for want in wants:
            self.assertIn(want, said)
        self.assertNotIn("Traceback", said)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def bad_rows(self, rows, *wants, args=()):
        self.write("bad.csv", rows if isinstance(rows, bytes) else HEADER + rows)
        self.bad("bad.csv", *args, wants=wants)

    def test_the_columns_of_meld_and_the_order_of_ids(self):
        self.write("a.csv", 'Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n'
                   '1,"Well, ""no""",Ann,anger,negative,7,1\n2,At last!,Bob,joy,positive,7,0\n3,Hm,Ann,,neutral,8,0\n')
        self.write("b.csv", HEADER.replace(",", ";") + "So;Cy;joy;7;0\n")
        said = self.good("train=a.csv", "test=b.csv")
        self.assertIn("a.csv, line 2: the rows of conversation 7 are not in the order of their Utterance_ID", said)
        first, second, third = self.lines()
        self.assertEqual(first["id"], "train_7")
        self.assertEqual(first["split"], "train")
        self.assertEqual(first["extractors"], {"text": "words 1.0"})
        self.assertEqual(first["utterances"], [
            {"speaker": "Bob", "label": "joy", "text": "At last!", "features": {"text": [8, 1, 0.333333333]}},
            {"speaker": "Ann", "label": "anger", "text": 'Well, "no"', "features": {"text": [10, 1, 0.333333333]}}])
        self.assertNotIn("label", second["utterances"][0])
        self.assertEqual((third["id"], third["split"]), ("test_7", "test"))

    def test_new_conversations_keep_their_ids(self):
        self.write("new.csv", "Utterance,Speaker,Dialogue_ID,Utterance_ID\nHello,Ann,x y,4\n")
        self.assertIn("there is no column Emotion", self.good("new.csv"))
        self.assertEqual(self.lines(), [{"id": "x y", "extractors": {"text": "words 1.0"}, "utterances": [
            {"id": 4, "speaker": "Ann", "text": "Hello", "features": {"text": [5, 0, 0.333333333]}}]}])

    def test_other_names_of_columns_and_a_column_of_splits(self):
        self.write("a.csv", "words,who,d,n,split\nHi you,Ann,1,0,train\nHo,Bob,1,0,valid\n")
        self.good("a.csv", "--column=text=words", "--column=speaker=who", "--column=conversation=D", "--column=utterance=n")
        self.assertEqual([(c["id"], c["split"]) for c in self.lines()], [("train_1", "train"), ("valid_1", "valid")])

    def test_characters_of_windows(self):
        self.write("a.csv", HEADER.encode() + b"He\x92s here,Ann,joy,0,0\nIt\xc2\x92s me,Bob,joy,0,1\n\xc3\xa9,Bob,joy,0,2\n")
        said = self.good("a.csv")
        self.assertEqual([u["text"] for u in self.lines()[0]["utterances"]], ["He\u2019s here", "It\u2019s me", "\u00e9"])
        self.assertIn("a.csv, line 2, column Utterance: byte 0x92 is not UTF-8; the text was read as Windows-1252", said)
        self.assertIn("a.csv, line 3, column Utterance: control character U+0092", said)
        self.bad_rows(HEADER.encode() + b"a\x81b,Ann,joy,0,0\n",
                      "bad.csv, line 2, column Utterance: byte 0x81 is neither UTF-8 nor Windows-1252")

    def test_bad_rows_are_told_with_line_and_column(self):
        self.bad_rows("Hi,,joy,0,0\nHi,Ann,joy,0,1\n\"Hi\n there\",Ann,joy,0,1\nHi,Ann,joy,0,x\nHi,Ann,joy,,3\nHi,Ann,0,4\n",
                      "bad.csv, line 2, column Speaker: is empty", "bad.csv, line 4, column Utterance_ID: utterance 1 of "
                      "conversation 0 is in line 3 too", 'line 6, column Utterance_ID: is "x", want an integer',
                      "line 7, column Dialogue_ID: is empty", "bad.csv, line 8: has 4 fields, want 5")
        self.bad_rows("Hi,Ann,joy,0,0\n ,Ann,joy,0,1\n", "bad.csv, line 3, column Utterance: is empty, want words",
                      "--missing=LEAVE_OUT")
        self.bad_rows('"Hi,Ann,joy,0,0\n', "bad.csv, line 2: is no row of a CSV file", "is a quote not closed?")
        self.bad_rows(b"Utterance,Speaker,Dialog\nHi,Ann,0\n", "bad.csv, line 1: there is no column Dialogue_ID",
                      "Utterance_ID (utterance)", "--column=conversation=NAME")
        self.bad_rows(b"Utterance,Speaker,Speaker,Dialogue_ID,Utterance_ID\n", "there are 2 columns Speaker")
        self.bad_rows("", "bad.csv: has a header but no rows")
        for contents, want in ((b"", "is empty"), (b"\xff\xfeU\0", "is UTF-16; save it as UTF-8"),
                               (b"PK\3\4\0\0", "is binary, want a CSV file or JSON Lines; save the sheet as CSV"),
                               (b"[{}]", "is one JSON list, want a conversation a line")):
            self.bad_rows(contents, "bad.csv: " + want)

    def test_emotions(self):
        self.write("a.csv", HEADER + "".join(f"x,A,{'joy' if i % 2 else 'anger'},{i},0\n" for i in range(60)))
        self.bad_rows("x,A,joi,0,0\n", 'bad.csv, line 2, column Emotion: is "joi", want one of joy, anger; did you mean "joy"?',
                      args=("--classes=joy,anger",))
        for label, want in (("Joy", '"Joy" (1 utterances); did you mean "joy"?'), ("angre", 'did you mean "anger"?'),
                            ("fear", '"fear", which no training utterance has')):
            self.write("bad.csv", HEADER + f"x,A,{label},0,0\n")
            self.bad("train=a.csv", "valid=bad.csv", wants=(f'bad.csv, line 2, column Emotion: is "{label}"', want))
        self.good("train=a.csv", "valid=bad.csv", "--classes=joy,anger,fear")

    def test_json_lines(self):
        self.write("a.jsonl", '{"id": 3, "metadata": {"k": 1}, "utterances": [{"id": "u", "speaker": "Ann", "text": "Hi", '
                   '"metadata": 2.50}, {"speaker": 5, "label": 1, "text": "Oh dear", "sound": "s.wav"}]}\n')
        self.assertIn("the input names files of sound, which are not looked at", self.good("a.jsonl"))
        self.assertEqual(self.lines(), [{"id": 3, "extractors": {"text": "words 1.0"}, "utterances": [
            {"id": "u", "speaker": "Ann", "text": "Hi", "features": {"text": [2, 0, 0.333333333]}, "metadata": 2.5},
            {"speaker": 5, "label": "1", "text": "Oh dear", "features": {"text": [7, 1, 0.333333333]}}],
            "metadata": {"k": 1}}])
        os.unlink(os.path.join(self.folder, "out.jsonl"))
        utterances = '"utterances": [{"speaker": "A", "text": "x"}]'
        for line, want in (
                ('{"id": 1, "utterances": [{"speaker": "A", "txt": "x"}]}',
                 'utterances[0].txt is no field of this format; did you mean "text"?'),
                ('{"id": 1, "utterances": [{"text": "x"}]}', 'utterances[0] has no "speaker"'),
                ('{"id": 1, "utterances": [{"speaker": "A", "text": ["x"]}]}', "utterances[0].text is"),
                ('{"id": 1, "utterances": []}', "utterances is missing or empty"),
                ('{"id": true, ' + utterances + "}", 'id is "true", want a string'),
                ('{"id": 1, "id": 2, ' + utterances + "}", 'the key "id" occurs twice'),
                ('{"id": 1, "split": "dev", ' + utterances + "}", 'split is "dev", want train, valid or test'),
                ('{"id": 1, "position": 1.5, ' + utterances + "}", 'position is "1.5", want an integer of 32 bits'),
                ('{"id": 1, "metadata": "\\ud800", ' + utterances + "}", "has half a character, \\ud800"),
                ('{"id": 1, "metadata": NaN, ' + utterances + "}", "NaN is no number of JSON"),
                ('{"id": 3, ' + utterances + "}", 'the id "3" is that of'), ("{" * 100000, "is no JSON")):
            self.write("bad.jsonl", self.read("a.jsonl") + line + "\n")
            self.bad("bad.jsonl", wants=("bad.jsonl, line 2", want))
        self.write("bad.jsonl", b'{"id": "\xff"}\n')
        self.bad("bad.jsonl", wants=("bad.jsonl, line 1: byte 9, 0xff, is not UTF-8",))

    def test_sound_by_pattern_by_column_and_missing(self):
        self.write("a.csv", HEADER + "Hi,Ann,joy,0,0\nHo,Bob,joy,0,1\n")
        self.write("sound/train/dia0_utt0.wav", "12345")
        args = ("train=a.csv", "--sound=sound/{split}", "--sound_set=own:Size")
        self.bad(*args, wants=("a.csv, line 3", "sound/train/dia0_utt1.wav does not exist; --missing=LEAVE_OUT",))
        self.assertIn("1 features were left out", self.good(*args, "--missing=LEAVE_OUT"))
        features = [u["features"] for u in self.lines()[0]["utterances"]]
        self.assertEqual(features, [{"text": [2, 0, 0.333333333], "audio": [5]}, {"text": [2, 0, 0.333333333]}])
        self.assertEqual(self.lines()[0]["extractors"], {"text": "words 1.0", "audio": "size 2"})
        self.write("b.csv", HEADER.replace("\n", ",sound\n") + "Hi,Ann,joy,0,0,x.wav\nHo,Bob,joy,0,1,\n")
        os.unlink(os.path.join(self.folder, "out.jsonl"))
        self.bad("b.csv", "--sound=sound/train", "--sound_set=own:Size", text=None,
                 wants=("b.csv, line 2, column sound: sound/train/x.wav does not exist",))
        self.write("sound/train/x.wav", "1234567")
        self.good("b.csv", "--sound=sound/train", "--sound_set=own:Size", text=None)
        self.assertEqual([u["features"] for u in self.lines()[0]["utterances"]], [{"audio": [7]}, {}])

    def test_a_broken_file_stops_and_once_it_is_mended_the_rest_goes_on(self):
        self.write("a.csv", HEADER + "Hi,Ann,joy,0,0\nHo,Bob,joy,1,0\n")
        self.write("sound/dia0_utt0.wav", "12345")
        self.write("sound/dia1_utt0.wav", "bad")
        args = ("a.csv", "--sound=sound", "--sound_set=own:Size", "--output=out.jsonl")
        done = self.run_it(*args)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"a.csv, line 3: sound/dia1_utt0.wav: size 2: is broken; --missing=LEAVE_OUT", done.stderr)
        self.write("sound/dia1_utt0.wav", "mended")
        done = self.run_it(*args)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"goes on: 1 of 2 conversations are in out.jsonl.part", done.stderr)
        self.assertEqual([c["utterances"][0]["features"]["audio"] for c in self.lines()], [[5], [6]])

    def test_stopped_anywhere_it_goes_on_to_the_same_bytes(self):
        self.write("a.csv", HEADER + "".join(f"line {i},Ann,joy,{i},0\n" for i in range(6)))
        self.good("a.csv")
        whole = self.read("out.jsonl")
        self.write("b.csv", self.read("a.csv").replace("line 3", "wait 3"))
        command = [sys.executable, SCRIPT, "b.csv", "--text=own:Words", "--output=b.jsonl"]
        for how in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            for name in ("waits", "go", "b.jsonl", "b.jsonl.part"):
                if os.path.exists(os.path.join(self.folder, name)):
                    os.unlink(os.path.join(self.folder, name))
            with subprocess.Popen(command, cwd=self.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
                while not os.path.exists(os.path.join(self.folder, "waits")):
                    self.assertIsNone(process.poll())
                    time.sleep(0.02)
                other = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
                self.assertIn(b"another extract.py is at work on it", other.stderr)
                process.send_signal(how)
                said = process.communicate()[1].decode()
            self.assertEqual(process.returncode, 1 if how != signal.SIGKILL else -9, said)
            if how != signal.SIGKILL:
                self.assertIn("stopped: 3 of 6 conversations are in b.jsonl.part; the same command goes on", said)
            self.assertFalse(os.path.exists(os.path.join(self.folder, "b.jsonl")))
            with open(os.path.join(self.folder, "b.jsonl.part"), "ab") as part:
                part.write(b'0123456789abcdef {"id": "3", "utter')  # as a kill in the middle of writing leaves it
            self.write("go", "")
            done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b"goes on: 3 of 6", done.stderr)
            self.assertEqual(self.read("b.jsonl"), whole.replace("line 3", "wait 3"))
            self.assertFalse(os.path.exists(os.path.join(self.folder, "b.jsonl.part")))

    def test_what_was_begun_with_something_else_is_not_gone_on_with(self):
        self.write("a.csv", HEADER + "Hi,Ann,joy,0,0\nHo,Bob,joy,1,0\n")
        self.write("sound/dia0_utt0.wav", "12345")
        self.write("sound/dia1_utt0.wav", "bad")
        args = ("a.csv", "--sound=sound", "--sound_set=own:Size")
        self.run_it(*args, "--output=out.jsonl")
        part = self.read("out.jsonl.part")
        self.bad(*args, text="own:Other", wants=("out.jsonl.part: was begun with", "words 1.0", "--restart begins again"))
        self.write("sound/dia0_utt0.wav", "1234567")
        self.bad(*args, wants=("was begun with another conversation 0, or with other files of it",))
        self.assertEqual(self.read("out.jsonl.part"), part)
        self.write("sound/dia1_utt0.wav", "mended")
        self.good(*args, "--restart")
        self.assertEqual([c["utterances"][0]["features"]["audio"] for c in self.lines()], [[7], [6]])
        self.bad(*args, wants=("--output=out.jsonl is there already", "--overwrite"))

    def test_encoders_that_are_none(self):
        self.write("a.csv", HEADER + "Hi you,Ann,joy,0,0\nHi,Ann,joy,0,1\n")
        for text, want in (("own:Nothing", "has no attribute 'Nothing'; want MODULE:NAME"), ("nowhere:X", "No module named"),
                           ("own:Nameless", "has no name (a text)"), ("no-such-package", "no package of that name"),
                           (".", "has no config.json")):
            self.bad("a.csv", text=text, wants=(want,))
        for text, want in (("own:Failing", "words 1.0 failed: KeyError: 'weights'"), ("own:Infinite", "feature 0 is 1e+39, want a finite number"),
                           ("own:Wide", "gives 2 features, want 6 as before")):
            done = self.run_it("a.csv", "--output=out.jsonl", "--restart", text=text)
            self.assertEqual(done.returncode, 2)
            self.assertIn(want, done.stderr.decode())
            self.assertIn("a.csv, line ", done.stderr.decode())

    def test_usage(self):
        self.write("a.csv", HEADER + "Hi,Ann,joy,0,0\n")
        self.bad("trian=a.csv", wants=('trian is no split', 'did you mean "train"?'))
        self.bad("a.csv", text=None, wants=("there is nothing to make features with",))
        self.bad("a.csv", "--column=speeker=x", wants=('did you mean "speaker"?',))
        self.bad("a.csv", "--classes=joy", wants=("--classes must be two names or more",))
        self.bad("a.csv", "--sound=nowhere", wants=("--sound=nowhere: is no folder",))
        self.bad("nowhere.csv", wants=("nowhere.csv: cannot be read: No such file",))
        self.bad("a.csv", "--stream", wants=("leave FILE and --output out",))
        self.bad("a.csv", "--sound=.", "--sound_set=GeMAPS", wants=("--sound_set=GeMAPS, must be one of eGeMAPSv02",))

    def test_a_stream_is_answered_line_by_line(self):
        self.write("sound/a.wav", "12345")
        lines = (b'{"conversation": "d1", "speaker": "Ann", "text": "Hi there", "id": 5, "sound": "a.wav", "metadata": [1]}',
                 b"", b"nonsense", b'{"conversation": "d1", "speaker": "Ann"}', b'{"conversation": "d1", "end": true}',
                 b'{"id": "w", "utterances": [{"speaker": "Ann", "text": "\xc3\xa9"}]}', b'{"conversation": "d2", "id": 6, '
                 b'"speaker": "Bob", "text": "x", "sound": "../own.py"}', b'{"conversation": 9, "speaker": "Bob", '
                 b'"text": "last", "end": true}', b"[1]", b'{"speaker": "Bob"}')
        words = [sys.executable, SCRIPT, "--stream", "--text=own:Words", "--sound=sound", "--sound_set=own:Size"]
        with subprocess.Popen(words, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            answers = []
            for line in lines:
                process.stdin.write(line + b"\n")
                process.stdin.flush()
                if line:  # It is answered before the next one is there.
                    answers.append(json.loads(process.stdout.readline()))
            self.assertEqual(process.communicate()[0], b"")
        self.assertEqual(process.returncode, 0)
        made = {"text": [8, 1, 0.333333333], "audio": [5]}
        self.assertEqual(answers[0], {"conversation": "d1", "id": 5, "speaker": "Ann", "text": "Hi there", "features": made,
                                      "metadata": [1], "extractors": {"text": "words 1.0", "audio": "size 2"}})
        self.assertEqual(answers[1]["line"], 3)
        self.assertIn("is no JSON", answers[1]["error"])
        self.assertEqual((answers[2]["line"], answers[2]["conversation"]), (4, "d1"))
        self.assertIn("utterance.text: is empty, want words", answers[2]["error"])
        self.assertEqual(answers[3], {"conversation": "d1", "end": True})
        self.assertEqual(answers[4]["utterances"][0]["text"], "\u00e9")
        self.assertIn('"../own.py" is not inside sound', answers[5]["error"])
        self.assertEqual((answers[5]["conversation"], answers[5]["id"]), ("d2", 6))
        self.assertEqual((answers[6]["conversation"], answers[6]["end"]), (9, True))
        self.assertIn("is no object", answers[7]["error"])
        self.assertIn("conversation is", answers[8]["error"])


class Results(unittest.TextTestResult):
    """Remembers how each test ended, for Bazel's log."""
    cases = []

    def stopTest(self, test):
        super().stopTest(test)
        text = "\n".join(text for failed, text in self.failures + self.errors if failed is test)
        inside = f"<failure>{escape(text)}</failure>" if text else ""
        self.cases.append(f'<testcase classname="Extract" name={quoteattr(test.id().split(".")[-1])} status="run">{inside}'
                          "</testcase>")


if __name__ == "__main__":
    outcome = unittest.main(exit=False, testRunner=unittest.TextTestRunner(resultclass=Results)).result
    if os.environ.get("XML_OUTPUT_FILE"):
        with open(os.environ["XML_OUTPUT_FILE"], "w", encoding="utf-8") as log:
            log.write('<testsuites><testsuite name="Extract">' + "".join(Results.cases) + "</testsuite></testsuites>\n")
    sys.exit(0 if outcome.wasSuccessful() else 1)
