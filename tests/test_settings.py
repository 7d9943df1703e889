"""What a configuration says, from a file, the environment and flags."""

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corral_server.config import (
    BudgetConfig,
    CacheType,
    Capability,
    DemoSource,
    EngineTimeouts,
    FlashAttention,
    HubConfig,
    HubSource,
    LoadOptions,
    LoraAdapter,
    Mode,
    ModelSpec,
    PathSource,
    Pooling,
    RopeScaling,
    RopeScalingType,
    ServerConfig,
    SplitMode,
)
from corral_server.errors import ConfigInvalid
from corral_server.request import SamplingParams
from corral_server.settings.format import DEFAULTS, MODEL, OPTIONS
from corral_server.settings.lines import line_of, lines
from corral_server.settings.node import dotted, written
from corral_server.settings.overrides import VARIABLES, overrides
from corral_server.settings.quantity import duration_s, duration_text, size_bytes, size_text
from corral_server.settings.reload import ReloadPlan, applied, plan_reload
from corral_server.settings.settle import Settings, load_settings
from corral_server.settings.show import as_json, as_toml, rows

Said = list[tuple[str, tuple[str | int, ...], str]]
Load = Callable[..., Settings]
Refused = Callable[..., list[str]]

DOCS = Path(__file__).parent.parent / "docs"
DEMO = '[models.m]\nsource = "demo"\n'


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """The settings of a file `corral.toml` of this text, in the working directory."""
    monkeypatch.chdir(tmp_path)

    def load(text: str | bytes | None = None, *flags: Any, **environment: str) -> Settings:
        if text is not None:
            Path("corral.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        file = None if text is None else "corral.toml"
        return load_settings(file, environment, overrides(flags))

    return load


@pytest.fixture
def refused(load: Load) -> Refused:
    """What is wrong with it, a line each."""

    def refused(text: str | bytes | None = None, *flags: Any, **environment: str) -> list[str]:
        with pytest.raises(ConfigInvalid) as caught:
            load(text, *flags, **environment)
        problems = caught.value.message.splitlines()
        assert caught.value.metadata == {"count": str(len(problems))}
        return problems

    return refused


def spec_of(settings: Settings) -> ModelSpec:
    (spec,) = (*settings.config.models, *settings.config.on_demand)
    return spec


def flag(name: str, *key: str, text: str) -> tuple[str, tuple[str, ...], str]:
    return name, key, text


# What is left out.


def test_nothing_said_serves_the_demo_model(load: Load) -> None:
    demo = ModelSpec(id="demo", source=DemoSource())
    assert load().config == ServerConfig(models=(demo,), default_model="demo")
    assert load("").config == load().config


def test_an_empty_table_of_models_is_no_model(load: Load) -> None:
    assert load("[models]").config == ServerConfig()


def test_a_file_without_a_default_has_none(load: Load) -> None:
    assert load(DEMO).config.default_model is None


# What is said.


def test_every_section(load: Load, tmp_path: Path) -> None:
    text = """
        [server]
        address = "[::1]:50052"
        tls_cert = "cert.pem"
        tls_key = "/run/secrets/key.pem"
        token_file = "tokens"
        log_level = "debug"
        model_dirs = ["models", "/models"]
        grace = "1m"
        drain_timeout = 5
        min_residency = "500ms"
        max_request_bytes = "1 MiB"
        [budget]
        total = "12 GiB"
        [hub]
        endpoint = "https://hub.example/"
        cache_dir = "cache"
        token_file = "/run/secrets/hf"
        offline = true
        stall = "2m"
        [engine]
        stall = "1h"
        backoff = 0.25
        backoff_max = "1m"
        deaths = 5
        deaths_within = "5m"
        [models]
    """
    assert load(text).config == ServerConfig(
        address="[::1]:50052",
        tls_cert=f"{tmp_path}/cert.pem",
        tls_key="/run/secrets/key.pem",
        token_file=f"{tmp_path}/tokens",
        log_level="debug",
        model_dirs=(f"{tmp_path}/models", "/models"),
        grace_s=60.0,
        drain_timeout_s=5.0,
        min_residency_s=0.5,
        max_request_bytes=2**20,
        budget=BudgetConfig(total_bytes=12 * 2**30),
        hub=HubConfig(
            endpoint="https://hub.example",
            cache_dir=f"{tmp_path}/cache",
            token_file="/run/secrets/hf",
            offline=True,
            stall_s=120.0,
        ),
        engine=EngineTimeouts(
            stall_s=3600.0, backoff_s=0.25, backoff_max_s=60.0, deaths=5, deaths_within_s=300.0
        ),
    )


FULL_MODEL = """
    [models.m]
    source = "m.gguf"
    start = "on_demand"
    default = true
    aliases = ["small", "a/b:c"]
    keep_alive = "10m"
    evict_idle = true
    capabilities = ["chat", "embed"]
    mode = "server"
    context_size = 4096
    slots = 4
    batch_size = 256
    ubatch_size = 128
    threads = 2
    max_waiting = 0
    cache_type_k = "q8_0"
    cache_type_v = "q4_0"
    flash_attention = "on"
    gpu_layers = 20
    devices = ["CUDA0", "CUDA1"]
    split_mode = "row"
    tensor_split = [3, 1]
    main_gpu = 1
    use_mmap = false
    use_mlock = true
    pooling = "cls"
    chat_template = "{{ messages }}"
    step_target = "20ms"
    prefix_cache = false
    host_cache_bytes = "1 GiB"
    [models.m.rope]
    type = "yarn"
    freq_base = 1e6
    freq_scale = 0.5
    yarn_original_context = 2048
    [[models.m.lora]]
    path = "a.gguf"
    [[models.m.lora]]
    path = "/b.gguf"
    scale = -0.5
    [models.m.default_sampling]
    temperature = 0
    top_k = 1
    top_p = 1
    min_p = 0
    repeat_penalty = 1.5
    repeat_last_n = 0
    frequency_penalty = 1
    presence_penalty = -1
    seed = 4294967295
    logit_bias = { 7 = -100 }
"""


def test_every_option_of_a_model(load: Load, tmp_path: Path) -> None:
    config = load(FULL_MODEL).config
    assert config.default_model == "m"
    assert config.models == ()
    assert config.on_demand == (
        ModelSpec(
            id="m",
            source=PathSource(f"{tmp_path}/m.gguf"),
            aliases=("small", "a/b:c"),
            keep_alive_s=600.0,
            evicts=True,
            capabilities=frozenset({Capability.CHAT, Capability.EMBED}),
            mode=Mode.SERVER,
            options=LoadOptions(
                context_size=4096,
                slots=4,
                batch_size=256,
                ubatch_size=128,
                threads=2,
                max_waiting=0,
                cache_type_k=CacheType.Q8_0,
                cache_type_v=CacheType.Q4_0,
                flash_attention=FlashAttention.ON,
                gpu_layers=20,
                devices=("CUDA0", "CUDA1"),
                split_mode=SplitMode.ROW,
                tensor_split=(3.0, 1.0),
                main_gpu=1,
                use_mmap=False,
                use_mlock=True,
                pooling=Pooling.CLS,
                chat_template="{{ messages }}",
                rope=RopeScaling(
                    type=RopeScalingType.YARN,
                    freq_base=1e6,
                    freq_scale=0.5,
                    yarn_original_context=2048,
                ),
                lora=(LoraAdapter(f"{tmp_path}/a.gguf"), LoraAdapter("/b.gguf", -0.5)),
                default_sampling=SamplingParams(
                    temperature=0.0,
                    top_k=1,
                    top_p=1.0,
                    min_p=0.0,
                    repeat_penalty=1.5,
                    repeat_last_n=0,
                    frequency_penalty=1.0,
                    presence_penalty=-1.0,
                    seed=2**32 - 1,
                    logit_bias={7: -100.0},
                ),
                step_target_s=0.02,
                prefix_cache=False,
                host_cache_bytes=2**30,
            ),
        ),
    )


def test_every_option_of_the_contract_can_be_set() -> None:
    options = {MODEL.field(name) for name in OPTIONS}
    assert options == set(LoadOptions.__struct_fields__)
    filled = {MODEL.field(name) for name in MODEL.keys} - options
    elsewhere = {"start", "default"}
    fields = set(ModelSpec.__dataclass_fields__) - {"id", "options"}
    assert filled - elsewhere == fields


@pytest.mark.parametrize(
    ("word", "source"),
    [
        ("demo", DemoSource()),
        ("/models/m.gguf", PathSource("/models/m.gguf")),
        ("~/m.gguf", PathSource("/home/somebody/m.gguf")),
        ("hf:o/r/f.gguf", HubSource(repo="o/r", file="f.gguf")),
        ("hf:o/r/d/f.gguf@v1", HubSource(repo="o/r", file="d/f.gguf", revision="v1")),
        ("hf:o/r:Q8_0", HubSource(repo="o/r", quantization="Q8_0")),
        (
            "hf:o/r:Q4_K_M@refs/pr/1",
            HubSource(repo="o/r", quantization="Q4_K_M", revision="refs/pr/1"),
        ),
    ],
)
def test_sources(load: Load, monkeypatch: pytest.MonkeyPatch, word: str, source: object) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert spec_of(load(f'[models.m]\nsource = "{word}"')).source == source


def test_a_file_that_is_named_like_a_source_is_a_path(load: Load, tmp_path: Path) -> None:
    source = spec_of(load('[models.m]\nsource = "./demo"')).source
    assert source == PathSource(f"{tmp_path}/demo")


def test_paths_begin_at_the_file_not_at_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc" / "corral.toml"
    file.write_text('[models.m]\nsource = "m.gguf"')
    settings = load_settings(str(file), {}, overrides([]))
    assert spec_of(settings).source == PathSource(f"{tmp_path}/etc/m.gguf")


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ('total = "auto"', BudgetConfig(auto=True)),
        ('total = "none"', BudgetConfig()),
        ("total = 1_000_000_000", BudgetConfig(total_bytes=10**9)),
        (
            'devices = { RAM = "8 GiB", CUDA0 = "500 MB" }',
            BudgetConfig(device_bytes={"RAM": 8 * 2**30, "CUDA0": 500 * 10**6}),
        ),
    ],
)
def test_budgets(load: Load, text: str, budget: BudgetConfig) -> None:
    assert load(f"[budget]\n{text}").config.budget == budget


