"""The engine between its channel and its runner: every command answered, every token told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from corral_server.engine.batch import Batch
from corral_server.engine.loop import EngineLoop
from corral_server.engine.pace import Pace
from corral_server.engine.prompt import PromptEncoder
from corral_server.errors import (
    ChatTemplateFailed,
    ContextLengthExceeded,
    CorralError,
    DeadlineExceeded,
    InvalidFields,
    QueueFull,
)
from corral_server.ipc.channel import Channel
from corral_server.ipc.frame import ChannelClosed
from corral_server.ipc.messages import (
    AskLoad,
    Cancel,
    Counted,
    CountTokens,
    Crowded,
    Detokenize,
    Detokenized,
    EngineLoad,
    Output,
    Rejected,
    Report,
    Submit,
    Tokenize,
    Tokenized,
)
from corral_server.llama.context import Interrupted
from corral_server.request import (
    Conversation,
    Finished,
    FinishReason,
    GenerationRequest,
    Message,
    Prompt,
    SamplingParams,
    Started,
    StopParams,
    TextPrompt,
    Token,
    TokenPrompt,
)
from engine_peer import DEADLINE_S, EnginePeer, text_of
from make_scheduler import make_scheduler
from scripted_runner import END, ScriptedRunner, ScriptedVocabulary, alone, saying

LIMIT = 64


class WideVocabulary(ScriptedVocabulary):
    """One whose first token is a million bytes long."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces[0] = bytes(1_000_000)


@contextmanager
def running(
    runner: ScriptedRunner | None = None,
    *,
    slots: int = 4,
    cells: int = 256,
    max_waiting: int = 8,
    vocabulary: ScriptedVocabulary | None = None,
    batch_tokens: int = 16,
    patience_s: float = 0.0,
    pace: Pace | None = None,
    on_crowd: Callable[[bool], None] = lambda is_crowded: None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[EnginePeer]:
    """A loop in a thread until the end of the block, when its channel closes and so it ends. By
    default no token waits for the next step, and no step for anybody."""
    peer, theirs = EnginePeer.pair()
    channel = Channel(theirs)
    vocabulary = vocabulary or ScriptedVocabulary()
    loop = EngineLoop(
        channel,
        scheduler=make_scheduler(
            slots=slots, cells=cells, batch_tokens=batch_tokens, max_waiting=max_waiting, pace=pace
        ),
        runner=runner or ScriptedRunner(),
        encoder=PromptEncoder(vocabulary, template="{{ messages[0].content }}", tool_template=None),
        vocabulary=vocabulary,
        sequence_limit=LIMIT,
        patience_s=patience_s,
        on_crowd=on_crowd,
        clock=clock,
    )
    ends: list[BaseException] = []

    def run() -> None:
        try:
            loop.run()
        except BaseException as end:
            ends.append(end)
        finally:
            channel.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield peer
    finally:
        peer.close()
        thread.join(DEADLINE_S)
    assert [type(end) for end in ends] == [ChannelClosed]


@contextmanager
def stepping(**options: Any) -> Iterator[tuple[EnginePeer, Callable[[], list[Report]]]]:
    """A running loop whose steps wait to be let through: the function lets one, for its frame."""
    runner = ScriptedRunner()
    steps = threading.Semaphore(0)

    def wait() -> None:
        assert steps.acquire(timeout=DEADLINE_S)

    runner.before_step = wait
    with running(runner, **options) as peer:

        def step() -> list[Report]:
            steps.release()
            return peer.frame()

        yield peer, step
        steps.release(1000)


def submit(call: int, prompt: Prompt | str = "abc", **request: Any) -> Submit:
    if isinstance(prompt, str):
        prompt = TextPrompt(text=prompt)
    return Submit(call, GenerationRequest(prompt=prompt, **request))


def calls_of(frame: list[Report]) -> list[int]:
    return [report.call for report in frame if isinstance(report, Output)]


def is_finished(report: Report) -> bool:
    return isinstance(report, Output) and isinstance(report.event, Finished)


def failure(peer: EnginePeer, call: int) -> CorralError:
    rejected = peer.expect(Rejected)
    assert rejected.call == call
    return rejected.failure.error()


# Generating


def test_a_request_is_started_told_and_finished() -> None:
    with running(ScriptedRunner(saying("hello", after=3))) as peer:
        peer.send(submit(1))
        started, *deltas, finished = peer.answers(1)[1]
    assert started == Started(prompt_tokens=3)
    assert text_of(deltas) == "hello"
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.completion_tokens) == (FinishReason.EOS, 6)


