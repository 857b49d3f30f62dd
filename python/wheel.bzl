"""cmerc_wheel(): the package `cmerc` for pip, of the LibTorch and for the machine that it is built for."""

load("@libtorch//:defs.bzl", "LIBTORCH_VERSION")

# What Python's platform tags call the processors that Bazel names so.
_MACHINES = {
    "aarch64": "aarch64",
    "k8": "x86_64",
}

def _wheel_impl(ctx):
    machine = _MACHINES.get(ctx.var["TARGET_CPU"], ctx.var["TARGET_CPU"])
    wheel = ctx.actions.declare_file("cmerc-%s+torch%s-py3-none-linux_%s.whl" % (
        ctx.attr.version,
        LIBTORCH_VERSION,
        machine,
    ))
    files = ctx.files.srcs + [ctx.file.library, ctx.file.version_header, ctx.file.license]
    ctx.actions.run_shell(
        inputs = files + [ctx.file.writer],
        outputs = [wheel],
        command = "exec python3 \"$@\"",
        arguments = [
            ctx.file.writer.path,
            "--wheel=" + wheel.path,
            "--library=" + ctx.file.library.path,
            "--license=" + ctx.file.license.path,
            "--version_header=" + ctx.file.version_header.path,
            "--torch=" + LIBTORCH_VERSION,
        ] + [file.path for file in ctx.files.srcs],
        mnemonic = "CmercWheel",
        progress_message = "Writing %s" % wheel.short_path,
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([wheel]), runfiles = ctx.runfiles([wheel]))]

cmerc_wheel = rule(
    implementation = _wheel_impl,
    attrs = {
        "library": attr.label(allow_single_file = [".so"], mandatory = True),
        "license": attr.label(allow_single_file = True, mandatory = True),
        "srcs": attr.label_list(allow_files = [
            ".py",
            ".textproto",
            ".typed",
        ]),
        "version": attr.string(mandatory = True, doc = "That of version_header."),
        "version_header": attr.label(allow_single_file = [".h"], mandatory = True),
        "writer": attr.label(allow_single_file = [".py"], mandatory = True),
    },
)
