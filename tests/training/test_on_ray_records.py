"""What the executor on Ray stores about machines, without a cluster."""

from types import SimpleNamespace as Namespace

from segstudy.training.executors.on_ray import remote


def test_the_name_of_a_lost_machine_is_said_and_not_stored(monkeypatch):
    said, stored = [], []
    place = object.__new__(remote.Remote)
    place.machine = "gpu-of-ada"
    place._shared = Namespace(
        losses=Namespace(is_too_many=lambda *_: True, most=3),
        watch=Namespace(say=lambda _, text: said.append(text)),
        ended=Namespace(put=lambda _: None),
    )
    monkeypatch.setattr(remote, "last_epoch", lambda _: 0)
    monkeypatch.setattr(remote, "failure", lambda _, *texts: stored.append(texts))
    place._lost(Namespace(run=Namespace(key="0")), "the node died")
    assert "gpu-of-ada was lost" in said[0]
    assert stored
    assert "gpu-of-ada" not in str(stored)
