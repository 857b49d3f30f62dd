"""Finds the CUDA Toolkit on this machine and makes its runtime @cuda_toolkit//:cudart.

The folder is $CUDA_PATH, or else /usr/local/cuda. Without a toolkit there is still a repository, so
that every package loads; then HAVE_CUDA is False, and what cuda_library() makes is skipped.

@cuda_toolkit//:defs.bzl holds HAVE_CUDA (a bool), CUDA_ROOT and CUDA_VERSION ("13.0"; strings, empty
without a toolkit).
"""

_BUILD = """# Written by //third_party/cuda:cuda.bzl
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "cudart",
    hdrs = {hdrs},
    # On every command line, so that another toolkit means another compile.
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},
)
"""

_DEFS = """# Written by //third_party/cuda:cuda.bzl
HAVE_CUDA = {have}
CUDA_ROOT = {root}
CUDA_VERSION = {version}
"""

def _version(rctx, header):
    # "#define CUDART_VERSION  13000" is 13.0.
    for line in rctx.read(header).split("\n"):
        words = [word for word in line.strip().split(" ") if word]
        if words[:2] == ["#define", "CUDART_VERSION"]:
            number = int(words[2])
            return "%d.%d" % (number // 1000, number % 1000 // 10)
    fail("%s does not define CUDART_VERSION" % header)

def _library_folder(rctx, root):
    for folder in ["lib64", "lib"]:
        if rctx.path("%s/%s/libcudart.so" % (root, folder)).exists:
            return "%s/%s" % (root, folder)
    return None

def _cuda_configure_impl(rctx):
    asked = rctx.os.environ.get("CUDA_PATH", "").rstrip("/")
    root = asked or "/usr/local/cuda"
    lib = _library_folder(rctx, root)
    have = lib != None and rctx.path(root + "/bin/nvcc").exists
    if asked and not have:
        fail("CUDA_PATH=%s holds no bin/nvcc or no lib64/libcudart.so; name a CUDA Toolkit, or " % asked +
             "unset it to take /usr/local/cuda where there is one")
    version = ""
    if have:
        version = _version(rctx, root + "/include/cuda_runtime_api.h")
        rctx.symlink(root + "/include", "include")
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name, executable = False)
    rctx.file("BUILD", _BUILD.format(
        hdrs = repr(["include"] if have else []),
        defines = repr(["CUDA_TOOLKIT_FOUND=%s-%s" % (version, hash(root))] if have else []),
        includes = repr(["include"] if have else []),
        linkopts = repr(["-L" + lib, "-Wl,-rpath," + lib, "-lcudart"] if have else []),
    ), executable = False)
    rctx.file("defs.bzl", _DEFS.format(
        have = have,
        root = repr(root if have else ""),
        version = repr(version),
    ), executable = False)

cuda_configure = repository_rule(
    implementation = _cuda_configure_impl,
    configure = True,
    environ = ["CUDA_PATH"],
    local = True,
)