def test_embedding_alone_is_direct(load: Load) -> None:
    assert spec_of(load(DEMO + 'capabilities = ["embed"]')).mode is Mode.DIRECT
    assert spec_of(load(DEMO)).mode is Mode.SERVER


def test_byte_order_mark_and_windows_line_ends(load: Load) -> None:
    assert load(b"\xef\xbb\xbf[server]\r\ngrace = 1\r\n").config.grace_s == 1.0


# Defaults for all models.


def test_defaults_hold_for_every_model_that_says_nothing_else(load: Load) -> None:
    text = """
        [defaults]
        slots = 2
        threads = 3
        rope = { type = "yarn", freq_base = 1e4 }
        [models.a]
        source = "demo"
        [models.b]
        source = "demo"
        slots = 4
        rope.freq_base = 1e6
    """
    a, b = (spec.options for spec in load(text).config.models)
    assert (a.slots, a.threads, a.rope.freq_base) == (2, 3, 1e4)
    assert (b.slots, b.threads, b.rope.freq_base) == (4, 3, 1e6)
    assert a.rope.type is b.rope.type is RopeScalingType.YARN


def test_a_pinned_model_outlives_the_keep_alive_of_all(load: Load) -> None:
    text = f'[defaults]\nkeep_alive = "1m"\n{DEMO}'
    assert spec_of(load(text)).keep_alive_s == 60.0
    assert spec_of(load(text + "pinned = true")).keep_alive_s is None
    assert spec_of(load(text + 'keep_alive = "forever"')).keep_alive_s is None


