from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import namegen_ext
from namegen_ext.data import DataError
from namegen_ext.fit_names import fit
from namegen_ext.generator import Generator
from namegen_ext.sampling import SamplingError
from namegen_ext.steering import Constraints
from namegen_ext.training import RunError


def make_names(count: int = 300, seed: int = 0) -> list[str]:
    """Names of two or three syllables: far enough from random letters to be learnt in few steps."""
    rng = random.Random(seed)
    return [
        "".join(rng.choice("bdklmn") + rng.choice("aeo") for _ in range(rng.choice((2, 3))))
        for _ in range(count)
    ]


NAMES = make_names()
SMALL: dict[str, Any] = {"steps": 150, "hidden_size": 24, "embedding_dim": 4, "block_size": 2, "seed": 5}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small gain nothing from a second thread, which on a busy machine costs dearly."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return fit(NAMES, **SMALL)


def test_the_package_offers_both() -> None:
    assert namegen_ext.fit is fit
    assert namegen_ext.Generator is Generator


def test_two_lines() -> None:
    names = namegen_ext.fit(NAMES, steps=20).sample(20)
    assert len(names) == 20
    assert all(name and set(name) <= set("".join(NAMES)) for name in names)


def test_fit_learns(generator: Generator) -> None:
    # Knowing nothing costs log(10 symbols) = 2.30 nats a character. Knowing the syllables alone costs
    # log(6), log(3) and, after each syllable but the first, whether it goes on: at most log 2. For 2 or 3
    # syllables alike that is at most (2.5 * (log 6 + log 3) + 2 * log 2) / 6 = 1.43 a character. Half-way
    # between is well past chance.
    assert generator.nll(generator.splits.train) < (2.30 + 1.43) / 2
    assert generator.nll(generator.splits.test) < (2.30 + 1.43) / 2


def test_options_reach_the_training(generator: Generator) -> None:
    assert generator.steps == 150
    assert generator.model.embedding_dim == 4
    assert generator.model.block_size == 2
    assert generator.config.options.seed == 5
    assert not generator.model.training
    assert len(generator.splits.train) == int(0.8 * len(NAMES))
    text = repr(generator)
    parameters = sum(parameter.numel() for parameter in generator.model.parameters())
    assert f"mlp, {parameters:,} parameters, 10 symbols, 150 steps on 240 names" in text


def test_recipe_and_its_overrides() -> None:
    plain = fit(NAMES, recipe="devlog-1-plain", steps=2, hidden_size=8)
    assert plain.config.recipe == "devlog-1-plain"
    assert plain.config.options.init == "plain"
    assert plain.config.options.hidden_size == 8
    assert not plain.config.options.batch_norm


def test_fit_is_a_function_of_its_arguments(generator: Generator) -> None:
    again = fit(iter(NAMES), **SMALL)
    assert again.nll(NAMES) == generator.nll(NAMES)
    assert again.sample(50, seed=1) == generator.sample(50, seed=1)
    other = fit(NAMES, **{**SMALL, "seed": 6})
    assert other.nll(NAMES) != generator.nll(NAMES)


def test_fused_layers_learn_the_same(generator: Generator) -> None:
    fused = fit(NAMES, fused="layers", **SMALL)
    assert fused.config.fused == "layers"
    # The project's bound for stock against fused losses over 200 steps.
    assert fused.nll(NAMES) == pytest.approx(generator.nll(NAMES), abs=1e-4)
    assert fit(NAMES, fused=True, **{**SMALL, "steps": 2}).config.fused == "auto"
    assert fit(NAMES, fused=False, **{**SMALL, "steps": 2}).config.fused is None


def test_names_from_a_file(tmp_path: Path, generator: Generator) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    for source in (path, str(path)):
        assert fit(source, **SMALL).nll(NAMES) == generator.nll(NAMES)


def test_names_of_the_package(tmp_path: Path) -> None:
    census = fit("census", steps=2)
    assert census.config.data_name == "census"
    census.save(tmp_path / "run")
    assert not (tmp_path / "run" / "words.txt").exists()  # they come with the package
    assert Generator.from_run(tmp_path / "run").splits.train == census.splits.train


