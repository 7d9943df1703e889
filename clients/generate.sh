#!/usr/bin/env bash
# Writes the stubs that are committed: clients/generate.sh LANGUAGE FOLDER, from the root, with
# LANGUAGE one of go, typescript and rust. Without its toolchain it says so and, unless CI is set,
# does nothing. Java, C++, C# and Kotlin generate theirs when they are built.
set -euo pipefail

language=$1 folder=$2
python=.venv/bin/python
protos=(proto/corral/v1/*.proto)

needs() {
  for tool in "$@"; do
    command -v "$tool" >/dev/null && continue
    echo "==> $language: $tool is missing, its stubs are left as they are"
    exit ${CI:+1}
  done
}

go_stubs() {
  needs go
  local tools=$PWD/.cache/go-tools
  GOBIN=$tools go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
  GOBIN=$tools go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
  local module=module=github.com/corral-serve/corral/clients/go/corral/v1
  $python -m grpc_tools.protoc -I proto \
    --plugin=protoc-gen-go="$tools/protoc-gen-go" --go_out="$folder" --go_opt=$module \
    --plugin=protoc-gen-go-grpc="$tools/protoc-gen-go-grpc" \
    --go-grpc_out="$folder" --go-grpc_opt=$module "${protos[@]}"
}

typescript_stubs() {
  needs node npm
  local plugin=clients/typescript/node_modules/.bin/protoc-gen-ts_proto googleapis options
  test -x $plugin || npm --prefix clients/typescript ci --no-audit --no-fund
  googleapis=$($python -c \
    'import google.rpc.status_pb2 as status; print(status.__file__.rpartition("/google/rpc/")[0])')
  options=env=node,esModuleInterop=true,importSuffix=.js,exportCommonSymbols=false
  options+=,outputServices=grpc-js,outputServices=generic-definitions,outputJsonMethods=false
  options+=,useExactTypes=false
  $python -m grpc_tools.protoc -I proto -I "$googleapis" --plugin=protoc-gen-ts_proto=$plugin \
    --ts_proto_out="$folder" --ts_proto_opt=$options "${protos[@]}" \
    "$googleapis"/google/rpc/{status,error_details}.proto
}

rust_stubs() {
  needs cargo
  local contract=$PWD/proto into
  into=$(realpath "$folder")
  (cd clients/rust && cargo run -q -p corral-codegen "$contract" "$into")
}

rm -rf "$folder.new"
mkdir -p "$folder.new"
kept=$folder folder=$folder.new
trap 'rm -rf "$folder"' EXIT
"${language}_stubs"
rm -rf "$kept"
mv "$folder" "$kept"