def test_what_makes_a_model_itself_is_no_default() -> None:
    assert MODEL.keys.keys() - DEFAULTS.keys.keys() == {"source", "default", "aliases", "pinned"}


def test_a_bad_default_is_told_once(refused: Refused) -> None:
    text = '[defaults]\nslots = 0\n[models.a]\nsource = "demo"\n[models.b]\nsource = "demo"'
    assert refused(text) == ["corral.toml:2: defaults.slots: must be 1 to 64, not 0"]


# The environment and flags.


def test_flags_count_before_the_environment_and_that_before_the_file(load: Load) -> None:
    text = "[server]\ngrace = 1\ndrain_timeout = 1\nmin_residency = 1"
    said = flag("--grace", "server", "grace", text="3s")
    config = load(text, said, CORRAL_GRACE="2", CORRAL_DRAIN_TIMEOUT="2").config
    assert (config.grace_s, config.drain_timeout_s, config.min_residency_s) == (3.0, 2.0, 1.0)


def test_every_variable(load: Load, tmp_path: Path) -> None:
    environment = {
        "CORRAL_ADDRESS": "0.0.0.0:1",
        "CORRAL_TLS_CERT": "/cert.pem",
        "CORRAL_TLS_KEY": "key.pem",
        "CORRAL_TOKEN_FILE": "/tokens",
        "CORRAL_LOG_LEVEL": "error",
        "CORRAL_MODEL_DIRS": os.pathsep.join(["/a", "b"]),
        "CORRAL_GRACE": "1",
        "CORRAL_DRAIN_TIMEOUT": "2s",
        "CORRAL_MIN_RESIDENCY": "0.5",
        "CORRAL_MAX_REQUEST_BYTES": "100000",
        "CORRAL_BUDGET": "auto",
        "CORRAL_DEFAULT_MODEL": "demo",
        "CORRAL_HUB_ENDPOINT": "http://hub",
        "CORRAL_HUB_CACHE_DIR": "/cache",
        "CORRAL_HUB_TOKEN_FILE": "/token",
        "CORRAL_HUB_OFFLINE": "1",
        "CORRAL_HUB_STALL": "1m",
        "CORRAL_ENGINE_STALL": "2m",
        "CORRAL_ENGINE_BACKOFF": "1",
        "CORRAL_ENGINE_BACKOFF_MAX": "2",
        "CORRAL_ENGINE_DEATHS": "4",
        "CORRAL_ENGINE_DEATHS_WITHIN": "9",
    }
    assert environment.keys() == VARIABLES.keys()
    assert load(**environment).config == ServerConfig(
        address="0.0.0.0:1",
        tls_cert="/cert.pem",
        tls_key=f"{tmp_path}/key.pem",
        token_file="/tokens",
        log_level="error",
        models=(ModelSpec(id="demo", source=DemoSource()),),
        default_model="demo",
        model_dirs=("/a", f"{tmp_path}/b"),
        grace_s=1.0,
        drain_timeout_s=2.0,
        min_residency_s=0.5,
        max_request_bytes=100_000,
        budget=BudgetConfig(auto=True),
        hub=HubConfig(
            endpoint="http://hub",
            cache_dir="/cache",
            token_file="/token",
            offline=True,
            stall_s=60.0,
        ),
        engine=EngineTimeouts(
            stall_s=120.0, backoff_s=1.0, backoff_max_s=2.0, deaths=4, deaths_within_s=9.0
        ),
    )


