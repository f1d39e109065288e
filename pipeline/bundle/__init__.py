"""The bundle, a run's output folder: written, opened, reported, signed, unpacked, revalidated.

manifest.json                   content and settings, with the sha256 of every other file
graphs/student.*.onnx           the exported student, in each precision
targets/NAME/model.*.onnx       the student compiled for a CPU target, in each precision
targets/NAME/verdict.json       the verdict on each of these
targets/NAME/student.*.engine   an engine built on a device, with its report.json and logs
golden.npz                      probes with the teacher's logits; absent for `private: true`
torch/quantized.*               below 8 bits: the fake-quantized student, and none of the above
report.html                     the results as a page; absent below 8 bits
manifest.sig                    the signature of manifest.json, if the bundle is signed
"""

from base.lazy_names import lazy_names

__all__ = [
    "check_output",
    "open_bundle",
    "revalidate",
    "sign",
    "summary_rows",
    "summary_table",
    "unpack",
    "verify",
    "write_bundle",
]

__getattr__ = lazy_names(
    __name__,
    {
        "check_output": "opening",
        "open_bundle": "opening",
        "revalidate": "revalidation",
        "sign": "signature",
        "summary_rows": "summary",
        "summary_table": "summary",
        "unpack": "unpacking",
        "verify": "signature",
        "write_bundle": "writing",
    },
)