def test_progress_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    fit(NAMES, steps=5)
    assert capsys.readouterr() == ("", "")
    fit(NAMES, steps=5, progress=True)
    assert "5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stepz": 5}, TypeError, r"^fit\(\) got an unknown option 'stepz'; the options are recipe, .*steps"),
        ({"steps": 0}, ValueError, "steps"),
        ({"steps": "many"}, ValueError, "steps.*'many'"),
        ({"model": "oracle"}, ValueError, "model.*'oracle'"),
        ({"learning_rate": -1.0}, ValueError, r"learning_rate.*-1\.0"),
        ({"recipe": "cake"}, ValueError, "^recipe must be one of default, .* but got 'cake'$"),
        ({"fused": "sideways"}, ValueError, "^fused must be .* but got 'sideways'$"),
        ({"device": "abacus"}, ValueError, "^device must be one of cpu, cuda, auto, but got 'abacus'$"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        fit(NAMES, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("names", [["anna", 3], [b"anna", b"otto"], [None]])
def test_names_must_be_strings(names: list[Any]) -> None:
    with pytest.raises(TypeError, match=r"^names must be strings, but got"):
        fit(names, steps=2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "names must hold at least two distinct names, but got 0"),
        (["anna"] * 9, "names must hold at least two distinct names, but got 1"),
        (["anna", "otto", "", "eva"] * 3, r"names must not be empty, but names\[2\] is"),
        (["anna", "otto"], "at least 6 words, but got 2"),
        (["anna\n", "otto\n"] * 5, "names must not end with a line feed"),
        ({"anna": 3, "otto": -1}, "counts of names must be numbers of at least 0, but 'otto' has -1"),
        ({"anna": 3, "otto": "4"}, "but 'otto' has '4'"),
        ({"anna": 3, "otto": 0}, "1 distinct words are left"),
        (["anna", "ot\nto"] * 5, "control character"),
    ],
)
def test_names_that_cannot_be_learnt(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        fit(names, steps=2)
    assert "\n" not in str(caught.value)


def test_nll_is_the_mean_over_all_characters(generator: Generator) -> None:
    model, symbols = generator.model, "." + "".join(generator.vocabulary.symbols)
    names = ["dako", "l", "menaba"]
    terms = []
    for name in names:
        context = [0, 0]
        for letter in name + ".":
            target = symbols.index(letter)
            with torch.no_grad():
                logits = model(torch.tensor([context]))[0][0].double()
            terms.append(-float(torch.log_softmax(logits, dim=0)[target]))
            context = [context[1], target]
    # float32 logits of order 1 carry an error of about 1e-6.
    assert generator.nll(names) == pytest.approx(math.fsum(terms) / len(terms), abs=1e-5)
    assert generator.nll(iter(names)) == generator.nll(names)


def test_nll_refuses_what_it_cannot_judge(generator: Generator) -> None:
    with pytest.raises(ValueError, match=r"^names must hold a name at least, but got none$"):
        generator.nll([])
    with pytest.raises(TypeError, match=r"^names must be a list of strings, but got the string 'dako'$"):
        generator.nll("dako")
    with pytest.raises(TypeError, match=r"^names must be strings, but got 7$"):
        generator.nll(["dako", 7])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="'z'"):
        generator.nll(["dako", "zed"])


def test_sample_options(generator: Generator) -> None:
    names = generator.sample(100, seed=1, prefix="ba", temperature=0.8, top_k=5)
    assert names == generator.sample(100, seed=1, prefix="ba", temperature=0.8, top_k=5)
    assert all(name.startswith("ba") for name in names)
    assert len(set(generator.sample(10, seed=2, top_k=1))) == 1
    training_names = set(generator.splits.train)
    assert training_names & set(generator.sample(300, seed=3))
    novel = generator.sample(300, seed=3, novel=True, unique=True)
    assert len(set(novel)) == 300
    assert not set(NAMES) & set(novel)
    held_out = set(generator.splits.dev + generator.splits.test) - training_names
    new_to_training = generator.sample(2000, seed=3, novel="train")
    assert not training_names & set(new_to_training)
    assert held_out & set(new_to_training)
    with pytest.raises(ValueError, match=r"^novel must be True, False or 'train', but got 'dev'$"):
        generator.sample(3, novel="dev")
    with pytest.raises(ValueError, match=r"^prefix must be made of letters"):
        generator.sample(3, prefix="zoe")
    with pytest.raises(TypeError):
        generator.sample(3, heat=2)  # type: ignore[call-arg]
    with pytest.raises(SamplingError, match="found only 1 of 2 unique names"):
        generator.sample(2, top_k=1, unique=True)


def test_stream_counts_what_is_new(generator: Generator) -> None:
    stream = generator.stream(200, seed=3)
    names = list(stream)
    assert names == generator.sample(200, seed=3)
    assert stream.counts.new == sum(name not in NAMES for name in names)
    assert 0 < stream.counts.new < 200
    stream = generator.stream(200, seed=3, novel="train")
    assert list(stream) == generator.sample(200, seed=3, novel="train")
    assert stream.counts.new == 200


