"""Uses the server's page in Chromium as a person without a mouse does, on a screen as wide as a telephone's.

Usage: serve_page.py CHROMIUM HTTP_PORT CONVERSATIONS.jsonl [SCREENSHOT.png]

Speaks the DevTools protocol through a pair of pipes, with Python alone.
"""

import base64
import fcntl
import json
import os
import subprocess
import sys
import tempfile

chromium, port, path = sys.argv[1:4]
screenshot = sys.argv[4] if len(sys.argv) > 4 else None
with open(path, encoding="utf-8") as file:
    line = file.readline().strip()
conversation = json.loads(line)


class Browser:
    def __init__(self, profile):
        to_browser, self.out = os.pipe()
        self.inp, from_browser = os.pipe()
        # Chromium reads descriptor 3 and writes descriptor 4: the shell moves them there, from above.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser, from_browser)]
        command = f'exec 3<&{ends[0]} 4>&{ends[1]}; exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", command, chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--remote-debugging-pipe", f"--user-data-dir={profile}",
             "about:blank"],
            pass_fds=ends, stderr=subprocess.DEVNULL)
        for end in (to_browser, from_browser, *ends):
            os.close(end)
        self.buffer, self.count, self.session, self.events = b"", 0, None, []

    def receive(self):
        while b"\0" not in self.buffer:
            more = os.read(self.inp, 1 << 20)
            if not more:
                raise RuntimeError("Chromium ended")
            self.buffer += more
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True,
                           returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def press(self, key, code, text=None):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                      windowsVirtualKeyCode=code, **more)


# Resolves as soon as the condition holds; looks at every change of the page.
WAIT = """new Promise((resolve, reject) => {
  const check = () => { if (%s) { observer.disconnect(); resolve(true); } };
  const observer = new MutationObserver(check);
  observer.observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
  setTimeout(() => reject(new Error(document.body.innerText)), 60000);
  check();
})"""

with tempfile.TemporaryDirectory() as profile:
    browser = Browser(profile)
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.call("Page.enable")
    browser.call("Log.enable")
    browser.call("Runtime.enable")
    browser.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
    browser.call("Page.navigate", url=f"http://localhost:{port}/")
    while not any(event.get("method") == "Page.loadEventFired" for event in browser.events):
        browser.events.append(browser.receive())
    browser.evaluate(WAIT % "document.getElementById('about').textContent.includes('Version')")
    # By keyboard alone: along the fields to the conversation, the words of it, and Enter on the button.
    for _ in range(20):
        browser.press("Tab", 9)
        if browser.evaluate("document.activeElement.id") == "text":
            break
    assert browser.evaluate("document.activeElement.id") == "text"
    assert browser.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    browser.call("Input.insertText", text=line)
    for _ in range(20):
        browser.press("Tab", 9)
        if browser.evaluate("document.activeElement.id") == "go":
            break
    browser.press("Enter", 13, "\r")
    browser.evaluate(WAIT % "document.getElementById('said').textContent.includes('predicted')")
    cards = browser.evaluate("""[...document.querySelectorAll('.utterance')].map((card) => ({
        label: card.querySelector('.label').textContent, bar: card.querySelector('.bar > div').style.width,
        said: card.querySelector('.bar').getAttribute('aria-label'),
        sources: card.querySelectorAll('tbody tr').length,
        chips: [...card.querySelectorAll('.chip')].map((one) => one.textContent)}))""")
    assert len(cards) == len(conversation["utterances"]), cards
    for card in cards:
        assert card["label"] and card["sources"] >= 3, card
        assert float(card["bar"].rstrip("%")) > 100 / 20, card
        assert card["said"].startswith("probability "), card
        assert any(chip.startswith("may be ") for chip in card["chips"]), card
    # Nothing is wider than the screen, also with the tables open.
    browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    wide = browser.evaluate("document.documentElement.scrollWidth")
    assert wide <= 360, wide
    small = browser.evaluate("""[...document.querySelectorAll('button, select, summary')].filter(
        (one) => one.getBoundingClientRect().height < 24).map((one) => one.outerHTML)""")
    assert not small, small
    unnamed = browser.evaluate("""[...document.querySelectorAll('input, select, textarea')].filter(
        (one) => !one.labels.length).map((one) => one.id)""")
    assert not unnamed, unnamed
    if screenshot:
        png = browser.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        with open(screenshot, "wb") as file:
            file.write(base64.b64decode(png))
    # What cannot be predicted is said, and a name cannot become part of the page.
    browser.evaluate("document.getElementById('text').value = '{\"id\": 1, \"utterances\": []}'")
    browser.evaluate("document.getElementById('go').click()")
    browser.evaluate(WAIT % "document.getElementById('problem').textContent.includes('utterances')")
    renamed = conversation["utterances"][0]["speaker"]
    for utterance in conversation["utterances"]:  # a third name would be a speaker too many
        if utterance["speaker"] == renamed:
            utterance["speaker"] = "<img src=x onerror=document.title='broken'>"
    browser.evaluate(f"document.getElementById('text').value = {json.dumps(json.dumps(conversation))}")
    browser.evaluate("document.getElementById('go').click()")
    browser.evaluate(WAIT % "document.getElementById('said').textContent.includes('predicted')")
    assert browser.evaluate("document.querySelector('.who').textContent.startsWith('<img')")
    assert browser.evaluate("document.querySelectorAll('main img').length") == 0
    errors = [event for event in browser.events if event.get("method") == "Runtime.exceptionThrown"]
    assert not errors, errors
    complaints = [event["params"]["entry"]["text"] for event in browser.events
                  if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"]
    # The request that was wrong on purpose is one.
    assert len(complaints) <= 1, complaints
    browser.process.terminate()
    browser.process.wait()
print("the page works by keyboard, on a telephone")
