"""cmerc_grpc_library(): what protoc and gRPC's plugin make of the services in .proto files."""

load("//tools:cc.bzl", "cmerc_cc_library")

def cmerc_grpc_library(name, protos, imports, deps):
    """The headers NAME.grpc.pb.h of `protos`, compiled as one: what gRPC's headers cost is paid once.

    Args:
      imports: .proto files that the protos import, but for Protobuf's own.
      deps: the cc_proto_library targets of the protos.
    """
    stems = [proto[:-len(".proto")] for proto in protos]
    package = native.package_name()
    native.genrule(
        name = name + "_code",
        srcs = protos + imports,
        outs = [stem + end for stem in stems for end in [".grpc.pb.h", ".grpc.pb.cc"]],
        cmd = "$(location @com_google_protobuf//:protoc) -I. -I/usr/include --grpc_out=$(GENDIR) " +
              "--plugin=protoc-gen-grpc=$(location @com_github_grpc_grpc//:plugin) " +
              " ".join([package + "/" + proto for proto in protos]),
        tools = [
            "@com_github_grpc_grpc//:plugin",
            "@com_google_protobuf//:protoc",
        ],
    )
    native.genrule(
        name = name + "_unit",
        outs = [name + ".cc"],
        cmd = "printf '#include \"%s\"\\n' " +
              " ".join([package + "/" + stem + ".grpc.pb.cc" for stem in stems]) + " > $@",
    )
    cmerc_cc_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [stem + ".grpc.pb.h" for stem in stems],
        textual_hdrs = [stem + ".grpc.pb.cc" for stem in stems],
        # Code of others, which is not ours to mend.
        copts = ["-Wno-unused-parameter"],
        deps = deps + ["@com_github_grpc_grpc//:grpc++"],
    )
