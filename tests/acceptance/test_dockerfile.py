"""What can be said of the Dockerfile without a container engine: it names only what is there."""

import re
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

REPOSITORY = Path(__file__).resolve().parents[2]
PIN = re.compile(r"onnxruntime-gpu\[cuda,cudnn\]==(?P<version>[\d.]+)")


@pytest.fixture(scope="module")
def stages():
    parser = DockerfileParser(path=str(REPOSITORY / "Dockerfile"))
    found: dict[str, list[dict]] = {}
    for step in parser.structure:
        if step["instruction"] == "FROM":
            image, _, name = step["value"].partition(" AS ")
            found[name] = [{"instruction": "FROM", "value": image}]
        elif step["instruction"] != "COMMENT":
            found[name].append(step)
    return found


def test_the_promised_targets_are_there(stages):
    assert {"pages", "wheel", "cpu", "cuda"} == set(stages)


def test_every_copied_file_exists_or_comes_from_an_earlier_stage(stages):
    checked = 0
    earlier: set[str] = set()
    for name, steps in stages.items():
        for step in steps:
            if step["instruction"] != "COPY":
                continue
            words = step["value"].split()
            stage = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
            if stage is not None:
                assert stage in earlier, f"{name} copies from {stage}, which comes later or not at all"
                continue
            for source in words[:-1]:
                assert (REPOSITORY / source).exists(), f"{name} copies {source}, which is not there"
                checked += 1
        earlier.add(name)
    assert checked > 5


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_what_runs_is_not_root(stages, target):
    users = [step["value"] for step in stages[target] if step["instruction"] == "USER"]
    assert users[-1] == "patrol"


def test_the_gpu_build_is_the_version_that_the_lock_file_pins(stages):
    runs = " ".join(step["value"] for step in stages["cuda"] if step["instruction"] == "RUN")
    locked = re.search(
        r"^onnxruntime==([\d.]+)", (REPOSITORY / "requirements.lock").read_text(), re.MULTILINE
    )
    assert PIN.search(runs)["version"] == locked[1]


def test_the_context_holds_no_more_than_is_copied():
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert ignored[0] == "**"