def test_long_names_are_not_cut() -> None:
    long_names = ["ab" * 50, "abc" * 40, "ba" * 45] * 4
    assert fit(long_names, steps=2).max_length == 121, "one letter more than the longest has"
    assert fit(NAMES, steps=2).max_length == 64


def test_save_and_load(tmp_path: Path, generator: Generator) -> None:
    generator.save(tmp_path / "run")
    loaded = Generator.from_run(tmp_path / "run")
    assert loaded.nll(NAMES) == generator.nll(NAMES)
    assert loaded.sample(50, seed=1) == generator.sample(50, seed=1)
    assert loaded.splits.train == generator.splits.train
    assert repr(loaded) == repr(generator)
    loaded.save(tmp_path / "copy")
    for file in ("config.json", "model.safetensors", "words.txt"):
        assert (tmp_path / "copy" / file).read_bytes() == (tmp_path / "run" / file).read_bytes()


def test_a_fused_generator_is_saved_as_any_other(tmp_path: Path) -> None:
    fused = fit(NAMES, fused="layers", **SMALL)
    fused.save(tmp_path / "run")
    # The stock layers round differently: float32 logits of order 1 carry an error of about 1e-6.
    assert Generator.from_run(tmp_path / "run").nll(NAMES) == pytest.approx(fused.nll(NAMES), abs=1e-5)


def test_nothing_is_overwritten(tmp_path: Path, generator: Generator) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    with pytest.raises(RunError, match="already holds"):
        generator.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such directory"):
        Generator.from_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match="is not a run directory"):
        Generator.from_run(tmp_path)


@pytest.fixture
def run_dir(generator: Generator, tmp_path: Path) -> Path:
    generator.save(tmp_path / "run")
    return tmp_path / "run"


def test_the_model_of_a_run_is_built_when_it_is_asked_for(generator: Generator, run_dir: Path) -> None:
    loaded = namegen_ext.load(run_dir)
    before = repr(loaded)
    names = loaded.sample(500, seed=4, novel=True)
    assert loaded._model is None
    assert loaded.steps == generator.steps
    model = loaded.model
    assert loaded.model is model
    assert not model.training
    for key, tensor in generator.model.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key
    assert loaded.sample(500, seed=4, novel=True) == names, "torch or not, the names are the same"
    assert repr(loaded) == before == repr(generator)


def test_what_is_done_to_the_model_shows_in_the_names(run_dir: Path) -> None:
    loaded = namegen_ext.load(run_dir)
    names = loaded.sample(50, seed=4)
    with torch.no_grad():
        loaded.model.net[-1].bias[1] += 20.0  # the first letter of the alphabet, from now on
    assert (
        loaded.stream(5, seed=4, leave_out_cut=False).to_list() == ["a" * loaded.max_length] * 5 != names[:5]
    )
    other = namegen_ext.load(run_dir)
    other.model = loaded.model
    assert other.stream(5, seed=4, leave_out_cut=False).to_list() == ["a" * other.max_length] * 5
    with pytest.raises(SamplingError, match=r"100,000 did not end within 64 letters.*--max-length"):
        loaded.sample(5, seed=4)


def test_python_draws_from_the_model(run_dir: Path) -> None:
    loaded = namegen_ext.load(run_dir)
    native = loaded.sample(200, seed=4)
    # Logits differ by about 1e-6, so that one letter in a million is another one.
    assert loaded.stream(200, seed=4, backend="python").to_list() == native
    assert loaded._model is not None


