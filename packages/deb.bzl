"""cmerc_deb(): a Debian package, `cmerc` or `cmerc-serve`, for the Debian that it is built on."""

load("@debian//:defs.bzl", "ARCHITECTURE", "MISSING", "VERSION")
load("@libtorch//:defs.bzl", "LIBTORCH_ROOT")

def _why_refused():
    if LIBTORCH_ROOT != "/usr":
        return ("LIBTORCH=%s is in no package of Debian, so that what is built with it would not run " +
                "where it is installed; unset LIBTORCH to take Debian's libtorch-dev") % LIBTORCH_ROOT
    if MISSING:
        return "it is made by tools of Debian, of which these are not installed: %s; " % ", ".join(MISSING) + \
               "run tools/setup.sh --package on Debian 12 or 13"
    return ""

# Why no package can be made here; empty where one can.
DEB_REFUSED = _why_refused()

DEB_VERSION = VERSION

# What goes into `cmerc`; build_deb.sh knows where.
DEB_FILES = [
    "//:changelog",
    "//:readme",
    "//bin:cmerc",
    "//bin:cmerc_engine",
    "//config:examples",
    "//config:experiments",
    "//config:layouts",
    "//docs:pages",
    "//examples/own_data:own.textproto",
    "//examples/own_data:write_corpus.py",
    "//packages:cmerc.1",
    "//packages:cmerc.bash",
    "//packages:control",
    "//packages:copyright",
]

# The server is a package of its own: gRPC and an HTTP library are for those who want it.
SERVE_DEB_FILES = [
    "//:changelog",
    "//packages:control-serve",
    "//packages:copyright",
    "//serving:cmerc_serve",
]

def _refused_impl(ctx):
    fail("no Debian package can be made: " + ctx.attr.why)

_refused = rule(
    implementation = _refused_impl,
    attrs = {"why": attr.string(mandatory = True)},
)

def cmerc_deb(name, package, files):
    """PACKAGE_VERSION_ARCHITECTURE.deb of these files, or an error that says why there is none.

    It is built when it is asked for, and not with //...: there it would be an error for whoever has
    another LibTorch.
    """
    if DEB_REFUSED:
        _refused(name = name, why = DEB_REFUSED, tags = ["manual"])
        return
    native.genrule(
        name = name,
        srcs = files,
        outs = ["%s_%s_%s.deb" % (package, VERSION, ARCHITECTURE)],
        cmd = "$(location build_deb.sh) %s $@ %s $(SRCS)" % (package, DEB_VERSION),
        tags = ["manual"],
        tools = ["build_deb.sh"],
    )