def test_every_step_sends_one_frame_where_nothing_waits() -> None:
    with running(ScriptedRunner(saying("hello", after=3))) as peer:
        peer.send(submit(1), submit(2))
        frames = [peer.frame() for _ in range(6)]
    told = [[type(r.event).__name__ for r in f if isinstance(r, Output)] for f in frames]
    assert told == [
        ["Started", "Started", "Delta", "Delta"],
        *[["Delta", "Delta"]] * 4,
        ["Finished", "Finished"],
    ]


def test_tokens_travel_together_where_they_may_wait_and_none_is_lost() -> None:
    with running(patience_s=DEADLINE_S) as peer:
        peer.send(*(submit(call, f"prompt {call}", max_tokens=20) for call in range(4)))
        frames = [peer.frame()]
        while sum(is_finished(report) for frame in frames for report in frame) < 4:
            frames.append(peer.frame())
    assert len(frames) < 20
    events = [r for frame in frames for r in frame if isinstance(r, Output)]
    for call in range(4):
        text = text_of([output.event for output in events if output.call == call])
        assert text.encode() == bytes(alone(list(f"prompt {call}".encode()), 20))


class GatedRunner(ScriptedRunner):
    """Computes a few steps, goes on when `heard` is set, and computes the prompt of call 2 when
    `let_through` is; `num_steps` counts those that were computed before that prompt."""

    def __init__(self) -> None:
        super().__init__()
        self.heard, self.at_prompt, self.let_through = (threading.Event() for _ in range(3))
        self.num_steps = 0

    def compute(self, batch: Batch) -> None:
        if any(item.count > 1 and item.sequence.call == 2 for item in batch.items):
            self.at_prompt.set()
            assert self.let_through.wait(DEADLINE_S)
        elif not self.at_prompt.is_set():
            self.num_steps += 1
            assert self.num_steps < 5 or self.heard.wait(DEADLINE_S)
        super().compute(batch)


def test_no_token_waits_for_a_step_with_a_prompt() -> None:
    runner = GatedRunner()
    with running(runner, batch_tokens=64, patience_s=DEADLINE_S) as peer:
        peer.send(submit(1, max_tokens=40))
        told = [peer.report(), peer.report()]
        peer.send(submit(2, "x" * 40, max_tokens=2))
        runner.heard.set()
        while Output(2, Started(prompt_tokens=40)) not in told:
            told.append(peer.report())
        assert runner.at_prompt.wait(DEADLINE_S)
        assert calls_of(told).count(1) == 1 + runner.num_steps  # Started, and all there was
        runner.let_through.set()
        peer.answers(1)


def test_requests_that_come_one_by_one_begin_in_one_step_if_it_is_a_long_one() -> None:
    pace = Pace(target_s=60.0, batch_tokens=16)
    pace.learn(0.4, num_answers=0, prompt_tokens=16)
    coming = [submit(call, max_tokens=1) for call in (2, 3)]

    def clock() -> float:
        """Stands still; whoever looks at it hears of one more request."""
        if coming:
            peer.send(coming.pop(0))
        return 0.0

    with running(pace=pace, clock=clock) as peer:
        peer.send(submit(1, max_tokens=1))
        assert set(calls_of(peer.frame())) == {1, 2, 3}


@pytest.mark.parametrize("patience_s", [0.0, DEADLINE_S])
def test_requests_at_once_get_the_answers_they_would_get_alone(patience_s: float) -> None:
    with running(patience_s=patience_s) as peer:
        peer.send(*(submit(call, f"prompt {call}", max_tokens=20) for call in range(8)))
        answers = peer.answers(*range(8))
    for call, events in answers.items():
        assert text_of(events).encode() == bytes(alone(list(f"prompt {call}".encode()), 20))


def test_requests_that_outgrow_the_cells_still_get_them() -> None:
    with running(ScriptedRunner(cells=40), cells=40) as peer:
        peer.send(*(submit(call, f"prompt {call}", max_tokens=20) for call in range(3)))
        answers = peer.answers(*range(3))
    for call, events in answers.items():
        assert text_of(events).encode() == bytes(alone(list(f"prompt {call}".encode()), 20))


def test_a_cache_with_fewer_cells_than_were_counted_delays_but_harms_nobody() -> None:
    with running(ScriptedRunner(cells=40), cells=400) as peer:
        peer.send(*(submit(call, f"prompt {call}", max_tokens=20) for call in range(3)))
        answers = peer.answers(*range(3))
    for call, events in answers.items():
        assert text_of(events).encode() == bytes(alone(list(f"prompt {call}".encode()), 20))


def test_whoever_changes_its_ways_beside_others_is_told_of_them() -> None:
    heard: list[bool] = []
    with running(on_crowd=heard.append) as peer:
        peer.send(Crowded(True), Crowded(False), AskLoad(1))
        peer.expect(EngineLoad)
    assert heard == [True, False]


