"""A user without a mouse: controls are located by their accessible role and name."""

import time

TIMEOUT = 20.0  # seconds for the page to react
TAB, ENTER, ESCAPE, CONTROL = "\ue004", "\ue007", "\ue00c", "\ue009"


class KeyboardUser:
    """Operate a page by keys; ``longest`` is the number of Tabs after which a control counts as missing."""

    def __init__(self, driver, longest=15):
        self.driver, self.longest = driver, longest

    def press(self, *keys):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def press_with_control(self, key):
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).key_down(CONTROL).send_keys(key).key_up(CONTROL).perform()

    @property
    def focused(self):
        element = self.driver.switch_to.active_element
        return element.aria_role, element.accessible_name

    def tab_to(self, role, name):
        """Press Tab until a control has the focus; fail when Tab does not reach it."""
        passed = []
        for _ in range(self.longest):
            self.press(TAB)
            passed.append(self.focused)
            if self.focused == (role, name):
                return
        raise AssertionError(f"{role} {name!r} is not reached by Tab, only {passed}")

    def wait(self, condition, description, timeout=TIMEOUT):
        until = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < until, (
                f"timeout: {description}; the page's text is {self.text!r}; {self.driver.get_log('browser')}"
            )
            time.sleep(0.05)

    @property
    def text(self):
        return self.driver.find_element("tag name", "main").text