def test_a_seed_of_torchs_generator_or_of_the_system(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = namegen_ext.load(run_dir)
    torch.manual_seed(8)
    seeds = [loaded.stream(1).seed for _ in range(2)]
    torch.manual_seed(8)
    assert [loaded.stream(1).seed for _ in range(2)] == seeds
    monkeypatch.setattr(
        "namegen_ext.sampling.sampling_arguments.sys", SimpleNamespace(modules={})
    )  # torch is not loaded
    torch.manual_seed(8)
    drawn = {loaded.stream(1).seed for _ in range(3)}
    assert len(drawn) == 3
    assert not drawn & set(seeds)
    assert all(0 <= seed < 2**63 for seed in drawn)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import namegen_ext
generator = namegen_ext.load(sys.argv[1])
print(*generator.sample(20, seed=1, novel=True, unique=True), sep="\\n")
print(repr(generator))
for needs in (lambda: generator.model, lambda: generator.nll(["ba"]), lambda: generator.save("x"),
              lambda: namegen_ext.fit("census"), lambda: namegen_ext.load(sys.argv[1], device="auto"),
              lambda: generator.stream(3, backend="python")):
    try:
        needs()
    except ImportError as error:
        print(error)
"""


def test_names_are_drawn_where_torch_is_not_installed(generator: Generator, run_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, str(run_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    *names, shown, model, nll, save, fit_again, auto, python = done.stdout.splitlines()
    assert names == generator.sample(20, seed=1, novel=True, unique=True)
    assert shown == repr(generator)
    needs = "needs torch, which is not installed: pip install torch"
    assert model == nll == save == python == f"the model {needs}"
    assert fit_again == f"training {needs}"
    assert auto == f"this run {needs}"


def test_counts_weigh_names() -> None:
    counts = Counter({name: 1 + 50 * (number == 0) for number, name in enumerate(sorted(set(NAMES)))})
    first = sorted(set(NAMES))[0]
    options = {**SMALL, "split": "all"}
    weighted, plain = fit(counts, **options), fit(list(counts), **options)
    assert weighted.splits.train_weights == list(map(float, counts.values()))
    assert plain.splits.train_weights is None
    assert weighted.nll([first]) < plain.nll([first]) - 0.5


def test_counts_are_kept_with_a_run(tmp_path: Path) -> None:
    counts = {name: 0.5 + number for number, name in enumerate(dict.fromkeys(NAMES))}
    generator = fit(counts, model="ngram", block_size=2)
    generator.save(tmp_path / "run")
    loaded = Generator.from_run(tmp_path / "run")
    assert loaded.splits == generator.splits
    assert loaded.sample(20, seed=1) == generator.sample(20, seed=1)
    with pytest.raises(ValueError, match="full_batch: got True, expected False with counts"):
        fit(counts, model="bigram")


def test_lines_of_an_open_file_are_names(tmp_path: Path, generator: Generator) -> None:
    path = tmp_path / "names.txt"
    path.write_text("\n".join(NAMES) + "\n\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        assert fit(file, **SMALL).nll(NAMES) == generator.nll(NAMES)


def test_names_come_out_in_title_case() -> None:
    names = [name.upper() for name in NAMES]
    generator = fit(names, case="title", **SMALL)
    assert generator.vocabulary.symbols == tuple(sorted(set("".join(NAMES))))
    drawn = generator.sample(50, seed=1, prefix="BA")
    assert all(name.startswith("Ba") and name == name.title() for name in drawn)
    assert drawn == generator.sample(50, seed=1, prefix="ba")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "worst"}, "keep is 'worst', expected one of best, last"),
        ({"patience": -1}, "patience is -1, expected 0 at least"),
        ({"eval_every": 1.5}, "eval_every is 1.5, expected int"),
        ({"case": "UPPER"}, "case must be one of keep, lower, title, but got 'UPPER'"),
        ({"rare": -1}, "rare must be a whole number from 0"),
        ({"column": 1}, "column is for names in a file, expected a path"),
        ({"comment": "#"}, "comment is for names in a file, expected a path"),
    ],
)
def test_how_names_are_read_is_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(NAMES, steps=2, **options)


def test_constraints_are_in_the_form_in_which_names_were_learnt(tmp_path: Path) -> None:
    """Names that are learnt in lower case and drawn with capitals are constrained in any case."""
    generator = fit(["Anna", "Ben", "Hanna", "Dan", "Eva", "Finn", "Gail", "Lena"], steps=5, case="title")
    options: dict[str, Any] = {
        "match": "[A-Z][a-z]*N.",
        "suffix": "A",
        "contains": "N",
        "without": "EF",
        "min_length": 4,
    }
    names = generator.sample(30, seed=1, max_length=6, avoid=["GG"], **options)
    assert all(re.fullmatch("[A-Z][a-z]{1,3}na", name) and not set(name) & set("EeFf") for name in names)
    (tmp_path / "texts").write_text("gg\n")
    assert generator.sample(30, seed=1, max_length=6, avoid=tmp_path / "texts", **options) == names
    assert all(name.startswith("Ha") for name in generator.sample(5, prefix="HA", suffix="n"))
    with pytest.raises(ValueError, match=r"^constraints must be given one by one here, as min_length, "):
        generator.sample(5, constraints=Constraints(suffix="a"))


def test_names_near_one_that_meet_constraints() -> None:
    generator = fit(["anna", "ben", "hanna", "dan", "eva", "finn", "gail", "lena"], steps=5)
    names = generator.sample(200, seed=1, like="anna", within=1, suffix="a", without="h", min_length=4)
    assert "hanna" not in names
    assert all(name.endswith("a") and len(name) >= 4 for name in names)
    assert len(set(names)) > 5
