"""cmerc_plugin() and cmerc_plugins(): a plugin is one .proto and one .cc, linked in by being listed."""

load("//tools:cc.bzl", "cmerc_cc_library")

def proto_source(name, src):
    """A library that files the text of the .proto file SRC in ProtoSources(): static initializers alone."""

    # As protoc knows it; in the top folder of a workspace there is no package name.
    path = "/".join([part for part in [native.package_name(), src] if part])
    native.genrule(
        name = name + "_text",
        srcs = [src],
        outs = [name + ".cc"],
        cmd = "\n".join([
            "{",
            "echo '#include \"registry/proto_source.h\"'",
            "echo 'namespace {'",
            "echo 'const cmerc::ProtoSource kSource(\"%s\", R\"__proto__('" % path,
            "cat $<",
            "echo ')__proto__\");'",
            "echo '}  // namespace'",
            "} > $@",
        ]),
    )

    # Without LibTorch's headers, which it would parse for nothing.
    cmerc_cc_library(
        name = name,
        srcs = [name + ".cc"],
        deps = [Label("//registry:proto_source")],
        alwayslink = True,
    )

def cmerc_plugin(name, deps = [], proto_deps = [], torch = True, visibility = None):
    """One plugin: NAME.proto holds its options message, NAME.cc registers a factory for it.

    The text of NAME.proto is linked in too, so that `cmerc plugins` can print its comments.
    """
    native.proto_library(
        name = name + "_proto",
        srcs = [name + ".proto"],
        deps = [Label("//registry:range_proto")] + proto_deps,
        visibility = visibility,
    )
    native.cc_proto_library(
        name = name + "_cc_proto",
        deps = [":" + name + "_proto"],
        visibility = visibility,
    )
    proto_source(name = name + "_proto_source", src = name + ".proto")
    cmerc_cc_library(
        name = name,
        srcs = [name + ".cc"],
        torch = torch,
        deps = deps + [
            ":" + name + "_cc_proto",
            ":" + name + "_proto_source",
            Label("//registry"),
        ],
        alwayslink = True,
        visibility = visibility,
    )

def cmerc_plugins(name, plugins, visibility = ["//visibility:public"]):
    """A bundle: whoever depends on it links every plugin listed."""
    native.cc_library(
        name = name,
        deps = plugins,
        visibility = visibility,
    )
