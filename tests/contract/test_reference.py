"""The reference page is current, says everything, and its links lead somewhere."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from contract.descriptors import PACKAGE, compile_contract, messages_of, pool_of
from contract.reference import REFERENCE, reference

CONTRACT = FileDescriptorSet.FromString(compile_contract())
PAGE = reference(CONTRACT)
HEADINGS = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)


def section(heading: str) -> str:
    """What stands below `heading`, up to the next one."""
    return re.split(r"^#+ ", PAGE.split(f" {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def test_the_page_is_current() -> None:
    assert REFERENCE.read_text() == PAGE


def test_every_service_call_message_and_enum_has_a_heading() -> None:
    files = [file for file in CONTRACT.file if file.package == PACKAGE]
    services = [service for file in files for service in file.service]
    expected = {service.name for service in services}
    expected |= {method.name for service in services for method in service.method}
    expected |= {enum.name for file in files for enum in file.enum_type}
    expected |= {message.name for message in messages_of(CONTRACT)}
    assert expected <= set(HEADINGS)


def test_every_field_has_a_row_with_its_comment() -> None:
    row = re.compile(r"^\| (\d+) \| `(\w+)` \| .+ \| \S.* \|$", re.MULTILINE)
    for message in messages_of(CONTRACT):
        fields = [(str(field.number), field.name) for field in message.fields]
        assert row.findall(section(message.name)) == fields


def test_every_enum_value_has_a_row_with_its_comment() -> None:
    pool = pool_of(CONTRACT)
    for heading in HEADINGS:
        try:
            enum = pool.FindEnumTypeByName(f"{PACKAGE}.{heading}")
        except KeyError:
            continue
        rows = re.findall(r"^\| (\d+) \| `(\w+)` \| \S.* \|$", section(heading), re.MULTILINE)
        assert rows == [(str(value.number), value.name) for value in enum.values]


def test_no_two_headings_share_an_anchor() -> None:
    anchors = [heading.lower() for heading in HEADINGS]
    assert len(anchors) == len(set(anchors))


def test_every_link_leads_somewhere() -> None:
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADINGS}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
    for file in re.findall(r"\]\(([^#)]+)\)", PAGE):
        assert (REFERENCE.parent / Path(file)).exists()


@pytest.mark.parametrize(
    ("heading", "text"),
    [
        ("LoadModel", "[LoadModelRequest](#loadmodelrequest) → a stream of [LoadModelResponse]"),
        ("ListModels", "[ListModelsRequest](#listmodelsrequest) → [ListModelsResponse]"),
        ("SamplingParams", "| 10 | `logit_bias` | map of int32 to float |"),
        ("SamplingParams", "| 1 | `temperature` | float, *optional* |"),
        ("StopParams", "| 1 | `strings` | list of string |"),
        ("Finished", "| 3 | `stop_token` | int32, *one of* `matched_stop` |"),
        ("Model", "| 21 | `memory` | list of [DeviceFootprint](#devicefootprint) |"),
        ("Timings", "| 1 | `queue` | Duration |"),
        ("Usage", "In [Finished](#finished), [EmbedResponse](#embedresponse)"),
    ],
)
def test_a_section_shows_streams_types_presence_and_holders(heading: str, text: str) -> None:
    assert text in section(heading)