# Refusing


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused_with_its_numbers() -> None:
    with running() as peer:
        peer.send(submit(1, "x" * LIMIT))
        error = failure(peer, 1)
    assert type(error) is ContextLengthExceeded
    assert error.metadata == {"prompt_tokens": str(LIMIT), "limit": str(LIMIT - 1)}


def test_the_longest_prompt_that_fits_gets_its_token() -> None:
    with running() as peer:
        peer.send(submit(1, "x" * (LIMIT - 1)))
        *_, finished = peer.answers(1)[1]
    assert isinstance(finished, Finished)
    assert (finished.reason, finished.completion_tokens) == (FinishReason.CONTEXT_LENGTH, 1)


@pytest.mark.parametrize(
    ("request_fields", "field"),
    [
        ({"sampling": SamplingParams(logit_bias={3: 1.0, 257: 1.0})}, "sampling.logit_bias"),
        ({"sampling": SamplingParams(logit_bias={-1: 1.0})}, "sampling.logit_bias"),
        ({"stop": StopParams(token_ids=(3, 257))}, "stop.token_ids"),
        ({"stop": StopParams(token_ids=(-1,))}, "stop.token_ids"),
        ({"prompt": TokenPrompt((3, 257))}, "prompt_tokens.ids"),
        ({"prompt": TextPrompt(text="")}, "prompt"),
    ],
)
def test_a_request_that_names_no_token_is_refused_by_its_field(
    request_fields: dict[str, Any], field: str
) -> None:
    with running() as peer:
        peer.send(submit(1, **request_fields))
        error = failure(peer, 1)
    assert type(error) is InvalidFields
    assert [violation.field for violation in error.violations] == [field]


def test_one_request_too_many_is_refused() -> None:
    with running(slots=1, max_waiting=1) as peer:
        peer.send(*(submit(call, max_tokens=2) for call in range(3)))
        first, second, refused, *_ = peer.frame()
    assert isinstance(first, Output) and isinstance(second, Output)
    assert isinstance(refused, Rejected) and refused.call == 2
    assert type(refused.failure.error()) is QueueFull


def test_a_template_that_fails_refuses_only_its_conversation() -> None:
    with running() as peer:
        peer.send(submit(1, Conversation(messages=())), submit(2, max_tokens=2))
        error = failure(peer, 1)
        assert 2 in peer.answers(2)
    assert type(error) is ChatTemplateFailed


def test_a_refusal_does_not_touch_those_that_run() -> None:
    with running(ScriptedRunner(saying("hello", after=3))) as peer:
        peer.send(submit(1), submit(2, "x" * LIMIT), submit(3))
        reports = [report for _ in range(6) for report in peer.frame()]
    told: dict[int, list[Any]] = {1: [], 3: []}
    for report in reports:
        if isinstance(report, Output):
            told[report.call].append(report.event)
    assert text_of(told[1]) == text_of(told[3]) == "hello"


# Cancelling


def test_a_slot_is_free_within_one_step_of_its_cancel() -> None:
    with stepping(slots=1) as (peer, step):
        peer.send(submit(1), submit(2))
        step()
        peer.send(Cancel(1))
        # The next step may have begun before the cancel was heard.
        step()
        assert [calls_of(step()), calls_of(step())] == [[2], [2]]


def test_a_cancelled_request_is_told_nothing_more() -> None:
    with stepping() as (peer, step):
        peer.send(submit(1), submit(2))
        assert set(calls_of(step())) == {1, 2}
        peer.send(Cancel(1))
        step()
        assert [calls_of(step()) for _ in range(5)] == [[2]] * 5


def test_cancelling_an_unknown_call_is_harmless() -> None:
    with running() as peer:
        peer.send(Cancel(7), submit(1, max_tokens=2))
        assert 1 in peer.answers(1)


