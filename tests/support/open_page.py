"""Open a page in a headless Chromium, check it with axe-core and take pictures of it.

Qt allows one application in a process, and a color scheme is chosen at its start, so the test runs
this module as a process of its own:

    python -m tests.support.open_page PAGE FOLDER light|dark WIDTH...

The result on standard output is JSON: for each width the messages of the console, axe-core's
findings and whether the page is wider than the window.
"""

import json
import os
import sys
from importlib.resources import files
from pathlib import Path

SCHEMES = {"dark": 0, "light": 1}
"""Chromium's numbers of the color schemes."""

MAX_HEIGHT = 20_000
"""Largest height of a picture in pixels."""

HEIGHT = 800
"""Height of the window, of which the first picture is taken."""

AXE = """
axe.run({resultTypes: ['violations']}).then(
  found => { window.found = JSON.stringify(found.violations.map(
    each => [each.impact, each.id, each.nodes.map(node => node.html.slice(0, 200))])); },
  error => { window.found = JSON.stringify([['critical', String(error), []]]); });
"""


def main(page: Path, folder: Path, scheme: str, widths: list[int]) -> None:
    # Both are read when Qt is imported. Chromium's sandbox does not run as root.
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ["QTWEBENGINE_CHROMIUM_FLAGS"] = (
        f"--no-sandbox --disable-gpu --blink-settings=preferredColorScheme={SCHEMES[scheme]}"
    )
    from PySide6.QtCore import QEventLoop, QMarginsF, QTimer, QUrl
    from PySide6.QtGui import QPageLayout, QPageSize, QPainter, QPixmap
    from PySide6.QtWebEngineCore import QWebEnginePage
    from PySide6.QtWebEngineWidgets import QWebEngineView
    from PySide6.QtWidgets import QApplication

    class Page(QWebEnginePage):
        def __init__(self, parent):
            super().__init__(parent)
            self.messages = []

        def javaScriptConsoleMessage(self, level, message, line, source):  # noqa: N802
            self.messages.append(message)

    application = QApplication(sys.argv[:1])

    def wait(milliseconds):
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def evaluate(script):
        loop, values = QEventLoop(), []
        view.page().runJavaScript(script, 0, lambda value: (values.append(value), loop.quit()))
        loop.exec()
        return values[0]

    def screen(top):
        evaluate(f"window.scrollTo(0, {top})")
        wait(150)  # The next frame shows it.
        return view.grab()

    def save_pictures():
        """Save the first screen, and the whole page put together from screens."""
        start = folder / f"{page.stem}-{scheme}-{width}"
        assert screen(0).save(f"{start}-first-screen.png")
        height = min(MAX_HEIGHT, int(evaluate("document.documentElement.scrollHeight")))
        whole = QPixmap(width, max(height, HEIGHT))
        painter = QPainter(whole)
        for top in range(0, height, HEIGHT):
            top = max(0, min(top, height - HEIGHT))
            painter.drawPixmap(0, top, screen(top))
        painter.end()
        assert whole.save(f"{start}-whole.png")

    results = {}
    for width in widths:
        view = QWebEngineView()
        view.setPage(Page(view))
        view.resize(width, HEIGHT)
        view.show()
        loop = QEventLoop()
        view.loadFinished.connect(lambda loaded, ended=loop: ended.exit(int(loaded)))
        view.load(QUrl.fromLocalFile(str(page.resolve())))
        if not loop.exec():
            sys.exit(f"{page}: cannot be opened")
        evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        evaluate(AXE)
        while not (found := evaluate("window.found || ''")):
            wait(50)
        overflow = evaluate("document.documentElement.scrollWidth > window.innerWidth")
        dark = evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        save_pictures()
        results[width] = {
            "console": view.page().messages,
            "findings": json.loads(found),
            "overflow": overflow,
            "dark": dark,
        }
    layout = QPageLayout(
        QPageSize(QPageSize.PageSizeId.A4),
        QPageLayout.Orientation.Portrait,
        QMarginsF(15, 15, 15, 15),
    )
    loop = QEventLoop()
    view.page().pdfPrintingFinished.connect(loop.quit)
    view.page().printToPdf(str(folder / f"{page.stem}-{scheme}.pdf"), layout)
    loop.exec()
    print(json.dumps(results))
    sys.stdout.flush()
    application.closeAllWindows()
    # Chromium's own shutdown order is not Python's.
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], [int(text) for text in sys.argv[4:]])
