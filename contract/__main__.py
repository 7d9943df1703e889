"""Writes what follows from the contract, or with `--check` says what is not current or broken."""

import sys
from argparse import ArgumentParser

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from contract.breaking import broken_promises
from contract.descriptors import DESCRIPTOR_SET, ROOT, compile_contract
from contract.golden import golden_faults, write_golden
from contract.reference import REFERENCE, reference


def main() -> int:
    parser = ArgumentParser(prog="python -m contract", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail on any fault")
    check = parser.parse_args().check
    compiled = compile_contract()
    contract = FileDescriptorSet.FromString(compiled)
    derived = {DESCRIPTOR_SET: compiled, REFERENCE: reference(contract).encode()}
    if not check:
        for file, content in derived.items():
            file.write_bytes(content)
        write_golden(contract)
        return 0
    current = {file: file.read_bytes() if file.exists() else None for file in derived}
    stale = [file for file, content in derived.items() if current[file] != content]
    faults = [f"{file.relative_to(ROOT)} is not current: make proto" for file in stale]
    faults += golden_faults(contract) + broken_promises()
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


sys.exit(main())
