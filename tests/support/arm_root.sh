#!/usr/bin/env bash
# Make a root folder in which ONNX Runtime's aarch64 build runs under user-mode emulation:
#
#   apt-get install qemu-user-static
#   tests/support/arm_root.sh FOLDER
#   DATAFREE_EDGE_ARM_ROOT=FOLDER make slow
#
# FOLDER must be empty. Run this on Debian 12 as root, with network access. Packages are downloaded and
# unpacked, not installed. Outside FOLDER only dpkg's list of architectures is changed, and restored.
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
# Compile to bytecode here, because the emulator is slow. The standard library's own tests contain
# invalid files, for which compileall exits with 1.
python3.11 -m compileall -q "$folder" || true
rm -r "$folder/debs"
