"""`broadsheet completion` in a real shell."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(sys.executable).parent

#: Does what bash does at the tab key: it calls the function that is registered for the command.
AT_THE_TAB_KEY = """
source <(broadsheet completion bash)
read -ra registered < <(complete -p broadsheet)
for n in "${!registered[@]}"; do [ "${registered[n]}" = -F ] && function="${registered[n+1]}"; done
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def broadsheet(*command: str) -> str:
    """Run a command where `broadsheet` is in the path; return what it printed."""
    ended = subprocess.run(
        command, env={"PATH": f"{FOLDER}:/usr/local/bin:/usr/bin:/bin"}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["broadcast", "ca"], ["call-back", "cancel"]),
        (["broadcast", "cancel", "7", "--y"], ["--yes"]),
        (["broadcast", "list", "--state", "mis"], ["missed"]),
    ],
)
def test_bash_completes_a_subcommand_an_option_and_what_an_option_takes(typed: list[str], offered: list[str]) -> None:
    said = broadsheet("bash", "--norc", "-c", AT_THE_TAB_KEY, "bash", "broadsheet", *typed)
    assert sorted(said.split()) == offered


@pytest.mark.parametrize(("shell", "registers"), [("zsh", "compdef"), ("fish", "complete --command broadsheet")])
def test_other_shells_get_a_script_that_they_can_read(shell: str, registers: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(broadsheet("broadsheet", "completion", shell))
    assert registers in script.read_text()
    if (there := shutil.which(shell)) is not None:
        subprocess.run([there, "-n", script], check=True, timeout=60)
