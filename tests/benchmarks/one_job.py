"""A job that only writes its row, or fails if its key is "broken"; run by test_job_queue."""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    key, state = sys.argv[1], Path(sys.argv[sys.argv.index("--state") + 1])
    if key == "broken":
        print("the reason")
        sys.exit(3)
    row = {
        "digest": f"digest of {key}",
        "threads": os.environ["OMP_NUM_THREADS"],
        "process": os.getpid(),
    }
    (state / f"{key}.json").write_text(json.dumps(row))
