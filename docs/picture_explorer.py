"""The explorer's picture in README.md, taken of the real program: python docs/picture_explorer.py

Needs what the browser tests need (`make browser`): Chromium and its driver.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

#: A time at which dog helps cat and harms sparrow, and three targets; the light look whatever the system's.
STATE = "time=8&targets=cat&targets=robin&targets=oak&look=light"
SIZE = 1440, 900


def main() -> None:
    sys.path.append(str(HERE.parent / "tests"))
    from driven_app import App, chromium, served, what_is_missing

    if missing := what_is_missing():
        raise SystemExit(missing)
    with served() as server, chromium() as browser:
        app = App(browser, server.page(STATE), viewport=SIZE, zoom=1.5)
        app.sharp(1.5)
        app.at_rest()
        app.page.mouse.move(1, 1)
        app.page.screenshot(path=HERE / "explorer.png")
        print(f"written: docs/explorer.png, {app.image.get_attribute('alt')}")


if __name__ == "__main__":
    main()