class SlowRunner(ScriptedRunner):
    """Its first step lasts until it is interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.began = threading.Event()
        self._interrupted = threading.Event()

    def interrupt(self) -> None:
        super().interrupt()
        self._interrupted.set()

    def compute(self, batch: Batch) -> None:
        if not self.began.is_set():
            self.began.set()
            assert self._interrupted.wait(DEADLINE_S)
            raise Interrupted
        super().compute(batch)


def test_a_cancel_ends_the_long_step_it_is_about() -> None:
    runner = SlowRunner()
    with running(runner) as peer:
        peer.send(submit(1, "x" * 40))
        assert runner.began.wait(DEADLINE_S)
        peer.send(Cancel(1), submit(2, max_tokens=2))
        assert text_of(peer.answers(2)[2]).encode() == bytes(alone(list(b"abc"), 2))


def test_a_step_that_another_s_cancel_interrupted_is_computed_again() -> None:
    runner = SlowRunner()
    with running(runner) as peer:
        peer.send(submit(1, "x" * 40), submit(2, "y" * 40, max_tokens=3))
        assert runner.began.wait(DEADLINE_S)
        peer.send(Cancel(1))
        assert text_of(peer.answers(2)[2]).encode() == bytes(alone(list(b"y" * 40), 3))


def test_a_cancel_does_not_end_a_step_that_is_about_others() -> None:
    runner = ScriptedRunner()
    with running(runner) as peer:
        peer.send(submit(1, max_tokens=40), submit(2, max_tokens=40))
        peer.send(Cancel(2))
        assert 1 in peer.answers(1)
        assert runner.num_interrupts == 0


def test_the_end_of_the_server_ends_a_step_that_runs() -> None:
    runner = SlowRunner()
    with running(runner) as peer:
        peer.send(submit(1, "x" * 40))
        assert runner.began.wait(DEADLINE_S)
    assert runner.num_interrupts == 1


# Deadlines


def test_a_request_whose_time_is_over_before_it_is_heard_is_refused() -> None:
    with running() as peer:
        peer.send(submit(1, time_left_s=0.0))
        reports = [peer.report(), peer.report()]
    assert [type(report) for report in reports] == [Output, Rejected]
    assert isinstance(reports[1], Rejected)
    assert type(reports[1].failure.error()) is DeadlineExceeded


# Questions


def test_the_load_is_told_between_steps() -> None:
    with stepping(slots=1) as (peer, step):
        peer.send(submit(1), submit(2))
        step()
        peer.send(AskLoad(7))
        reports = [report for _ in range(3) for report in step()]
        (load,) = [report for report in reports if isinstance(report, EngineLoad)]
    assert (load.call, load.slots, load.running, load.waiting) == (7, 1, 1, 1)
    assert load.cells == 256


def test_an_idle_engine_has_no_load() -> None:
    with running() as peer:
        peer.send(AskLoad(7))
        load = peer.expect(EngineLoad)
    assert (load.running, load.waiting, load.cells_used, load.estimated_wait_s) == (0, 0, 0, 0.0)


def test_tokenize() -> None:
    with running() as peer:
        peer.send(Tokenize(1, "hé<end>", add_special=True, parse_special=False))
        first, second, third, *_ = peer.expect(Tokenized).tokens
    assert [first, second, third] == [
        Token(104, b"h"),
        Token(0xC3, b"\xc3"),
        Token(0xA9, b"\xa9"),
    ]


@pytest.mark.parametrize(("parse_special", "count"), [(False, 5), (True, 1)])
def test_a_control_token_is_one_only_if_it_is_meant(parse_special: bool, count: int) -> None:
    with running() as peer:
        peer.send(Tokenize(1, "<end>", add_special=True, parse_special=parse_special))
        assert len(peer.expect(Tokenized).tokens) == count


def test_no_text_has_no_tokens() -> None:
    with running() as peer:
        peer.send(Tokenize(1, "", add_special=True, parse_special=False))
        assert peer.expect(Tokenized).tokens == ()


@pytest.mark.parametrize(("unparse_special", "raw"), [(False, b"h\xff"), (True, b"h\xff<end>")])
def test_detokenize(unparse_special: bool, raw: bytes) -> None:
    with running() as peer:
        peer.send(Detokenize(1, (104, 0xFF, END), unparse_special))
        assert peer.expect(Detokenized) == Detokenized(1, raw)


def test_tokens_out_of_the_vocabulary_cannot_be_joined() -> None:
    with running() as peer:
        peer.send(Detokenize(1, (257,), False))
        error = failure(peer, 1)
    assert [violation.field for violation in error.violations] == ["token_ids"]


def test_tokens_whose_text_no_frame_could_hold_are_not_joined() -> None:
    with running(vocabulary=WideVocabulary()) as peer:
        peer.send(Detokenize(1, (0,) * 17, False), CountTokens(2, TextPrompt(text="x")))
        error = failure(peer, 1)
        assert peer.expect(Counted).call == 2
    assert [violation.field for violation in error.violations] == ["token_ids"]


def test_count_tokens_of_a_conversation() -> None:
    message = Message(role="user", content="hello")
    with running() as peer:
        peer.send(CountTokens(1, Conversation(messages=(message,))))
        assert peer.expect(Counted) == Counted(1, 5)


def test_questions_are_answered_while_others_generate() -> None:
    with stepping() as (peer, step):
        peer.send(submit(1))
        step()
        peer.send(CountTokens(2, TextPrompt(text="hello")))
        assert Counted(2, 5) in [*step(), *step()]
