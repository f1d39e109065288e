#!/usr/bin/env bash
# A root for ONNX Runtime's aarch64 build under user-mode emulation, in an empty folder:
#
#   apt-get install qemu-user-static
#   tests/support/arm_root.sh FOLDER
#   DATAFREE_EDGE_ARM_ROOT=FOLDER make slow
#
# On Debian 12 as root, with the network: packages are fetched and unpacked, none is installed; the
# only thing changed outside FOLDER is apt's list of architectures, for as long as it takes.
set -euo pipefail
folder=$(realpath "$1")
python=${PYTHON:-.venv/bin/python}
mkdir "$folder/root" "$folder/packages" "$folder/debs"

known=$(dpkg --print-foreign-architectures)
if ! grep -qx arm64 <<<"$known"; then
    trap 'dpkg --remove-architecture arm64' EXIT
    dpkg --add-architecture arm64
fi
apt-get -qq update
(
    cd "$folder/debs"
    apt-get -qq download {libc6,libgcc-s1,libstdc++6,zlib1g,libexpat1,libffi8,libbz2-1.0}:arm64 \
        {liblzma5,libssl3,libuuid1,libpython3.11-minimal,libpython3.11-stdlib}:arm64 \
        python3.11-minimal:arm64
)
for package in "$folder"/debs/*.deb; do
    dpkg -x "$package" "$folder/root"
done

pinned=$("$python" -m pip freeze | grep -E '^(onnxruntime|numpy)==')
# shellcheck disable=SC2086
"$python" -m pip download --quiet --only-binary=:all: --no-deps --dest "$folder/debs" \
    --python-version 3.11 --implementation cp \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 $pinned
for wheel in "$folder"/debs/*.whl; do
    "$python" -m zipfile -e "$wheel" "$folder/packages"
done
# Bytecode made here spares the emulator the compiling; the standard library holds files that are
# wrong on purpose, for its own tests, and compileall then exits with 1.
python3.11 -m compileall -q "$folder" || true
rm -r "$folder/debs"
