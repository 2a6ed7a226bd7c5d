"""The meter's means, and a log that can go back."""
import json
import math

import numpy as np
import pytest

import minigen as mg
from minigen.training.log import Log, Meter, read_log


@pytest.mark.usefixtures("backend")
def test_meter_means_each_term_over_the_times_it_was_added():
    meter = Meter()
    meter.add(1, "", 0.1, {"loss": mg.tensor([2.0]), "kl": 1})
    meter.add(2, "", 0.1, {"loss": mg.tensor(4.0)})
    meter.add(2, "critic", 0.1, {"loss": np.float32(7.0)})
    assert meter.collect() is None
    saved = json.loads(json.dumps(meter.state_dict()))
    assert meter.take() == {"loss": 3.0, "kl": 1.0, "critic/loss": 7.0} and meter.take() == {}
    meter.load_state_dict(saved)
    meter.add(3, "", 0.1, {"loss": 6.0})
    assert meter.collect() is None and meter.take()["loss"] == 4.0


@pytest.mark.usefixtures("backend")
def test_meter_tells_the_first_fatal_term():
    meter = Meter()
    meter.add(1, "", 0.1, {"loss": mg.tensor(2.0), "odd": math.nan})
    meter.add(2, "a", 0.2, {"loss": mg.tensor(1.0) * math.inf, "kl": mg.tensor(3.0)})
    meter.add(3, "a", 0.3, {"loss": mg.tensor(1.0) * math.nan})
    assert meter.collect() == (2, "a", 0.2, {"loss": math.inf, "kl": 3.0})
    assert meter.take()["loss"] == 2.0


def test_log_goes_back_to_a_length(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log(path)
    log.write({"step": 1, "loss": 0.1 + 0.2})
    length = log.sync()
    log.write({"step": 2, "loss": math.nan})
    log.close()
    assert read_log(path) == [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": None}]
    log = Log(path, start=length)
    log.write({"step": 2, "loss": 5.0})
    log.close()
    with open(path, "a") as file:
        file.write('{"step": 3, "lo')
    assert read_log(path) == [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": 5.0}]
    with pytest.raises(ValueError, match="the log is .* bytes long and was 1000 when the checkpoint was written"):
        Log(path, start=1000)
