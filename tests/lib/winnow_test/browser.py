"""Headless Chromium, driven as a person would: by what is written on buttons, fields and links."""

import json

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from .poll import wait_until
from .process import ROOT, make_directory, remove_directory

AXE = ROOT / "build/page/node_modules/axe-core/axe.min.js"
UNTRUSTED_HOST = "console.test"  # leads here, but is not on the list of addresses that browsers take for secure
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--force-prefers-reduced-motion",
             "--lang=en-US", f"--host-resolver-rules=MAP {UNTRUSTED_HOST} 127.0.0.1")
TIMEOUT_S = 60
SCRIPT_TIMEOUT_S = 120  # axe looks at everything


def _quoted(text):
    """As XPath 1.0, which knows no escapes."""
    return "concat('', " + ", \"'\", ".join(f"'{part}'" for part in text.split("'")) + ")"


class Browser:
    """`with Browser() as browser:` starts it with a profile of its own, which goes with it."""

    def __init__(self):
        self.directory = make_directory("browser")
        self.driver = None
        self.address = None

    def __enter__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in (*ARGUMENTS, f"--user-data-dir={self.directory}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        try:
            self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
            self.driver.set_script_timeout(SCRIPT_TIMEOUT_S)
        except BaseException:
            remove_directory(self.directory)
            raise
        return self

    def __exit__(self, *_):
        self.driver.quit()
        remove_directory(self.directory)

    # ---- where to look ---------------------------------------------------------------------------------------
    def open(self, address, view="submit"):
        """The console at an address, in this tab, as if for the first time."""
        self.address = address
        self.driver.get("about:blank")
        self.driver.get(f"{address}/#/{view}")
        # What it says in its title it says when it hears keys and changes of the address, which is after the first picture.
        self.wait(lambda: self.all("h1") and self.driver.title.endswith("– winnow"), "the page shows a view")

    def view(self, name):
        """Through the navigation."""
        self.click("link", name, within="header")
        self.wait(lambda: self.text("h1") == name, f"the view {name}")

    def resize(self, width, height=900):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    # ---- what is there ---------------------------------------------------------------------------------------
    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css="main"):
        """The visible text of the first that matches, empty when there is none."""
        try:
            return next((element.text for element in self.all(css)), "")
        except StaleElementReferenceException:
            return ""

    def texts(self, css):
        try:
            return [element.text for element in self.all(css)]
        except StaleElementReferenceException:
            return []

    def wait(self, condition, what, timeout_s=TIMEOUT_S):
        """Until condition() is true; elements that are replaced meanwhile are looked for again."""
        def attempt():
            try:
                return condition()
            except (StaleElementReferenceException, IndexError):
                return None
        return wait_until(attempt, timeout_s, what, interval_s=0.1, on_timeout=self.describe)

    def wait_for_text(self, text, css="main", timeout_s=TIMEOUT_S):
        self.wait(lambda: text in self.text(css), f"{text!r} in {css}", timeout_s)

    def describe(self):
        """What a person would see, and what the browser complained of."""
        try:
            return f"---- the page\n{self.text('body')}\n---- complaints\n{json.dumps(self.complaints(), indent=1)}"
        except WebDriverException as error:
            return f"the browser does not answer: {error}"

    # ---- what a person does ----------------------------------------------------------------------------------
    def find(self, kind, name, within="body"):
        """The visible button, link or field of that name, as far as within (CSS) goes; None when there is none."""
        literal = _quoted(name)
        paths = {
            "button": f".//button[normalize-space()={literal} or @aria-label={literal}]",
            "link": f".//a[normalize-space()={literal}]",
            "field": f".//label[starts-with(normalize-space(), {literal})]//*[self::input or self::select or self::textarea]",
        }
        found = [element for scope in self.all(within) for element in scope.find_elements(By.XPATH, paths[kind])]
        return next((element for element in found if element.is_displayed()), None)

    def click(self, kind, name, within="body"):
        def attempt():
            element = self.find(kind, name, within)
            if element is None or not element.is_enabled():
                return False
            # To where neither the header nor a message lies above it, as a person would.
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
            return True
        self.wait(attempt, f"the {kind} {name!r} can be clicked")

    def click_first(self, css):
        """Of those that match."""
        self.wait(lambda: self.all(css)[0].click() or True, f"the first {css} can be clicked")

    def fill(self, name, value, within="body"):
        """Writes over what the field holds."""
        element = self.wait(lambda: self.find("field", name, within), f"the field {name!r}")
        if element.tag_name == "select":
            self.driver.execute_script(
                "arguments[0].value = [...arguments[0].options].find(({text}) => text === arguments[1]).value;"
                "arguments[0].dispatchEvent(new Event('change', {bubbles: true}))", element, value)
        else:
            element.send_keys(Keys.CONTROL, "a")
            element.send_keys(value or Keys.DELETE)

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    # ---- what is wrong ---------------------------------------------------------------------------------------
    def complaints(self):
        """What the browser logged since it was last asked: errors of scripts, violations of the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]

    def network(self):
        """(tab, method, parameters) of what the protocol tells of all tabs' network since this or requests() was called."""
        told = [json.loads(entry["message"]) for entry in self.driver.get_log("performance")]
        return [(event["webview"], event["message"]["method"], event["message"]["params"]) for event in told]

    def requests(self):
        """Addresses that were asked for since this or network() was last called."""
        return [told["request"]["url"] for _, method, told in self.network() if method == "Network.requestWillBeSent"]

    def axe(self):
        """(impact, rule, elements) of each violation that axe finds in what is shown."""
        self.driver.execute_script(AXE.read_text())
        result = self.driver.execute_async_script(
            "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done)")
        assert result["passes"], "axe looked at nothing"
        return [(violation["impact"], violation["id"], [node["target"] for node in violation["nodes"]])
                for violation in result["violations"]]