def test_an_empty_variable_says_nothing(load: Load) -> None:
    assert load(CORRAL_GRACE="", CORRAL_CONFIG="").config == load().config


def test_corral_config_names_the_file_unless_a_flag_does(load: Load) -> None:
    load("[server]\ngrace = 1")
    Path("other.toml").write_text("[server]\ngrace = 2")
    assert load(None, CORRAL_CONFIG="other.toml").config.grace_s == 2.0
    assert load("[server]\ngrace = 1", CORRAL_CONFIG="other.toml").config.grace_s == 1.0


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("1 GiB", BudgetConfig(total_bytes=2**30)),
        ("none", BudgetConfig()),
        ("RAM=1GiB, CUDA0=2 GiB", BudgetConfig(device_bytes={"RAM": 2**30, "CUDA0": 2**31})),
    ],
)
def test_a_budget_is_overridden_as_a_whole(load: Load, text: str, budget: BudgetConfig) -> None:
    file = '[budget.devices]\nRAM = "8 GiB"\nCUDA3 = "8 GiB"'
    assert load(file, CORRAL_BUDGET=text).config.budget == budget


def test_a_bad_variable_or_flag_is_called_by_its_name(refused: Refused) -> None:
    said = flag("--grace", "server", "grace", text="soon")
    problems = refused(None, said, CORRAL_HUB_OFFLINE="maybe", CORRAL_ENGINE_DEATHS="many")
    assert sorted(problems) == [
        '--grace: must be a duration such as "30s", "10m" or "2h", or a number of seconds, '
        'not "soon"',
        'CORRAL_ENGINE_DEATHS: must be a whole number, not "many"',
        'CORRAL_HUB_OFFLINE: must be true or false, not "maybe"',
    ]


def test_a_misspelt_variable_is_a_warning(load: Load) -> None:
    settings = load(CORRAL_ADRESS="x", CORRAL_GRACE="1", OTHER="x", CORRAL_HOME="x")
    assert settings.warnings == (
        "CORRAL_ADRESS is not known and has no effect; did you mean CORRAL_ADDRESS?",
    )


def test_what_clients_read_is_no_misspelt_variable(load: Load) -> None:
    assert load(CORRAL_TOKEN="x", CORRAL_CA_FILE="x").warnings == ()


def test_the_first_model_of_the_flags_is_the_default_where_no_file_names_models(
    load: Load,
) -> None:
    said = [
        flag("--model", "models", "b", "source", text="demo"),
        flag("--model", "models", "a", "source", text="hf:o/r:Q8_0"),
    ]
    config = load("[server]\ngrace = 1", *said).config
    assert [spec.id for spec in config.models] == ["b", "a"]
    assert config.default_model == "b"
    assert load(DEMO, *said).config.default_model is None


def test_a_flag_names_another_source_for_a_model_of_the_file(load: Load) -> None:
    said = flag("--model", "models", "m", "source", text="/m.gguf")
    spec = spec_of(load(DEMO + "slots = 3", said))
    assert (spec.source, spec.options.slots) == (PathSource("/m.gguf"), 3)


def test_a_flag_names_another_default(load: Load) -> None:
    text = f'{DEMO}default = true\n[models.table]\nsource = "demo"'
    assert load(text).config.default_model == "m"
    said = flag("--default", "default_model", text="table")
    assert load(text, said).config.default_model == "table"


# What is refused.


def test_a_default_that_names_nothing(refused: Refused) -> None:
    said = flag("--default", "default_model", text="mm")
    expected = '--default: must be the id of a model, not "mm"; did you mean m?'
    assert refused(DEMO, said) == [expected]


def test_nothing_that_overrides_a_bad_file_makes_it_good(refused: Refused) -> None:
    problems = refused('[server]\naddress = "here"', CORRAL_ADDRESS="127.0.0.1:1")
    assert len(problems) == 1
    assert problems[0].startswith("corral.toml:2: server.address: must be HOST:PORT")


