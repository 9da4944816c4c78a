"""Debian's Chromium, headless, in a profile of its own. scripts/install_browser.sh installs it."""

import shutil
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--mute-audio",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--window-size=900,1150",
)
MISSING = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
needs_chromium = pytest.mark.skipif(
    bool(MISSING) or find_spec("selenium") is None,
    reason=f"not installed: {', '.join(MISSING) or 'selenium'}; "
    "run scripts/install_browser.sh and install the extra `dev`",
)


@contextmanager
def chromium(profile, downloads):
    """Yield a driver of a browser whose profile lies in ``profile`` and whose downloads land in
    ``downloads``.
    """
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()
