"""A request to stop that comes while something else is tried: it is not taken for that thing's failure."""

import signal

import pytest
import torch

from slowfast_ext.cli import signals
from slowfast_ext.data.decode.watchdog import call_here
from slowfast_ext.engine.distributed import World, from_main
from slowfast_ext.errors import Interrupted
from slowfast_ext.files import read_torch_file
from slowfast_ext.loggers.base import Loggers


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """A command that was stopped ends deaf to signals; this process goes on."""
    before = {number: signal.getsignal(number) for number in signals.STOP_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def asked_to_stop(*_args, **_kwargs):
    signal.raise_signal(signal.SIGTERM)


def reads_a_checkpoint(tmp_path, monkeypatch):
    torch.save({"x": torch.zeros(1)}, tmp_path / "weights.pth")
    monkeypatch.setattr(torch, "load", asked_to_stop)
    read_torch_file(tmp_path / "weights.pth")


def decodes_a_video(_tmp_path, _monkeypatch):
    call_here(asked_to_stop)


def opens_a_logger(_tmp_path, _monkeypatch):
    Loggers({"slow": asked_to_stop}).open()


def asks_the_first_process(_tmp_path, monkeypatch):
    """The others are told what it ended with."""
    monkeypatch.setattr("torch.distributed.broadcast_object_list", lambda *_args, **_kwargs: None)
    from_main(World(0, 2, 0, 2, torch.device("cpu")), asked_to_stop)


@pytest.mark.parametrize(
    "doing", [reads_a_checkpoint, decodes_a_video, opens_a_logger, asks_the_first_process]
)
def test_a_signal_is_no_failure_of_what_it_comes_into(doing, tmp_path, monkeypatch):
    with pytest.raises(Interrupted, match="SIGTERM"), signals.stop_on_signals(polled=False):
        doing(tmp_path, monkeypatch)
