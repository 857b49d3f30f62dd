"""tidy_findings(): what clang-tidy finds in the sources of targets and of all that they depend on.

One action per source, so that Bazel's disk cache keeps what has not changed. LibTorch is parsed once,
as a precompiled header of clang. Still clang-tidy matches all its declarations, again for every
source: with all checks of .clang-tidy that takes three times as long as with these, which find most
of what matters. The others are left to `tools/lint.sh --tidy`.
"""

load("@clang_tools//:defs.bzl", "CLANG", "CLANG_TIDY")
load("@libtorch//:defs.bzl", "LIBTORCH_ROOT")

_CHECKS = [
    "-*",
    "bugprone-dangling-handle",
    "bugprone-infinite-loop",
    "bugprone-integer-division",
    "bugprone-sizeof-expression",
    "bugprone-use-after-move",
    "performance-for-range-copy",
    "performance-move-const-arg",
    "performance-unnecessary-copy-initialization",
    "readability-function-size",
]

TidyInfo = provider(
    doc = "What clang-tidy found.",
    fields = {"findings": "depset of files, one per source"},
)

# By absolute paths: a precompiled header remembers where its parts were, and a sandbox does not stay.
_TORCH_FLAGS = ["-std=c++17", "-fopenmp", "-fPIC", "-DNDEBUG"] + [
    flag
    for folder in ([] if LIBTORCH_ROOT == "/usr" else [LIBTORCH_ROOT + "/include"]) + [
        LIBTORCH_ROOT + "/include/torch/csrc/api/include",
    ]
    for flag in ["-isystem", folder]
]

def _clang_pch_impl(ctx):
    pch = ctx.actions.declare_file(ctx.label.name + ".pch")
    if not CLANG:
        ctx.actions.write(pch, "")
    else:
        # Not the header itself, whose path is of this sandbox, but what it includes.
        ctx.actions.run_shell(
            command = """mapfile -t includes < <(sed -n 's/^#include <\\(.*\\)>.*/-include\\n\\1/p' "$2")
exec "$1" -x c++-header "${includes[@]}" "${@:4}" -Xclang -fno-pch-timestamp /dev/null -o "$3" """,
            arguments = [CLANG, ctx.file.hdr.path, pch.path] + _TORCH_FLAGS,
            inputs = [ctx.file.hdr],
            outputs = [pch],
            mnemonic = "ClangPch",
        )
    return [DefaultInfo(files = depset([pch]))]

clang_pch = rule(
    implementation = _clang_pch_impl,
    attrs = {"hdr": attr.label(allow_single_file = [".h"], mandatory = True)},
    doc = "clang's precompiled header of LibTorch; empty where there is no clang.",
)

def _flags(ctx, context, torch):
    flags = list(_TORCH_FLAGS) if torch else ["-std=c++17", "-fPIC", "-DNDEBUG"]
    copts = getattr(ctx.rule.attr, "copts", [])
    for i, flag in enumerate(copts):
        named_pch = flag == "-include" and copts[i + 1:i + 2] == ["torch_pch.h"]
        if not named_pch and flag not in ("torch_pch.h", "-Werror", "-fopenmp"):
            flags.append(flag)
    for define in context.defines.to_list() + context.local_defines.to_list():
        flags.append("-D" + define)
    for name, folders in [
        ("-iquote", context.quote_includes),
        ("-I", context.includes),
        ("-isystem", context.system_includes),
    ]:
        for folder in folders.to_list():
            if "external/libtorch" not in folder:
                flags += [name, folder]
    return flags

def _tidy_aspect_impl(target, ctx):
    below = [
        dep[TidyInfo].findings
        for dep in getattr(ctx.rule.attr, "deps", [])
        if TidyInfo in dep
    ]
    own = []
    if CcInfo in target and not ctx.label.workspace_name:
        context = target[CcInfo].compilation_context
        torch = "torch_pch.h" in getattr(ctx.rule.attr, "copts", [])
        headers = getattr(ctx.rule.files, "hdrs", []) + getattr(ctx.rule.files, "textual_hdrs", [])

        # Sources that are compiled together are textual headers of what includes them.
        sources = getattr(ctx.rule.files, "srcs", []) + [
            file
            for file in headers
            if file.extension == "cc"
        ]
        for source in sources:
            # Not what is generated, as the texts of plugins' .proto files.
            if source.extension != "cc" or not source.is_source:
                continue
            pch = ctx.file._pch
            findings = ctx.actions.declare_file("%s.%s.tidy" % (target.label.name, source.basename))
            own.append(findings)
            ctx.actions.run_shell(
                command = """"$1" --quiet --config-file=.clang-tidy --checks="$2" "$3" -- "${@:5}" \
  > "$4" 2> errors
status=$?
if ((status != 0)) && [[ ! -s $4 ]]; then cp errors "$4"; fi
sed --in-place "s,$PWD/,," "$4" """,
                arguments = [CLANG_TIDY, ",".join(_CHECKS), source.path] +
                            [findings.path] + _flags(ctx, context, torch) +
                            (["-include-pch", pch.path, "-Xclang", "-fno-validate-pch"] if torch else []),
                inputs = depset(
                    [source, ctx.file._config] + ([pch] if torch else []) + headers + sources,
                    transitive = [context.headers],
                ),
                outputs = [findings],
                mnemonic = "ClangTidy",
                progress_message = "clang-tidy %s" % source.short_path,
            )
    return [TidyInfo(findings = depset(own, transitive = below))]

_tidy_aspect = aspect(
    implementation = _tidy_aspect_impl,
    attr_aspects = ["deps"],
    attrs = {
        "_config": attr.label(default = "//:.clang-tidy", allow_single_file = True),
        "_pch": attr.label(default = "//tools:torch_clang_pch", allow_single_file = True),
    },
)

def _tidy_findings_impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    if not CLANG_TIDY:
        ctx.actions.write(out, "skipped: there is no clang-tidy of version 14\n")
        return [DefaultInfo(files = depset([out]))]
    findings = depset(transitive = [target[TidyInfo].findings for target in ctx.attr.targets])
    arguments = ctx.actions.args()
    arguments.use_param_file("%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add_all(findings)
    ctx.actions.run_shell(
        command = "xargs cat < \"$1\" > " + out.path,
        arguments = [arguments],
        inputs = findings,
        outputs = [out],
    )
    return [DefaultInfo(files = depset([out]))]

tidy_findings = rule(
    implementation = _tidy_findings_impl,
    attrs = {"targets": attr.label_list(aspects = [_tidy_aspect])},
    doc = "NAME.txt: all that was found, empty if nothing; one line \"skipped: ...\" without clang-tidy.",
)
