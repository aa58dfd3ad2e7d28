#!/usr/bin/env python3
"""The console's page in a real browser (headless Chromium), against services with made-up, partly hostile data.

Leaves screenshots for people in --screenshots. Ends with 77 when there is no browser or no selenium: ctest then says "skipped"."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select
except ImportError:
    python = os.environ.get("TIDEWHEEL_TEST_PYTHON", "")
    if python and os.path.realpath(python) != os.path.realpath(sys.executable) and "TIDEWHEEL_PAGE_AGAIN" not in os.environ:
        os.execve(python, [python, *sys.argv], dict(os.environ, TIDEWHEEL_PAGE_AGAIN="1"))
    print("skipped: no selenium; ./tidewheel setup --test makes the tests' Python environment")
    sys.exit(77)

HOSTILE = "<img src=x onerror=\"window.owned=1\"><script>window.owned=1</script>\"'&lt;"
ARGUMENTS = None


def eventually(condition, seconds=15):
    """The condition's first true value; what it threw last when the time is over."""
    end = time.monotonic() + seconds * int(os.environ.get("TIDEWHEEL_TEST_PATIENCE", "1"))
    while True:
        try:
            value = condition()
            if value:
                return value
        except Exception:  # pylint: disable=broad-except
            if time.monotonic() > end:
                raise
        if time.monotonic() > end:
            raise AssertionError("it did not become true in time")
        time.sleep(0.05)


class ConsolePageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewheel-page-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.fakes = subprocess.Popen([ARGUMENTS.fakes], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop, cls.fakes)
        address = cls.fakes.stdout.readline().strip()
        ready = cls.folder / "ready.json"
        command = [ARGUMENTS.console, "--ready-file", str(ready), "--set", "health_deadline=1s"]
        for service in ("registry", "ingestion", "labeling", "curation", "training", "monitoring"):
            command += ["--set", f"{service}.address={address}"]
        cls.log = open(cls.folder / "console.log", "w+", encoding="utf-8")
        cls.addClassCleanup(cls.log.close)
        cls.console = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=cls.log)
        cls.addClassCleanup(cls.stop, cls.console)
        eventually(ready.exists)
        cls.url = "http://" + json.loads(ready.read_text())["http"]

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-extensions",
                         "--window-size=1280,1000", f"--user-data-dir={cls.folder / 'profile'}"):
            options.add_argument(argument)
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # Chromium refuses root otherwise; what it loads is our own page.
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        cls.addClassCleanup(cls.driver.quit)
        ARGUMENTS.screenshots.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def stop(process):
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def setUp(self):
        self.driver.set_window_size(1280, 1000)
        self.driver.get(self.url)
        eventually(lambda: self.driver.find_element(By.TAG_NAME, "html").get_attribute("data-ready") == "true")

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def picture(self, name):
        """A screenshot of the whole page."""
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        self.driver.set_window_size(self.driver.get_window_size()["width"], min(height + 140, 6_000))
        self.driver.save_screenshot(str(ARGUMENTS.screenshots / f"{name}.png"))

    def test_rows_appear_with_their_state(self):
        states = {card.get_attribute("data-service"): card.find_element(By.CSS_SELECTOR, ".pill").text for card in self.all("[data-service]")}
        self.assertEqual(len(states), 8)
        self.assertEqual(states["ingestion"], "serving")
        self.assertEqual(states["console"], "serving")
        self.assertEqual(states["inference"], "unreachable")
        self.assertIn("inference", self.one("#summary").text)

        self.assertEqual([card.get_attribute("data-task") for card in self.all("[data-task]")], ["fashion-mnist", "hostile", "traffic-lights"])
        self.assertEqual(len(self.all("[data-dataset]")), 3)
        self.assertEqual([row.find_element(By.CSS_SELECTOR, ".pill").text for row in self.all("[data-run]")],
                         ["queued", "running", "failed", "succeeded", "succeeded"])
        self.assertEqual([row.find_element(By.CSS_SELECTOR, ".pill").text for row in self.all("[data-model]")],
                         ["registered", "production", "retired"])
        self.assertIn("0.997", self.one("[data-section=runs]").text)
        self.assertIn("12\u202f480 predictions", self.one("[data-section=models]").text)
        task = self.one("[data-task=traffic-lights]").text
        self.assertIn("near duplicate", task)
        self.assertIn("serves version 2", task)

    def test_alerts_and_cycles_are_listed_with_damage_state_and_cost(self):
        alert = self.one("[data-alert]").text
        for part in ("pictures are turned", "raised", "data drift", "21.0\u202f%", "112 predictions after the change", "mmd 0.310"):
            self.assertIn(part, alert)
        cycle = self.one("[data-cycle]").text
        for part in ("canary", "data drift", "+0.410 (+0.290 to +0.520)", "80 labels", "42 s of CPU"):
            self.assertIn(part, cycle)
        self.one("[data-key=decisions-summary]").send_keys(Keys.ENTER)
        self.assertIn("no new model cures that", self.one("[data-decision]").text)
        self.assertIn("canary 50.0\u202f%", self.one("[data-section=models]").text)

    def test_cycle_is_a_timeline_with_everything_that_led_to_it(self):
        self.one("[data-cycle] a").send_keys(Keys.ENTER)
        eventually(lambda: self.all("[data-shown]"))
        self.assertFalse(self.one("#services").is_displayed())
        steps = {step.get_attribute("data-step"): step for step in self.all("[data-step]")}
        self.assertEqual(list(steps), ["Alert", "triggered", "collecting", "labeling", "building", "training", "gating",
                                       "awaiting sign off", "shadow", "canary"])
        self.assertEqual(len(self.all("svg.histogram")), 2)
        self.assertEqual(len(self.all("svg.histogram rect")), 26)
        self.assertIn("32 drifted", steps["collecting"].text)
        self.assertIn("8 votes on 8 of 12 samples", steps["labeling"].text)
        eventually(lambda: len(self.all("[data-sample] canvas, [data-sample] img")) == 12)
        self.assertEqual(sum("red" in vote.text for vote in self.all(".sample .votes")), 7)
        self.assertIn("traffic-lights@2, 1\u202f531 items", steps["building"].text)
        self.assertIn("test accuracy 0.997", steps["training"].text)
        self.assertEqual([row.find_element(By.CSS_SELECTOR, ".pill").text for row in self.all("[data-criterion]")], ["pass", "pass", "inconclusive"])
        self.assertIn("safety: ann", steps["awaiting sign off"].text)
        self.assertIn("Still to sign: owner", steps["awaiting sign off"].text)
        self.assertIn("harmless", steps["shadow"].text)
        self.assertIn("share: 0.5", steps["canary"].text)
        self.assertIn("traffic-lights@2 → traffic-lights@3", self.one("[data-shown] .facts").text)
        self.assertIn("3 min in all", self.one("[data-shown] .facts").text)
        self.assertGreaterEqual(self.one("main").get_property("textContent").count(HOSTILE), 3)
        self.assertEqual(self.all("main img[src='x'], main script, main b"), [])
        self.assertIsNone(self.driver.execute_script("return window.owned ?? null"))
        for theme in ("light", "dark"):
            self.one("body").send_keys("t")
            self.assertEqual(self.one("html").get_attribute("data-theme"), theme)
            self.picture(f"cycle-{theme}")
        self.one("body").send_keys("t")
        self.driver.set_window_size(420, 900)
        self.assertTrue(self.driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))

        self.driver.set_window_size(1280, 1000)
        self.one("#cycle a").send_keys(Keys.ENTER)
        eventually(lambda: self.one("#services").is_displayed())
        self.assertFalse(self.one("#cycle").is_displayed())

    def open_cycle(self, number):
        self.driver.get(f"{self.url}/#cycle/0193a005-0000-7000-8000-{number:012d}")
        self.driver.refresh()
        eventually(lambda: self.all("[data-shown]"))

    def press(self, action):
        eventually(lambda: self.one(f"[data-action='{action}']").send_keys(Keys.ENTER) or self.one("#act").is_displayed())

    def do(self, action, actor=None, reason=None, seconds=None):
        """Presses a button and says in the dialog who and why."""
        self.press(action)
        if actor is not None:
            self.one("#act-actor").clear()
            self.one("#act-actor").send_keys(actor)
        if reason is not None:
            self.one("#act-reason").send_keys(reason)
        if seconds is not None:
            Select(self.one("#act-seconds")).select_by_value(seconds)
        self.one("#act-yes").send_keys(Keys.ENTER)

    def actions(self, parent="[data-shown] > .card"):
        return [button.text for button in self.all(f"{parent} [data-action]")]

    def test_y_cycle_is_paused_resumed_and_cancelled_by_somebody_with_a_name(self):
        self.driver.execute_script("localStorage.removeItem('actor')")
        self.open_cycle(1)
        self.assertEqual(self.actions(), ["Pause", "Cancel"])
        self.do("pause")
        self.assertIn("who you are", self.one("#act-problem").text)
        self.picture("dialog")
        self.driver.set_window_size(1280, 1000)
        self.one("#act-actor").send_keys("ann", Keys.ENTER)
        eventually(lambda: "paused by ann" in self.one("#told").text)
        eventually(lambda: self.actions() == ["Resume", "Cancel"])
        self.assertIn("paused by ann", self.one("[data-shown]").text)
        self.do("resume")  # Who it is need not be said twice.
        eventually(lambda: self.actions() == ["Pause", "Cancel"])
        self.assertIn("resumed by ann", self.one("[data-shown]").text)
        self.assertEqual([step.get_attribute("data-step") for step in self.all("[data-step]")][-2:], ["paused", "resumed"])
        self.assertIn("by ann", self.one("[data-step=paused]").text)
        self.do("cancel", reason=HOSTILE)
        eventually(lambda: self.actions() == [])
        self.assertIn("cancelled by ann: " + HOSTILE, self.one("[data-shown]").get_property("textContent"))
        self.assertIsNone(self.driver.execute_script("return window.owned ?? null"))

    def test_y_dialog_can_be_left_without_doing_anything(self):
        self.open_cycle(3)
        self.press("cancel")
        self.one("#act-reason").send_keys("p t", Keys.ESCAPE)  # Letters there are text and no shortcuts.
        self.assertFalse(self.one("#act").is_displayed())
        self.assertIsNone(self.one("html").get_attribute("data-theme"))
        self.press("cancel")
        self.one("#act-no").send_keys(Keys.ENTER)
        self.assertFalse(self.one("#act").is_displayed())
        self.assertIn("Cancel", self.actions())

    def test_y_failed_cycle_is_retried(self):
        self.open_cycle(2)
        self.assertEqual(self.actions(), ["Retry"])
        self.do("retry", actor="bob")
        eventually(lambda: "retried by bob" in self.one("[data-shown]").text)
        eventually(lambda: self.actions() == ["Pause", "Cancel"])

    def test_y_signature_is_given_by_role_and_a_refused_one_is_told(self):
        self.open_cycle(3)
        self.assertEqual(self.actions(), ["Pause", "Cancel", "Sign as owner", "Refuse as owner"])
        self.do("refuse-owner", actor="nobody")
        self.assertIn("Say why", self.one("#act-problem").text)
        self.one("#act-reason").send_keys("it forgets yellow")
        self.one("#act-yes").send_keys(Keys.ENTER)
        eventually(lambda: "nobody may not sign as owner" in self.one("#act-problem").text)
        self.one("#act-no").send_keys(Keys.ENTER)
        self.do("sign-owner", actor="carl", reason="seen at night")
        eventually(lambda: self.actions() == ["Pause", "Cancel"])
        signed = self.one("[data-step='awaiting sign off']").text
        for part in ("safety: ann", "owner: carl", "seen at night"):
            self.assertIn(part, signed)

    def test_y_rejected_candidate_is_taken_past_the_gate_for_a_reason(self):
        self.open_cycle(4)
        self.assertEqual(self.actions(), ["Override"])
        self.do("override", actor="ann", reason="")
        self.assertIn("Say why", self.one("#act-problem").text)
        self.one("#act-reason").send_keys("the old lights are gone")
        self.one("#act-yes").send_keys(Keys.ENTER)
        eventually(lambda: "overridden by ann: the old lights are gone" in self.one("[data-shown]").text)
        self.assertTrue(self.driver.current_url.endswith("#cycle/0193a005-0000-7000-8000-000000000004"))

    def test_y_alert_is_acknowledged_muted_and_heard_again(self):
        self.do(f"acknowledge-{self.one('[data-alert]').get_attribute('data-alert')}", actor="ann")
        eventually(lambda: "by ann" in self.one("[data-alert]").text)
        self.assertEqual(self.actions("[data-alert]"), ["Mute"])
        alert = self.one("[data-alert]").get_attribute("data-alert")
        self.do(f"mute-{alert}", seconds="28800")
        eventually(lambda: self.actions("[data-alert]") == ["Unmute"])
        self.open_cycle(1)
        self.assertIn("muted", self.one("[data-step=Alert]").text)
        self.do(f"unmute-{alert}")
        eventually(lambda: self.actions("[data-step=Alert]") == ["Mute"])

    def test_y_other_sites_cannot_act(self):
        # The page's own policy lets nothing be sent elsewhere; so the other site is asked for by headers.
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            request = urllib.request.Request(f"{self.url}/api/v1/training/PauseCycle", data=b'{"cycle_id":"x"}',
                                             headers={"Content-Type": "application/json", **headers})
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=20)
            self.assertEqual(refused.exception.code, 403)

    def test_cycle_that_nobody_knows_says_so(self):
        self.driver.get(f"{self.url}/#cycle/unknown%20one")
        self.driver.refresh()
        eventually(lambda: "no such cycle" in self.one("[data-section=cycle]").text)

    def test_hostile_text_is_shown_as_text(self):
        text = self.one("main").get_property("textContent")
        self.assertGreaterEqual(text.count(HOSTILE), 3)
        self.assertIn("<b>yes</b>", text)
        self.assertEqual(self.all("main img[src='x'], main script, main b"), [])
        self.assertIsNone(self.driver.execute_script("return window.owned ?? null"))
        self.assertEqual(self.driver.title, "Tidewheel")

    def test_thumbnails_are_drawn(self):
        card = "[data-task=traffic-lights] "
        eventually(lambda: len(self.all(card + ".thumbs canvas")) == 9 and len(self.all(card + ".thumbs img")) == 3)
        self.one(card).location_once_scrolled_into_view  # pylint: disable=pointless-statement
        eventually(lambda: all(self.driver.execute_script("return arguments[0].naturalWidth", img) == 32
                               for img in self.all(card + ".thumbs img")))
        pixel = self.driver.execute_script(
            "return Array.from(arguments[0].getContext('2d').getImageData(16, 7, 1, 1).data)", self.one(card + ".thumbs canvas"))
        self.assertEqual(pixel, [240, 50, 60, 255])

    def test_page_follows_what_happens(self):
        before = self.one("progress").get_attribute("value")
        eventually(lambda: self.one("progress").get_attribute("value") != before)

    def test_open_details_and_focus_survive_a_refresh(self):
        summary = self.one("[data-section=runs] summary")
        summary.send_keys(Keys.ENTER)
        before = self.one("progress").get_attribute("value")
        eventually(lambda: self.one("progress").get_attribute("value") != before)
        self.assertTrue(self.one("[data-section=runs] details").get_property("open"))
        self.assertEqual(self.driver.switch_to.active_element.tag_name, "summary")

    def test_task_filter_shows_that_task_alone(self):
        Select(self.one("#task-filter")).select_by_value("fashion-mnist")
        eventually(lambda: [card.get_attribute("data-task") for card in self.all("[data-task]")] == ["fashion-mnist"])
        self.assertEqual(len(self.all("[data-dataset]")), 1)
        self.assertIn("No run yet", self.one("[data-section=runs]").text)

    def test_keyboard_reaches_everything(self):
        body = self.one("body")
        body.send_keys(Keys.TAB)
        self.assertEqual(self.driver.switch_to.active_element.text, "Skip to content")
        body.send_keys("t")
        self.assertEqual(self.one("html").get_attribute("data-theme"), "light")
        body.send_keys("t")
        self.assertEqual(self.one("html").get_attribute("data-theme"), "dark")
        body.send_keys("t")
        self.assertIsNone(self.one("html").get_attribute("data-theme"))
        body.send_keys("p")
        self.assertEqual(self.one("#pause").get_attribute("aria-pressed"), "true")
        time_shown = self.one("progress").get_attribute("value")
        self.driver.execute_async_script("setTimeout(arguments[0], 4000)")  # More than one round of refreshing.
        self.assertEqual(self.one("progress").get_attribute("value"), time_shown)

    def test_headings_labels_and_tables_are_there_for_those_who_do_not_see(self):
        self.assertEqual(len(self.all("h1")), 1)
        self.assertEqual(self.driver.execute_script(
            "return [...document.querySelectorAll('img, canvas, progress, select, table')].filter((e) => "
            "!e.hasAttribute('alt') && !e.getAttribute('aria-label') && !e.labels?.length && !e.caption).map((e) => e.outerHTML)"), [])
        self.assertEqual(self.one("html").get_attribute("lang"), "en")

    def test_nothing_is_wider_than_a_phone(self):
        self.driver.set_window_size(420, 900)
        self.assertTrue(self.driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))
        self.picture("narrow")

    def test_screenshots_for_people(self):
        for theme, keys in (("light", "t"), ("dark", "t")):
            self.one("body").send_keys(keys)
            self.assertEqual(self.one("html").get_attribute("data-theme"), theme)
            self.driver.set_window_size(1280, 1000)
            eventually(lambda: len(self.all(".thumbs canvas")) >= 9)
            self.picture(theme)
        self.one("body").send_keys("t")

    def test_zz_services_that_go_away_are_named_and_the_page_goes_on(self):
        self.stop(self.fakes)
        eventually(lambda: "unreachable" in self.one("[data-service=ingestion]").text)
        eventually(lambda: self.one("[data-section=runs] .problem").text.startswith("training: nobody answers at "))
        self.assertEqual([tile.text for tile in self.all(".tile .value")], ["1/8", "–", "–", "–", "–", "–"])
        self.picture("services-away")

    def tearDown(self):
        # A refused script or style, a failed import, an error of ours: all end up here. What services answer (5xx) may.
        severe = [entry["message"] for entry in self.driver.get_log("browser")
                  if entry["level"] == "SEVERE" and "status of 50" not in entry["message"] and "GetCycle" not in entry["message"]
                  and "SignOff" not in entry["message"]]
        self.assertEqual(severe, [])


def main():
    global ARGUMENTS  # pylint: disable=global-statement
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--console", required=True, help="the tidewheel-console executable")
    parser.add_argument("--fakes", required=True, help="the console_page_platform executable")
    parser.add_argument("--screenshots", required=True, type=pathlib.Path)
    ARGUMENTS, rest = parser.parse_known_args()
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("skipped: no chromium or chromedriver; ./tidewheel setup --test installs them")
        return 77
    return 0 if unittest.main(argv=[sys.argv[0], *rest], exit=False, verbosity=2).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
