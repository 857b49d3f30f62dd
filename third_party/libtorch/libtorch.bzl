"""Finds LibTorch on this machine and makes it @libtorch//:torch.

Either $LIBTORCH, an unpacked libtorch archive or a site-packages/torch folder, or else the
system's (Debian: libtorch-dev). Never the torch of some python3: a `pip install torch` must not
silently change what is built. `cmerc --version` says which one it was.

@libtorch//:gloo says whether the headers of the Gloo that this LibTorch has are there too.

@libtorch//:defs.bzl then holds LIBTORCH_ROOT, LIBTORCH_VERSION and LIBTORCH_CUDA (a bool).
"""

_API = "include/torch/csrc/api/include"

_BUILD = """# Written by //third_party/libtorch:libtorch.bzl
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "torch",
    hdrs = {hdrs},
    # On every command line, so that another LibTorch means another compile.
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},
)

# Nothing of Gloo but what its headers have is used directly: libtorch_cpu.so has the rest.
cc_library(
    name = "gloo",
    defines = {gloo_defines},
)
"""

_DEFS = """# Written by //third_party/libtorch:libtorch.bzl
LIBTORCH_ROOT = {root}
LIBTORCH_VERSION = {version}
LIBTORCH_CUDA = {cuda}
"""

def _is_torch_root(rctx, root):
    return (rctx.path(root + "/" + _API + "/torch/torch.h").exists and
            rctx.path(root + "/lib/libtorch.so").exists)

def _version(rctx, root):
    # "#define TORCH_VERSION_MAJOR 1", then _MINOR and _PATCH; 2.11 has them in the second header.
    for header in [root + "/" + _API + "/torch/version.h", root + "/include/torch/headeronly/version.h"]:
        numbers = []
        for part in ["MAJOR", "MINOR", "PATCH"]:
            lines = rctx.read(header).split("\n") if rctx.path(header).exists else []
            for line in lines:
                if line.startswith("#define TORCH_VERSION_%s " % part):
                    numbers.append(line.split(" ")[2])
        if len(numbers) == 3:
            return ".".join(numbers)
    fail("%s/%s/torch/version.h does not say which version of LibTorch it is" % (root, _API))

def _check_abi(rctx, lib):
    # Wheels before 2.7 or so are built with _GLIBCXX_USE_CXX11_ABI=0, which cannot be linked
    # with the system's Abseil and Protobuf.
    if rctx.execute(["grep", "-q", "__cxx11", lib + "/libc10.so"]).return_code != 0:
        fail("%s/libc10.so is not built with the C++11 ABI; use a \"cxx11-abi\" LibTorch" % lib)

def _from_folder(rctx, root):
    _check_abi(rctx, root + "/lib")
    cuda = rctx.path(root + "/lib/libtorch_cuda.so").exists

    # PyPI's torch 2.11.0 brings google/protobuf, of a version that it hides in itself; in
    # front of the system's folder it would be taken for the one that is linked.
    for entry in rctx.path(root + "/include").readdir():
        if entry.basename != "google":
            rctx.symlink(entry, "include/" + entry.basename)
    libs = ["-ltorch", "-ltorch_cpu", "-lc10"]
    if cuda:
        libs = ["-ltorch", "-ltorch_cuda", "-lc10_cuda", "-ltorch_cpu", "-lc10"]
    return struct(
        root = root,
        version = _version(rctx, root),
        cuda = cuda,
        # The system's Gloo is another one.
        gloo = rctx.path(root + "/include/gloo/context.h").exists,
        # One source directory, not a glob: 8,000 headers as single inputs cost 14 s once and
        # more than 1 s per sandboxed compile.
        hdrs = "[\"include\"]",
        includes = ["include", _API],
        # By absolute path, so that the $ORIGIN run paths inside LibTorch keep working.
        linkopts = ["-L" + root + "/lib", "-Wl,-rpath," + root + "/lib", "-Wl,--no-as-needed"] + libs,
    )

def _openblas_openmp(rctx):
    # Debian's libtorch_cpu.so takes BLAS from whatever update-alternatives points at, and the
    # pthread flavour of OpenBLAS wins there when both are installed. Its own spinning threads
    # fight with torch's, so name the OpenMP flavour, whose threads are torch's. As a direct
    # need of the program it is loaded before, and instead of, the one of the alternatives.
    for folder in ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"]:
        folder += "/openblas-openmp"
        if rctx.path(folder + "/libopenblas.so.0").exists:
            return ["-L" + folder, "-Wl,-rpath," + folder, "-l:libopenblas.so.0"]
    return []

def _from_system(rctx):
    api = "/usr/" + _API
    if not rctx.path(api + "/torch/torch.h").exists:
        fail("LibTorch was not found: run tools/setup.sh (apt-get install libtorch-dev), " +
             "or set LIBTORCH=<folder>")

    # /usr/include itself must not become an -isystem folder (#include_next <stdlib.h> would
    # break); the compiler searches it anyway.
    rctx.symlink(api, "api_include")
    return struct(
        root = "/usr",
        version = _version(rctx, "/usr"),
        cuda = False,
        gloo = rctx.path("/usr/include/gloo/context.h").exists,
        hdrs = "[\"api_include\"]",
        includes = ["api_include"],
        linkopts = _openblas_openmp(rctx) + ["-ltorch", "-ltorch_cpu", "-lc10"],
    )

def _libtorch_configure_impl(rctx):
    root = rctx.os.environ.get("LIBTORCH", "").rstrip("/")
    if root:
        if not _is_torch_root(rctx, root):
            fail("LIBTORCH=%s holds no lib/libtorch.so or no %s/torch/torch.h" % (root, _API))
        found = _from_folder(rctx, root)
    else:
        found = _from_system(rctx)
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name, executable = False)
    rctx.file("BUILD", _BUILD.format(
        hdrs = found.hdrs,
        defines = repr(["LIBTORCH_FOUND=%s-%s" % (found.version, hash(found.root))]),
        includes = repr(found.includes),
        # The code of at::parallel_for() is in the caller, so the caller needs the threads of LibTorch.
        linkopts = repr(found.linkopts + ["-lgomp"]),
        gloo_defines = repr(["USE_C10D_GLOO"] if found.gloo else []),
    ), executable = False)
    rctx.file("defs.bzl", _DEFS.format(
        root = repr(found.root),
        version = repr(found.version),
        cuda = found.cuda,
    ), executable = False)

libtorch_configure = repository_rule(
    implementation = _libtorch_configure_impl,
    configure = True,
    environ = ["LIBTORCH"],
    local = True,
)