def test_everything_that_is_wrong_is_told_at_once_in_order(refused: Refused) -> None:
    text = """
        [models.b]
        context_sizes = 3
        source = "demo"
        default = "yes"
        [model]
        [server]
        grace = -1
        adress = 3
        [models.a]
    """
    assert refused(text) == [
        "corral.toml:3: models.b.context_sizes: is not known; did you mean context_size?",
        'corral.toml:5: models.b.default: must be true or false, not "yes"',
        "corral.toml:6: model: is not known; did you mean models?",
        "corral.toml:8: server.grace: must be 0s to 1h, not -1",
        "corral.toml:9: server.adress: is not known; did you mean address?",
        "corral.toml:10: models.a: must have a source",
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("slots = true", "slots: must be a whole number, not true"),
        ("slots = 1.5", "slots: must be a whole number, not 1.5"),
        ("slots = []", "slots: must be a whole number, not an array"),
        ("slots = 2024-01-01", "slots: must be a whole number, not 2024-01-01"),
        ("rope.freq_base = 0", "rope.freq_base: must be above 0 to 1000000000, not 0"),
        ("rope.freq_base = nan", "rope.freq_base: must be above 0 to 1000000000, not nan"),
        ("rope = 3", "rope: must be a table, not 3"),
        ("rope.typ = 3", "rope.typ: is not known; did you mean type?"),
        ("n_ctx = 3", "n_ctx: is not known; did you mean context_size?"),
        ("xyzzy = 3", "xyzzy: is not known"),
        ("mode = 3", 'mode: must be one of "server", "direct", not 3'),
        ('mode = "serve"', 'mode: must be one of "server", "direct", not "serve"; '
         "did you mean server?"),
        ("capabilities = []", "capabilities: must have 1 to 3 entries, not 0"),
        ('capabilities = "chat"', 'capabilities: must be an array, not "chat"'),
        ('devices = ["a", 3]', "devices[1]: must be a text, not 3"),
        ('devices = ["a\\u0007"]', "devices[0]: must not have control characters"),
        ("aliases = ['-x']", "aliases[0]: must be 1 to 128 letters, digits and . _ - / :, "
         'beginning with a letter or digit; it is "-x"'),
        ("lora = [{ path = 'a' }, {}]", "lora[1]: must have a path"),
        ("lora = [{ path = 'a', scale = 101 }]", "lora[0].scale: must be -100 to 100, not 101"),
        ("default_sampling.logit_bias = { x = 1 }", "default_sampling.logit_bias.x: "
         "must be the number of a token"),
        ("keep_alive = '31d'", "keep_alive: must be 0s to 30d, not \"31d\""),
        ("chat_template = ''", "chat_template: must be 1 to 524288 bytes, not 0"),
    ],
)  # fmt: skip
def test_a_bad_option(refused: Refused, line: str, why: str) -> None:
    assert refused(DEMO + line) == [f"corral.toml:3: models.m.{why}"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('cache_type_v = "q8_0"\nflash_attention = "off"',
         "3: models.m.cache_type_v: quantized values need flash attention, which is turned off"),
        ("batch_size = 64\nubatch_size = 65",
         "4: models.m.ubatch_size: must be at most the batch size, 64, not 65"),
        ("slots = 8\nbatch_size = 7",
         "4: models.m.batch_size: must be at least the number of slots, 8, not 7"),
        ('split_mode = "none"\ntensor_split = [1, 1]',
         "4: models.m.tensor_split: has no meaning where split_mode is NONE"),
        ("tensor_split = [0, 0]", "3: models.m.tensor_split: must not be all zero"),
        ('devices = ["a"]\ntensor_split = [1, 1]',
         "4: models.m.tensor_split: must have a part for each of the 1 devices, has 2"),
        ('devices = ["a", "a"]', "3: models.m.devices: must not name a device twice"),
        ('devices = ["a"]\nmain_gpu = 1',
         "4: models.m.main_gpu: must be below 1, the number of devices, not 1"),
        ('pinned = true\nkeep_alive = "1m"',
         "4: models.m.keep_alive: must not be given for a model that is pinned"),
        ('pooling = "mean"',
         '3: models.m.pooling: has no use without "embed" among the capabilities'),
        ('capabilities = ["embed"]\nchat_template = "x"',
         '4: models.m.chat_template: has no use without "chat" among the capabilities'),
        ('rope = { type = "linear", yarn_original_context = 1 }',
         '3: models.m.rope: yarn_original_context has no use where type is "linear"'),
        ('rope = { type = "none", freq_scale = 1 }',
         '3: models.m.rope: freq_scale has no use where type is "none"'),
        ('aliases = ["m"]', '3: models.m.aliases[0]: "m" is the id of models.m (corral.toml:1)'),
        ('aliases = ["a", "a"]',
         '3: models.m.aliases[1]: "a" is an alias of models.m (corral.toml:1) already'),
    ],
)  # fmt: skip
def test_a_contradiction_in_a_model(refused: Refused, text: str, why: str) -> None:
    assert refused(DEMO + text) == [f"corral.toml:{why}"]


