#!/usr/bin/env python3
"""Makes PyPI's PyTorch run without CUDA's packages.

PyPI's wheel for Linux on x86-64 contains CUDA kernels and is linked with NVIDIA's libraries, 2.5
GB more to download, although a program that computes on the CPU calls none of them. This script
replaces the wheel's own CUDA libraries, and adds those of NVIDIA, by stubs: shared libraries of
the same name with the symbols that the other libraries refer to. A function of a stub returns the
error "no device" or nothing. The libraries that compute on the CPU stay as they are; and the
process does not map CUDA's kernels, so that its memory is that of a build for CPUs. Needs gcc and
binutils.

Usage: torch_cpu.py SITE_PACKAGES
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# The libraries that are loaded when torch is imported.
LOADED = ("libtorch_python.so", "libtorch_cpu.so", "libshm.so", "libc10.so", "libtorch.so",
          "libtorch_global_deps.so")
# The wheel's own CUDA libraries: those that are linked with, and those that only these need.
OWN = ("libtorch_cuda.so", "libc10_cuda.so")
BEHIND = ("libtorch_nvshmem.so", "libtorch_cuda_linalg.so")
NVIDIA = ("libcu", "libnv")
CLASS_TYPE = "_ZTVN10__cxxabiv117__class_type_infoE"
CONSTRUCTOR = re.compile("C[12]E")
NO_DEVICE = 100  # cudaErrorNoDevice; NVIDIA's other libraries also take it for an error


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def needed(library):
    """The names of the libraries that it is linked with."""
    lines = output("readelf", "-dW", str(library)).splitlines()
    return [line.split("[")[1].rstrip("]") for line in lines if "(NEEDED)" in line]


def symbols(library):
    """(name, version or "", kind of nm, or "U") of each dynamic symbol."""
    for line in output("nm", "-D", str(library)).splitlines():
        kind, name = line.split()[-2:]
        name, _, version = name.partition("@")
        yield name, version.lstrip("@"), kind


def sizes(library):
    """The sizes of its variables."""
    found = {}
    for line in output("readelf", "--dyn-syms", "-W", str(library)).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] == "OBJECT":
            found[fields[7].split("@")[0]] = int(fields[2], 0)
    return found


def assemble(functions, variables):
    """Functions return `result`; with None, the address of memory that is 0 and may be written, for
    those that return references. Its low bytes are 0, so it is also `false` and the device 0."""
    lines = [".text"]
    for name, result in functions:
        value = f"movl ${result}, %eax" if result is not None else "leaq blank(%rip), %rax"
        lines += [f".globl {name}", f".type {name}, @function", f"{name}: {value}"]
        if CONSTRUCTOR.search(name):  # the object gets virtual functions that do nothing
            lines += ["leaq virtual(%rip), %rax", "movq %rax, (%rdi)"]
        lines.append("ret")
    lines += ["nothing: xorl %eax, %eax", "ret",
              ".data", ".balign 8", f"type: .quad {CLASS_TYPE} + 16, name", 'name: .asciz "stub"',
              ".balign 8", ".quad 0, type", "virtual: .rept 64", ".quad nothing", ".endr",
              ".bss", ".balign 65536", "blank: .zero 65536"]
    for name, size in variables:
        lines += [f".globl {name}", f".type {name}, @object", f".size {name}, {size}"]
        if name.startswith("_ZTI"):  # a C++ type, which is looked up by its name
            lines += [".data", ".balign 8", f"{name}: .quad {CLASS_TYPE} + 16, name{name}",
                      f'name{name}: .asciz "{name[4:]}"']
        else:
            lines += [".bss", ".balign 64", f"{name}: .zero {max(size, 8)}"]
    return "\n".join([*lines, '.section .note.GNU-stack,"",@progbits', ""])


def build(path, functions, variables, versions):
    with tempfile.TemporaryDirectory() as folder:
        source, script = pathlib.Path(folder, "stub.s"), pathlib.Path(folder, "stub.map")
        source.write_text(assemble(functions, variables))
        command = ["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{path.name}", str(source)]
        if versions:
            script.write_text("".join(f"{version} {{ global: *; }};\n" for version in versions))
            command.append(f"-Wl,--version-script={script}")
        made = pathlib.Path(folder, path.name)
        subprocess.run([*command, "-lstdc++", "-o", str(made)], check=True)
        path.unlink(missing_ok=True)
        path.write_bytes(made.read_bytes())


def build_own(folder, wanted):
    """The stubs of the wheel's own libraries. The first one has all symbols."""
    paths = [folder / name for name in (*OWN, *BEHIND) if (folder / name).exists()]
    found = {name for path in paths for name, _, kind in symbols(path) if kind != "U"} & wanted
    size_of = {name: size for path in paths for name, size in sizes(path).items()}
    build(folder / OWN[0], [(name, None) for name in sorted(found - size_of.keys())],
          [(name, size_of[name]) for name in sorted(found & size_of.keys())], [])
    for name in OWN[1:]:
        build(folder / name, [], [], [])
    for name in BEHIND:
        (folder / name).unlink(missing_ok=True)


def drop_overrides(path):
    """The kernels that torch replaces at start are CUDA's; it fails without the originals."""
    text, call = path.read_text(), "registry._register_all_overrides()"
    if call not in text:
        sys.exit(f"{path}: '{call}' not found; this script does not know this version of torch")
    path.write_text(text.replace(call, "pass"))


def main(site):
    folder = pathlib.Path(site, "torch", "lib")
    loaded = [folder / name for name in LOADED]
    found = {symbol for library in loaded for symbol in symbols(library)}
    defined = {name for name, _, kind in found if kind != "U"}
    wanted = {(name, version) for name, version, kind in found if kind == "U"}
    build_own(folder, {name for name, version in wanted if not version} - defined)
    for library in {of for path in loaded for of in needed(path) if of.startswith(NVIDIA)}:
        # All of NVIDIA's symbols have their library's name for a version, but for cuFile's.
        plain = library.startswith("libcufile")
        functions = [(name, NO_DEVICE) for name, version in sorted(wanted)
                     if (name.startswith("cuFile") if plain else version == library)]
        build(folder / library, functions, [], [] if plain else [library])
    drop_overrides(folder.parent / "_native" / "__init__.py")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
