"""What a board says of itself, from files as the kernel of a Jetson shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebci.export.tensorrt import board

NVPMODEL = "NV Fan Mode:quiet\nNV Power Mode: MAXN_SUPER\n2\n"


def says(text: str) -> board.Run:
    def run(command: list[str]) -> str:
        return text

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    gpu, cpu = "sys/class/devfreq/17000000.gpu", "sys/devices/system/cpu/cpufreq/policy0"
    rail, zone = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1", "sys/class/thermal/thermal_zone"
    files = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081\n# KERNEL_VARIANT: oot\n",
        f"{gpu}/cur_freq": "306000000\n",
        f"{gpu}/min_freq": "306000000\n",
        f"{gpu}/max_freq": "1020000000\n",
        f"{gpu}/governor": "nvhost_podgov\n",
        f"{cpu}/scaling_cur_freq": "1728000\n",
        f"{cpu}/scaling_min_freq": "1728000\n",
        f"{cpu}/scaling_max_freq": "1728000\n",
        f"{cpu}/scaling_governor": "schedutil\n",
        f"{zone}0/type": "cpu-thermal\n",
        f"{zone}0/temp": "47062\n",
        f"{zone}1/type": "cv0-thermal\n",  # without a sensor: reading it fails on a board
        f"{rail}/in1_label": "VDD_IN\n",
        f"{rail}/in1_input": "5000\n",
        f"{rail}/curr1_input": "1200\n",
        f"{rail}/in2_label": "VDD_CPU_GPU_CV\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_model_and_release(root: Path) -> None:
    assert board.identity(root, says("")) == {
        "model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super",
        "release": "# R36 (release), REVISION: 4.3, GCID: 38968081",
    }


def test_a_machine_with_a_graphics_card_says_its_name_and_others_say_nothing(tmp_path: Path) -> None:
    assert board.identity(tmp_path, says("Some GPU, 9.0, 570.1\n")) == {"model": "Some GPU, 9.0, 570.1"}
    assert board.identity(tmp_path, says("")) == {}


def test_clocks_are_in_hertz_whatever_unit_the_kernel_has(root: Path) -> None:
    gpu, cpu = board.clocks(root)
    assert gpu == {
        "name": "gpu 17000000.gpu",
        "current_hz": 306_000_000,
        "least_hz": 306_000_000,
        "greatest_hz": 1_020_000_000,
        "governor": "nvhost_podgov",
    }
    assert (cpu["name"], cpu["current_hz"], cpu["greatest_hz"]) == ("cpu policy0", 1_728_000_000, 1_728_000_000)


def test_what_cannot_be_read_is_left_out(root: Path, tmp_path: Path) -> None:
    assert board.temperatures(root) == {"cpu-thermal": pytest.approx(47.062)}
    assert board.power_w(root) == {"VDD_IN": pytest.approx(6.0)}
    (root / "sys/class/devfreq/17000000.gpu/cur_freq").write_text("busy\n")
    assert [clock["name"] for clock in board.clocks(root)] == ["cpu policy0"]
    empty = tmp_path / "empty"
    assert (board.clocks(empty), board.temperatures(empty), board.power_w(empty)) == ([], {}, {})


def test_the_power_mode_is_what_nvpmodel_says() -> None:
    assert board.power_mode(says(NVPMODEL)) == "MAXN_SUPER"
    assert board.power_mode(says("")) is None


def test_programs_that_are_absent_or_fail_print_nothing() -> None:
    assert board.ran(["no-such-program-here"]) == ""
    assert board.ran(["false"]) == ""
    assert board.ran(["echo", "said"]) == "said\n"
