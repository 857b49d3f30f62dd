"""Finds Debian's tools for packages on this machine, and what a package of this project is called.

@debian//:defs.bzl holds VERSION, which bin/version.h says; ARCHITECTURE ("amd64"; empty without dpkg);
and MISSING, the tools that are not installed.
"""

# Each with the package that has it.
_TOOLS = {
    "dpkg": "dpkg",
    "dpkg-deb": "dpkg",
    "dpkg-shlibdeps": "dpkg-dev",
    "readelf": "binutils",
    "strip": "binutils",
}

_DEFS = """# Written by //third_party/debian:debian.bzl
VERSION = {version}
ARCHITECTURE = {architecture}
MISSING = {missing}
"""

def _version(rctx):
    # inline constexpr char kVersion[] = "1.2.3";
    for line in rctx.read(Label("//bin:version.h")).split("\n"):
        if "kVersion[] = \"" in line:
            return line.split("\"")[1]
    fail("bin/version.h does not define kVersion as a string")

def _debian_configure_impl(rctx):
    missing = ["%s (%s)" % (tool, package) for tool, package in _TOOLS.items() if not rctx.which(tool)]
    architecture = ""
    if rctx.which("dpkg"):
        architecture = rctx.execute(["dpkg", "--print-architecture"]).stdout.strip()
    rctx.file("WORKSPACE", "workspace(name = %r)\n" % rctx.name, executable = False)
    rctx.file("BUILD", "", executable = False)
    rctx.file("defs.bzl", _DEFS.format(
        version = repr(_version(rctx)),
        architecture = repr(architecture),
        missing = repr(missing),
    ), executable = False)

debian_configure = repository_rule(
    implementation = _debian_configure_impl,
    configure = True,
    environ = ["PATH"],
    local = True,
)
