"""Small bundles, in and out of service."""

import json

from base.file_digest import file_digest
from pipeline.releases.releases import Published, fetch, publish
from pipeline.store.step_record import digest
from targets.bundle.bundle_files import open_bundle


def bundle(folder, content, outcome="pass", name="net"):
    """A bundle as far as service looks at it."""
    (folder / "graphs").mkdir(parents=True)
    (folder / "graphs" / "student.onnx").write_text(content)
    (folder / "report.html").write_text(f"<p>{content}")
    files = {"graphs/student.onnx": file_digest(folder / "graphs" / "student.onnx")}
    manifest = {
        "name": name,
        "bundle": digest(files),
        "teacher": {"fingerprint": "f" * 64},
        **{"run": {}, "targets": {}, "engines": {}},
        "verdict": {"outcome": outcome, "agreement": 0.95},
        "files": files,
        "report": file_digest(folder / "report.html"),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def served(store, folder):
    """Whether a bundle came into service."""
    made = json.loads((folder / "manifest.json").read_text())["bundle"]
    return publish(store, folder, made) == Published.NOW


def current(store, tmp_path, name="net"):
    fetch(store, name, tmp_path / "current")
    open_bundle(tmp_path / "current")
    assert (tmp_path / "current" / "report.html").exists()
    return (tmp_path / "current" / "graphs" / "student.onnx").read_text()
