"""Every external repository of the build: all of it is on this machine, nothing is downloaded.

Labels are spelled Label("//..."), so that a workspace which depends on this one may load this file.
"""

load("//third_party:abseil.bzl", "system_abseil")
load("//third_party:clang.bzl", "clang_tools_configure")
load("//third_party/cuda:cuda.bzl", "cuda_configure")
load("//third_party/debian:debian.bzl", "debian_configure")
load("//third_party/libtorch:libtorch.bzl", "libtorch_configure")

def _bazel_stub_impl(rctx):
    # Bazel 4 would download these on its own. Not a local_repository: its path would be relative to
    # the workspace being built.
    folder = rctx.path(Label("//third_party:BUILD")).dirname.get_child("bazel").get_child(rctx.name)
    for entry in folder.readdir():
        rctx.symlink(entry, entry.basename)

_bazel_stub = repository_rule(
    implementation = _bazel_stub_impl,
    local = True,
)

def third_party_repositories():
    _bazel_stub(name = "rules_cc")
    _bazel_stub(name = "rules_java")
    _bazel_stub(name = "remote_coverage_tools")

    system_abseil(name = "com_google_absl")

    native.new_local_repository(
        name = "com_google_protobuf",
        path = "/usr",
        build_file = str(Label("//third_party:protobuf.BUILD")),
    )
    native.new_local_repository(
        name = "com_google_googletest",
        path = "/usr/include/gtest",
        build_file = str(Label("//third_party:googletest.BUILD")),
    )
    native.new_local_repository(
        name = "com_github_google_benchmark",
        path = "/usr/include/benchmark",
        build_file = str(Label("//third_party:benchmark.BUILD")),
    )
    # Only //serving and its tests need it.
    native.new_local_repository(
        name = "com_github_grpc_grpc",
        path = "/usr",
        build_file = str(Label("//third_party:grpc.BUILD")),
    )
    libtorch_configure(name = "libtorch")
    cuda_configure(name = "cuda_toolkit")
    clang_tools_configure(name = "clang_tools")
    debian_configure(name = "debian")