def test_two_defaults(refused: Refused) -> None:
    text = f'{DEMO}default = true\n[models.n]\nsource = "demo"\ndefault = true'
    assert refused(text) == [
        "corral.toml:6: models.n.default: models.m (corral.toml:1) is the default already; "
        "only one can be"
    ]


def test_an_alias_leads_to_one_model(refused: Refused) -> None:
    text = f'{DEMO}aliases = ["n", "x"]\n[models.n]\nsource = "demo"\naliases = ["x"]'
    assert refused(text) == [
        'corral.toml:3: models.m.aliases[0]: "n" is the id of models.n (corral.toml:4)',
        'corral.toml:6: models.n.aliases[0]: "x" is an alias of models.m (corral.toml:1) already',
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[budget]\ntotal = "auto"\ndevices = { RAM = 1e9 }',
         "1: budget: must have either total or devices"),
        ("[server]\ntls_cert = 'cert.pem'",
         "1: server: must have both tls_cert and tls_key, or neither"),
        ("[engine]\nbackoff = '2m'", "1: engine: backoff must be at most backoff_max, 30s"),
        ("models = 3", "1: models: must be a table, not 3"),
        ("models.m = 3", "1: models.m: must be a table, not 3"),
        ("defaults = []", "1: defaults: must be a table, not an array"),
        ("[models.'a b']\nsource = 'demo'", '1: models."a b": must be 1 to 128 letters, digits '
         'and . _ - / :, beginning with a letter or digit; it is "a b"'),
        ("[hub]\nendpoint = 'https://me:secret@hub'",
         "2: hub.endpoint: must be an http or https address without user, password or query"),
        ("[hub]\ntoken_file = 'hf_secret'",
         "2: hub.token_file: must be the path of a file that holds the token, not the token"),
        ("[hub]\ntoken = 'hf_secret'",
         "2: hub.token: is not known; did you mean token_file?"),
        ("[server]\nlog_level = 'warn'", '2: server.log_level: must be one of "debug", "info", '
         '"warning", "error", not "warn"; did you mean warning?'),
        ("[server]\nmax_request_bytes = '1 kB'",
         '2: server.max_request_bytes: must be 64 KiB to 1 GiB, not "1 kB"'),
    ],
)  # fmt: skip
def test_a_bad_section(refused: Refused, text: str, why: str) -> None:
    assert refused(text) == [f"corral.toml:{why}"]


@pytest.mark.parametrize("address", ["here", ":1", "h:65536", "::1:50051", "h:", "h o:1", "h:1\n"])
def test_a_bad_address(refused: Refused, address: str) -> None:
    assert "must be HOST:PORT" in refused(f"[server]\naddress = {written(address)}")[0]


@pytest.mark.parametrize(
    "source", ["hf:o/r", "hf:o", "hf:o/r/../f.gguf", "hf:o/r/f.txt", "hf:o/r:", "hf:a b/r:Q8_0", ""]
)
def test_a_bad_source(refused: Refused, source: str) -> None:
    (problem,) = refused(f'[models.m]\nsource = "{source}"')
    assert problem.startswith("corral.toml:2: models.m.source: ")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[server]\ngrace 3", "2:7: Expected '=' after a key"),
        ("[models.m]\nslots = 1\nslots = 2", "3:10: slots: Cannot overwrite a value"),
        ("[models.m]\n[models.m]", "2:10: models.m: Cannot declare"),
        ('[models.m]\nsource = """demo\n\n', "2: Unterminated string"),
        (b"[server]\n# \xff", "2: is not UTF-8"),
        ("x = " + "[" * 9999, " is nested too deeply"),
    ],
)
def test_a_text_that_is_no_toml(refused: Refused, text: str | bytes, why: str) -> None:
    (problem,) = refused(text)
    assert problem.startswith(f"corral.toml:{why}")


def test_a_file_that_is_not_there(refused: Refused) -> None:
    problems = refused(None, CORRAL_CONFIG="nowhere.toml")
    assert problems == ["nowhere.toml: cannot be read: No such file or directory"]


# Lines.


