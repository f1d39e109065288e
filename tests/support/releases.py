"""Small bundles, and their publication as releases."""

import json

from base.file_digest import file_digest
from pipeline.releases.fetching import fetch_release
from pipeline.releases.publishing import PublishResult, publish
from pipeline.store.step_record import digest
from targets.bundle.bundle_files import open_bundle


def make_bundle(folder, content, outcome="pass", name="net", engines=None):
    """Write a bundle with only what releases need.

    Args:
        folder: A folder that does not exist yet.
        content: The content of its graph.
        outcome: The outcome of its verdict.
        name: Its name.
        engines: The manifest's entries of engines, by target. Each built one has a file.
    """
    (folder / "graphs").mkdir(parents=True)
    (folder / "graphs" / "student.onnx").write_text(content)
    (folder / "report.html").write_text(f"<p>{content}")
    files = {"graphs/student.onnx": file_digest(folder / "graphs" / "student.onnx")}
    for target, entry in (engines or {}).items():
        if entry.get("engine") != "pending":
            built = folder / "targets" / target / "int8.engine"
            built.parent.mkdir(parents=True)
            built.write_text(content)
            files[f"targets/{target}/int8.engine"] = file_digest(built)
    manifest = {
        "name": name,
        "bundle": digest(files),
        "teacher": {"fingerprint": "f" * 64},
        **{"run": {}, "targets": {}, "engines": engines or {}},
        "verdict": {"outcome": outcome, "agreement": 0.95},
        "files": files,
        "report": file_digest(folder / "report.html"),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def publish_bundle(store, folder):
    """Publish a bundle; return whether it was released now."""
    bundle = json.loads((folder / "manifest.json").read_text())["bundle"]
    return publish(store, folder, bundle) == PublishResult.RELEASED


def released_content(store, tmp_path, name="net"):
    """Fetch and open the current release; return the content of its graph."""
    fetch_release(store, name, tmp_path / "current")
    open_bundle(tmp_path / "current")
    assert (tmp_path / "current" / "report.html").exists()
    return (tmp_path / "current" / "graphs" / "student.onnx").read_text()
