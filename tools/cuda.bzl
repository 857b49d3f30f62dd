"""cuda_library(): .cu files, compiled by nvcc with the flags of this project."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")
load("@cuda_toolkit//:defs.bzl", "CUDA_ROOT", "HAVE_CUDA")
load("//tools:cc.bzl", "CMERC_COPTS")

# A100, H100, and PTX for what came later.
_GENCODE = [
    "arch=compute_80,code=sm_80",
    "arch=compute_90,code=sm_90",
    "arch=compute_90,code=compute_90",
]

_NVCC_COPTS = [
    "-std=c++17",
    # constexpr functions of headers that know nothing of CUDA.
    "--expt-relaxed-constexpr",
    "-Werror",
    "all-warnings",
    # The lines of the source for compute-sanitizer and profilers; the code stays the same.
    "-lineinfo",
]

def _cuda_objects_impl(ctx):
    cc_toolchain = find_cpp_toolchain(ctx)
    context = cc_common.merge_cc_infos(
        cc_infos = [dep[CcInfo] for dep in ctx.attr.deps],
    ).compilation_context

    # Everything after the source is common to all sources of the target.
    common = ctx.actions.args()
    common.add("-ccbin", cc_toolchain.compiler_executable)
    common.add_all(_NVCC_COPTS)
    common.add_all(["-O1", "-g"] if ctx.var["COMPILATION_MODE"] == "dbg" else ["-O3", "-DNDEBUG"])
    for flag in CMERC_COPTS + ["-fPIC"]:
        common.add_all(["-Xcompiler", flag])
    for code in _GENCODE:
        common.add_all(["-gencode", code])
    common.add_all(context.quote_includes, before_each = "-I")
    common.add_all(context.includes, before_each = "-I")
    common.add_all(context.system_includes, before_each = "-isystem")
    common.add_all(context.defines, before_each = "-D")

    objects = []
    for src in ctx.files.srcs:
        # In a folder of the target: two targets may share a source.
        obj = ctx.actions.declare_file("_objs/%s/%s.pic.o" % (ctx.label.name, src.basename))
        ctx.actions.run(
            executable = CUDA_ROOT + "/bin/nvcc",
            arguments = ["-x", "cu", "-c", src.path, "-o", obj.path, common],
            # nvcc sees in its sandbox no other header of the project.
            inputs = depset([src] + ctx.files.hdrs, transitive = [context.headers]),
            outputs = [obj],
            mnemonic = "CudaCompile",
            progress_message = "Compiling %s with nvcc" % src.short_path,
            # nvcc calls cicc, ptxas and the host compiler by name.
            env = {"PATH": CUDA_ROOT + "/bin:/usr/bin:/bin"},
        )
        objects.append(obj)
    return [DefaultInfo(files = depset(objects))]

_cuda_objects = rule(
    implementation = _cuda_objects_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".cu"], mandatory = True),
        "hdrs": attr.label_list(allow_files = [".h", ".cuh"]),
        "deps": attr.label_list(providers = [CcInfo]),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def cuda_library(name, srcs, hdrs = [], deps = [], **kwargs):
    """A cc_library of .cu files; skipped where there is no CUDA Toolkit.

    hdrs: headers of these sources alone. Those that others include belong to a target of `deps`.
    """
    compatible_with = [] if HAVE_CUDA else [Label("//third_party/cuda:toolkit_missing")]
    deps = deps + [Label("@cuda_toolkit//:cudart")]
    _cuda_objects(
        name = name + "_objects",
        srcs = srcs,
        hdrs = hdrs,
        target_compatible_with = compatible_with,
        visibility = ["//visibility:private"],
        deps = deps,
    )
    native.cc_library(
        name = name,
        srcs = [name + "_objects"],
        target_compatible_with = compatible_with,
        deps = deps,
        **kwargs
    )