def test_lines_of_everything_a_file_can_hold() -> None:
    text = '''\
# [no.table]
top = 1  # = [x]
[server] # a comment
many = [ "]", '#', # ]
  { a = "}" },
]
text = """
[no.table]
no = "key" \\""" """
raw = \'\'\'it's
no = 1\'\'\'
a . "b.c" . 'd' = 1
[ models . "x/y" ]
inline = { a = 1, b = { c = 2 } }
[[models."x/y".lora]]
path = 1
[[models."x/y".lora]]
path = 2
[models."x/y".lora.sub]
key = 3
'''
    tomllib.loads(text)
    found = lines(text)
    xy = ("models", "x/y")
    assert found == {
        ("top",): 2,
        ("server",): 3,
        ("server", "many"): 4,
        ("server", "text"): 7,
        ("server", "raw"): 10,
        ("server", "a"): 12,
        ("server", "a", "b.c"): 12,
        ("server", "a", "b.c", "d"): 12,
        ("models",): 13,
        xy: 13,
        (*xy, "inline"): 14,
        (*xy, "lora"): 15,
        (*xy, "lora", 0): 15,
        (*xy, "lora", 0, "path"): 16,
        (*xy, "lora", 1): 17,
        (*xy, "lora", 1, "path"): 18,
        (*xy, "lora", 1, "sub"): 19,
        (*xy, "lora", 1, "sub", "key"): 20,
    }
    assert line_of((*xy, "inline", "b", "c"), found) == 14
    assert line_of(("server", "many", 2, "a"), found) == 4
    assert line_of((), found) == 1


KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, unique_by=lambda pair: pair[0]))
def test_any_key_is_found_on_its_line(pairs: list[tuple[str, Any]]) -> None:
    text = "\n".join(f"{dotted((name,))} = {written(value)}" for name, value in pairs)
    assert tomllib.loads(text) == dict(pairs)
    assert lines(text) == {(name,): number for number, (name, _) in enumerate(pairs, 1)}


# Sizes and durations.


@given(st.integers(0, 2**60))
@example(0)
def test_sizes_come_back(num_bytes: int) -> None:
    assert size_bytes(size_text(num_bytes)) == num_bytes


@given(st.integers(0, 10**9) | st.floats(0.001, 1e9))
def test_durations_come_back(seconds: float) -> None:
    assert duration_s(duration_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("8 GiB", 2**33), ("500MB", 5 * 10**8), ("1.5 kib", 1536), ("7", 7), (7, 7), ("1 TB", 10**12)],
)
def test_sizes(text: object, num_bytes: int) -> None:
    assert size_bytes(text) == num_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1.5 m", 90),
        ("2h", 7200),
        ("1d", 86400),
        ("250ms", 0.25),
        ("3", 3),
        (0.5, 0.5),
    ],
)
def test_durations(text: object, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 x", "1s1", "one", "1e3", True, None, [], {}])
def test_no_quantities(text: object) -> None:
    for convert in (size_bytes, duration_s):
        with pytest.raises(ValueError, match="must be a"):
            convert(text)


def test_no_number_is_no_quantity() -> None:
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="must be a size"):
            size_bytes(number)


# What is shown.


def shown(settings: Settings) -> dict[str, str]:
    """The lines that are no default, by their key, below its table."""
    table, found = "", {}
    for line in as_toml(rows(settings)).splitlines():
        if line.startswith("["):
            table = line.strip("[]")
        elif "  # " in line:
            key, _, rest = line.partition(" = ")
            found[f"{table}.{key}"] = rest
    return found


def test_what_is_set_is_shown_with_its_source(load: Load, tmp_path: Path) -> None:
    text = '[defaults]\nslots = 2\n[models.a]\nsource = "a.gguf"\nrope.freq_base = 1e6'
    said = flag("--default", "default_model", text="a")
    assert shown(load(text, said, CORRAL_GRACE="60", CORRAL_BUDGET="RAM=1 GiB")) == {
        "server.grace": '"1m"  # CORRAL_GRACE',
        "budget.devices": '{ RAM = "1 GiB" }  # CORRAL_BUDGET',
        "models.a.source": f'"{tmp_path}/a.gguf"  # corral.toml:4',
        "models.a.default": "true  # --default",
        "models.a.slots": "2  # corral.toml:2",
        "models.a.rope.freq_base": "1000000.0  # corral.toml:5",
    }


def test_the_demo_model_is_built_in(load: Load) -> None:
    assert shown(load()) == {
        "models.demo.source": '"demo"  # built in',
        "models.demo.default": "true  # built in",
    }


@pytest.mark.parametrize("text", ["", "[models]", FULL_MODEL, '[budget.devices]\n"a b" = 1e9'])
def test_what_is_shown_is_a_file_that_says_the_same(load: Load, text: str) -> None:
    settings = load(text)
    assert load(as_toml(rows(settings))).config == settings.config


def test_the_example_of_the_documentation_is_good_and_is_shown(load: Load) -> None:
    settings = load((DOCS / "corral.toml").read_bytes())
    assert settings.config.models and settings.config.on_demand
    assert load(as_toml(rows(settings))).config == settings.config


