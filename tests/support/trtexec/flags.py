"""The flags of every version of trtexec, from trtexec_flags.json."""

import json
from pathlib import Path

FLAGS_DOCUMENT = json.loads(Path(__file__).with_name("trtexec_flags.json").read_text())
FLAGS = FLAGS_DOCUMENT["versions"]
