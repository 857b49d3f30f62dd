"""Finds clang-tidy on this machine: @clang_tools//:defs.bzl holds CLANG_TIDY and CLANG, paths.

Both are empty where there is no clang-tidy of CLANG_TOOLS_VERSION: another version finds other things.
"""

CLANG_TOOLS_VERSION = "14"

def _clang_tools_impl(rctx):
    paths = {}
    for tool in ["clang-tidy", "clang"]:
        path = rctx.which(tool + "-" + CLANG_TOOLS_VERSION) or rctx.which(tool)
        said = rctx.execute([path, "--version"]).stdout if path else ""
        paths[tool] = str(path) if "version %s." % CLANG_TOOLS_VERSION in said else ""
    found = paths["clang-tidy"] and paths["clang"]
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name, executable = False)
    rctx.file("BUILD", "", executable = False)
    rctx.file("defs.bzl", "CLANG_TIDY = %r\nCLANG = %r\n" % (
        paths["clang-tidy"] if found else "",
        paths["clang"] if found else "",
    ), executable = False)

clang_tools_configure = repository_rule(
    implementation = _clang_tools_impl,
    configure = True,
    environ = ["PATH"],
    local = True,
)