def test_every_key_is_in_the_example_and_in_the_documentation() -> None:
    names = {str(name) for _, name in (path for path in VARIABLES.values() if len(path) == 2)}
    names |= MODEL.keys.keys()
    for file in ("corral.toml", "configuration.md"):
        text = (DOCS / file).read_text()
        assert [name for name in sorted(names) if name not in text] == []
    documentation = (DOCS / "configuration.md").read_text()
    assert [name for name in VARIABLES if f"`{name}`" not in documentation] == []


def test_json_has_value_and_source(load: Load) -> None:
    document = json.loads(as_json(rows(load(DEMO + "slots = 2"))))
    assert document["models"]["m"]["slots"] == {"value": 2, "source": "corral.toml:3"}
    assert document["server"]["grace"] == {"value": "30s", "source": "default"}


# Reload.


def config(*ids: str, on_demand: tuple[str, ...] = (), **fields: Any) -> ServerConfig:
    """A configuration of models; `a2` is the model `a` with other options."""
    return ServerConfig(
        models=tuple(map(model, ids)), on_demand=tuple(map(model, on_demand)), **fields
    )


def model(text: str) -> ModelSpec:
    options = LoadOptions(slots=int(text[1:] or 8))
    return ModelSpec(id=text[0], source=DemoSource(), options=options)


@pytest.mark.parametrize(
    ("running", "wanted", "plan"),
    [
        (config("a"), config("a"), ReloadPlan()),
        (config("a", "b"), config("b", "a"), ReloadPlan()),
        (config("a"), config("a", "b"), ReloadPlan(load=(model("b"),))),
        (config("a", "b"), config("b"), ReloadPlan(unload=("a",))),
        (config("a", "b"), config("a2", "b"), ReloadPlan(unload=("a",), load=(model("a2"),))),
        (config(), config(on_demand=("a",)), ReloadPlan(declare=(model("a"),))),
        (config(on_demand=("a",)), config(), ReloadPlan(retract=("a",))),
        (
            config("a"),
            config(on_demand=("a",)),
            ReloadPlan(unload=("a",), declare=(model("a"),)),
        ),
        (
            config(on_demand=("a",)),
            config("a"),
            ReloadPlan(retract=("a",), load=(model("a"),)),
        ),
        (
            config("a", "b", default_model="a"),
            config("a", "b", default_model="b"),
            ReloadPlan(default="b"),
        ),
        (
            config("a", default_model="a"),
            config("a2", default_model="a"),
            ReloadPlan(unload=("a",), load=(model("a2"),), default="a"),
        ),
        (config("a", default_model="a"), config("a"), ReloadPlan()),
        (
            config(grace_s=1.0, address="h:1"),
            config(grace_s=2.0, address="h:2", budget=BudgetConfig(auto=True)),
            ReloadPlan(ignored=("server.address", "server.grace", "budget")),
        ),
    ],
)
def test_a_reload_is_the_difference(
    running: ServerConfig, wanted: ServerConfig, plan: ReloadPlan
) -> None:
    assert plan_reload(running, wanted) == plan


def test_a_start_is_a_reload_from_nothing() -> None:
    wanted = config("a", on_demand=("b",), default_model="b")
    plan = ReloadPlan(load=(model("a"),), declare=(model("b"),), default="b")
    assert plan_reload(ServerConfig(), wanted) == plan


def test_what_needs_a_restart_is_still_different_after_a_reload() -> None:
    running, wanted = config("a", grace_s=1.0), config("b", grace_s=2.0)
    after = applied(running, wanted)
    assert plan_reload(after, wanted) == ReloadPlan(ignored=("server.grace",))


def test_a_plan_in_words() -> None:
    plan = plan_reload(config("a", "b"), config("a2", "c", grace_s=1.0, default_model="c"))
    assert str(plan) == "new: c; changed: a; gone: b; ignored: server.grace; default: c"
    assert str(ReloadPlan()) == "nothing has changed"


MODELS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 3), st.booleans()))


@given(MODELS, MODELS)
def test_a_reload_leaves_what_is_wanted(
    before: Mapping[str, tuple[int, bool]], after: Mapping[str, tuple[int, bool]]
) -> None:
    def configured(models: Mapping[str, tuple[int, bool]]) -> ServerConfig:
        texts = [(f"{id}{slots}", on_demand) for id, (slots, on_demand) in models.items()]
        return config(
            *(text for text, on_demand in texts if not on_demand),
            on_demand=tuple(text for text, on_demand in texts if on_demand),
        )

    running, wanted = configured(before), configured(after)
    plan = plan_reload(running, wanted)
    kept = [spec for spec in running.models if spec.id not in plan.unload]
    declared = [spec for spec in running.on_demand if spec.id not in plan.retract]
    assert by_id(*kept, *plan.load) == by_id(*wanted.models)
    assert by_id(*declared, *plan.declare) == by_id(*wanted.on_demand)


def by_id(*specs: ModelSpec) -> list[ModelSpec]:
    return sorted(specs, key=lambda spec: spec.id)
